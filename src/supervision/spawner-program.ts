import { LAUNCHER } from './mapped-launcher.js'

/** The spawner's text travels in this variable, and is gone from the environment before anything is started. */
export const SPAWNER_VARIABLE = 'CC_EXECUTOR_SPAWNER'

/** Numbers of the system calls that perl has no function for. */
const CALLS: Readonly<Record<string, readonly [setsid: number, dup3: number, pidfdOpen: number]>> = {
  x64: [112, 292, 434],
  arm64: [157, 24, 434],
}

export const spawnerCalls = CALLS[process.arch]

/**
 * A small process beside the worker that starts the runs. A fork copies the tables of the memory of whoever forks, and
 * keeps it from everything else meanwhile: 3 to 5 ms for a worker, 0.3 ms here. The launcher is compiled once, too.
 *
 *   fd 3  worker → spawner: messages, each with its length before it     spawner → worker: lines
 *   `start`: forks. The child connects to the worker's socket once for each of the descriptors 0 to 5 and says whose it
 *   is (token, number); opens or writes what the others are to be; then becomes the command.
 *   Lines: OPEN · PID <id> <pid> · FAILED <id> <why> · EXIT <id> <wait status>
 *
 * The worker's end is its end, and the end of bubblewrap below it (die-with-parent); it takes the socket along. It
 * waits by pidfd, since a signal of perl's may come between a look and the sleep.
 *
 * Arguments: the numbers of `setsid`, `dup3` and `pidfd_open`, the worker's pid, the path of its socket.
 */
export const SPAWNER = String.raw`
use strict;
${LAUNCHER}
my ($setsid, $dup3, $pidfdOpen, $worker, $path) = @ARGV;
# They are the worker's to hear, which ends runs in order; a report that nobody reads must not prevent the clean-up.
my @ignored = qw(TERM INT HUP PIPE);
$SIG{$_} = 'IGNORE' for @ignored;
open(my $control, '+<&=', 3) or die "control: $!\n";
my $address = pack 'S a*', 1, "$path\0";
# What is opened from here on lies above the descriptors that a child gets.
my @low;
do { open(my $null, '<', '/dev/null') or die "null: $!\n"; push @low, $null } until fileno $low[-1] >= 31;
my $own = syscall($pidfdOpen, 0 + $$, 0);
$own >= 0 or die "pidfd_open: $!\n";
{ open(my $handle, '<&=', $own); }

sub report { syswrite $control, join(' ', @_) . "\n" }

sub become {
  my ($token, $cwd, $way, $counts, @rest) = @_;
  my ($envCount, $inputCount) = split / /, $counts;
  my @env = splice @rest, 0, $envCount;
  my @inputs = splice @rest, 0, $inputCount;
  $SIG{$_} = 'DEFAULT' for @ignored;
  syscall($setsid) >= 0 or die "setsid: $!\n";
  my @ends;
  for my $number (0 .. 5) {
    socket(my $end, 1, 1, 0) or die "socket: $!\n";
    connect($end, $address) or die "connect: $!\n";
    syswrite($end, "$token$number") or die "token: $!\n";
    push @ends, $end;
  }
  for my $input (@inputs) {
    my ($kind, $text) = (substr($input, 0, 1), substr($input, 1));
    if ($kind eq 'F') {
      open(my $folder, '<', "/proc/$worker/fd/$text") or die "a folder: $!\n";
      push @ends, $folder;
    } else {
      pipe(my $read, my $write) or die "pipe: $!\n";
      fcntl($write, 1031, length $text) if length $text > 65536; # F_SETPIPE_SZ
      syswrite($write, $text) == length $text or die "input: $!\n";
      close $write;
      push @ends, $read;
    }
  }
  for my $number (0 .. $#ends) { syscall($dup3, fileno $ends[$number], $number, 0) >= 0 or die "dup3: $!\n" }
  @ends = ();
  chdir $cwd or die "can't chdir to $cwd: $!\n";
  %ENV = map { my ($name, $value) = split /=/, $_, 2; ($name => $value) } @env;
  launch(@rest) if $way eq 'launch';
  exec { $rest[0] } @rest or die "$rest[0]: $!\n";
}

my (%pids, %waits);
sub start {
  my ($id, @rest) = @_;
  my $pid = fork;
  return report('FAILED', $id, "fork: $!") if !defined $pid;
  if (!$pid) {
    eval { become(@rest) };
    print STDERR $@;
    exit 125;
  }
  my $fd = syscall($pidfdOpen, 0 + $pid, 0);
  if ($fd < 0) {
    my $why = "pidfd_open: $!";
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return report('FAILED', $id, $why);
  }
  open(my $handle, '<&=', $fd);
  $pids{$id} = $pid;
  $waits{$fd} = [$id, $pid, $handle];
  report('PID', $id, $pid);
}

report('OPEN');
my $buffer = '';
for (;;) {
  my $ready = '';
  vec($ready, $_, 1) = 1 for 3, keys %waits;
  next if select($ready, undef, undef, undef) < 1;
  for my $fd (keys %waits) {
    next unless vec($ready, $fd, 1);
    my ($id, $pid) = @{$waits{$fd}};
    waitpid $pid, 0;
    my $status = $?;
    delete $waits{$fd};
    delete $pids{$id};
    report('EXIT', $id, $status);
  }
  next unless vec($ready, 3, 1);
  if (!sysread($control, $buffer, 262144, length $buffer)) { # also after a worker's end that left it no time
    unlink $path;
    rmdir $path =~ s{/[^/]*$}{}r;
    exit 0;
  }
  while (length $buffer >= 4 && length $buffer >= 4 + (my $length = unpack 'N', $buffer)) {
    my ($word, @parts) = unpack '(N/a*)*', substr($buffer, 4, $length);
    substr($buffer, 0, 4 + $length) = '';
    if ($word eq 'start') { start(@parts) }
    # What has ended has not been waited for until here, so its number is nobody else's.
    elsif ($word eq 'kill') { kill 'KILL', $pids{$parts[0]} if $pids{$parts[0]} }
  }
}
`

/** Each part has its length before it (four bytes, big-endian), and so has the whole. */
export const toMessage = (parts: ReadonlyArray<string | Buffer>): Buffer => {
  const fields = parts.flatMap((part) => {
    const length = Buffer.allocUnsafe(4)
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    length.writeUInt32BE(bytes.length)
    return [length, bytes]
  })
  const whole = Buffer.concat([Buffer.alloc(4), ...fields])
  whole.writeUInt32BE(whole.length - 4)
  return whole
}

/** What a further descriptor is to be, for `start`. */
export const toInput = (input: string | Buffer | number): Buffer =>
  typeof input === 'number' ? Buffer.from(`F${input}`) : Buffer.concat([Buffer.from('T'), Buffer.from(input)])
