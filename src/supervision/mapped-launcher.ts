import { existsSync } from 'node:fs'

import type { RunLimits } from '../platform/run-limits.js'

/** The launcher's text travels in this variable, as the warden's does; the launcher takes it out of the environment. */
export const LAUNCHER_VARIABLE = 'CC_EXECUTOR_LAUNCHER'

/** Of the only system calls below whose numbers depend on the machine. */
const CALLS: Readonly<Record<string, readonly [unshare: number, mount: number, prlimit: number]>> = {
  x64: [272, 165, 302],
  arm64: [97, 40, 261],
}
const CALLS_HERE = CALLS[process.arch]

export const canMapOwners = CALLS_HERE !== undefined

/**
 * Places that a run has no use for: in the start's own mount namespace one of them is covered by where folders stand.
 */
const STAGES = ['/mnt', '/media', '/srv', '/sys'] as const

/** The first of these that is there and that nothing of the run's lies in. */
export function chooseStage(paths: readonly string[]): string {
  const free = STAGES.find(
    (stage) => existsSync(stage) && !paths.some((path) => path === stage || path.startsWith(`${stage}/`)),
  )
  if (free === undefined) throw new Error(`The openings lie in all of ${STAGES.join(', ')}: leave one of them out.`)
  return free
}

/** Where bubblewrap finds the folder with this place in the launcher's list. */
export const stagedFolder = (stage: string, index: number): string => `${stage}/${index}`

/**
 * Between a worker that is root and bubblewrap: each folder that the run may write is mounted once more, in a mount
 * namespace of this start alone, with its owner shown as the run's user. So the run, which is a user of its own, works
 * in it as its owner, and what it makes belongs to that owner on disk; nothing on disk is changed for it, and nothing
 * is to be undone. Node has none of these system calls, util-linux has them from 2.39 on; perl is part of Debian's
 * base.
 *
 * It sets the run's limits as well, which root itself does not feel: that saves a program.
 *
 * A function, which the spawner has at hand (spawner-program.ts). Arguments: the numbers of `unshare`, `mount` and
 * `prlimit`, the run's uid, the stage, the limits (`resource=value`, by comma), the folders (a path, or `@` and a
 * descriptor), `--`, and what to start, in which nothing of the launcher's is open.
 */
export const LAUNCHER = String.raw`
use strict;
sub launch {
my ($unshare, $mount, $prlimit, $uid, $stage, $limits, @rest) = @_;
my @folders;
while (@rest) { my $next = shift @rest; last if $next eq '--'; push @folders, $next }
my ($empty, $none, $root, $tmpfs, $mode) = ('', 'none', '/', 'tmpfs', 'mode=0755');
syscall($unshare, 0x20000) == 0 or die "unshare: $!\n";
syscall($mount, $none, $root, 0, 0x44000, 0) == 0 or die "private mounts: $!\n";

my %namespaces;
my $namespaceOf = sub { # one that shows this owner as the run's user
  my ($owner, $group) = @_;
  return $namespaces{"$owner:$group"} if $namespaces{"$owner:$group"};
  pipe(my $ready, my $tellReady);
  pipe(my $go, my $tellGo);
  my $pid = fork;
  defined $pid or die "fork: $!\n";
  if (!$pid) {
    close $tellGo;
    syswrite $tellReady, syscall($unshare, 0x10000000) == 0 ? 'y' : 'n';
    sysread $go, my $answer, 1;
    exit 0;
  }
  close $tellReady;
  sysread $ready, my $answer, 1;
  $answer eq 'y' or die "user namespace refused\n";
  for (['uid', $owner], ['gid', $group]) {
    my ($kind, $id) = @$_;
    open(my $map, '>', "/proc/$pid/$kind" . '_map') or die "$kind map: $!\n";
    syswrite($map, "$id $uid 1\n") or die "$kind map: $!\n";
  }
  open(my $namespace, '<', "/proc/$pid/ns/user") or die "namespace: $!\n";
  close $tellGo;
  waitpid $pid, 0;
  return $namespaces{"$owner:$group"} = $namespace;
};

my @trees;
for my $folder (@folders) {
  # An open folder lies in the mount namespace of before: it is found again in this one, and must be the same.
  my $path = $folder =~ /^\@(\d+)$/ ? readlink "/proc/self/fd/$1" : $folder;
  sysopen(my $handle, $path, 0x200000) or die "a folder: $!\n"; # O_PATH
  my @found = stat $handle;
  if ($path ne $folder) {
    my @opened = stat "/proc/self/fd/" . substr $folder, 1;
    "@opened[0, 1]" eq "@found[0, 1]" or die "can't chdir: the workspace was exchanged\n";
  }
  my $tree = syscall(428, fileno $handle, $empty, 0x81001); # open_tree: CLONE, CLOEXEC, EMPTY_PATH
  $tree >= 0 or die "open_tree: $!\n";
  my $attributes = pack 'Q4', 0x100000, 0, 0, fileno $namespaceOf->(@found[4, 5]); # IDMAP
  syscall(442, $tree, $empty, 0x1000, $attributes, length $attributes) == 0 or die "mount_setattr: $!\n";
  push @trees, [$tree, -d $handle];
}
# Only now, as it may cover what leads to a folder.
syscall($mount, $none, $stage, $tmpfs, 0, $mode) == 0 or die "stage: $!\n";
for my $index (0 .. $#trees) {
  my ($tree, $isFolder) = @{$trees[$index]};
  my $place = "$stage/$index";
  if ($isFolder) { mkdir $place or die "stage: $!\n" } else { open(my $file, '>', $place) or die "stage: $!\n" }
  syscall(429, $tree, $empty, -100, $place, 0x4) == 0 or die "move_mount: $!\n";
}
for (@folders) { if (/^\@(\d+)$/) { open(my $opened, '<&=', $1); close $opened } }
for (split /,/, $limits) {
  my ($resource, $value) = split /=/;
  my $limit = pack 'QQ', $value, $value;
  syscall($prlimit, 0, 0 + $resource, $limit, 0) == 0 or die "limit $resource: $!\n";
}
exec { $rest[0] } @rest or die "$rest[0]: $!\n";
}
`

export interface MappedLaunch {
  readonly perl: string
  readonly uid: number
  readonly stage: string
  readonly limits: RunLimits
  readonly folders: readonly string[]
  readonly command: readonly string[]
}

/** Numbers of the resources, the same on both machines; no memory of a run is written to disk. */
function toLimits({ processes, memory, files, fileSize }: RunLimits): string {
  const wanted = [
    [6, processes],
    [2, memory],
    [7, files],
    [1, fileSize],
    [4, 0],
  ] as const
  return wanted.flatMap(([resource, value]) => (value === undefined ? [] : [`${resource}=${value}`])).join(',')
}

/** The command line of the launcher, whose text goes into LAUNCHER_VARIABLE; and the arguments of its function. */
export function toMappedLaunch({ perl, uid, stage, limits, folders, command }: MappedLaunch): {
  file: string
  args: string[]
  launcherArgs: string[]
} {
  if (CALLS_HERE === undefined) throw new Error(`Folders cannot be mapped on ${process.arch}.`)
  const text = `eval delete($ENV{${LAUNCHER_VARIABLE}}) . ';launch(@ARGV)'; print STDERR $@; exit 125`
  const launcherArgs = [...CALLS_HERE.map(String), String(uid), stage, toLimits(limits), ...folders, '--', ...command]
  return { file: perl, args: ['-e', text, ...launcherArgs], launcherArgs }
}
