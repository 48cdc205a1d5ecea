import { readFileSync } from 'node:fs'

import { sha256Bytes } from '../platform/hash.js'
import type { RunLimits } from '../platform/run-limits.js'
import { LAUNCHER, LAUNCHER_VARIABLE, chooseStage, stagedFolder, toMappedLaunch } from './mapped-launcher.js'
import { RELAY, RELAY_VARIABLE, toRelayCommand } from './relay.js'
import type { Sandbox, SandboxMeans } from './sandbox.js'
import type { Bind, View } from './sandbox-view.js'
import { seccompFilter } from './seccomp-filter.js'

/** Descriptors of the start, after the six that the warden has; bubblewrap reads and closes each. */
const DESCRIPTORS = { args: 6, seccomp: 7, passwd: 8, group: 9, workspace: 10 } as const
const SECCOMP = seccompFilter()
/** Uids that no system gives to anybody, where there are so many; below them those that systemd leaves to such uses. */
const OWN_UIDS = { first: 1_879_048_192, count: 1 << 20 }
const OWN_UIDS_OF_FEW = { first: 61_184, count: 4_000 }

export interface SandboxRequest {
  readonly means: SandboxMeans
  readonly sandbox: Sandbox
  readonly view: View
  readonly workspace: string
  /** The workspace, opened. */
  readonly workspaceFd: number
  readonly env: string
  /** What is started inside: the warden with its program. */
  readonly command: readonly string[]
}

export interface SandboxedCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly variables: Readonly<Record<string, string>>
  /** Of the launcher's function, where it is the launcher that is started. */
  readonly launcherArgs?: readonly string[]
  /** What the descriptors from 6 on are: a text to read, or an open folder. */
  readonly inputs: ReadonlyArray<string | Buffer | number>
}

/** Every uid that this user namespace knows: a container may have fewer. */
function hasManyUids(): boolean {
  try {
    const [, , count] = readFileSync('/proc/self/uid_map', 'latin1').trim().split(/\s+/)
    return Number(count) > OWN_UIDS.first + OWN_UIDS.count
  } catch {
    return false
  }
}

/** The same for every run in a workspace, so that they share their sessions; another one for another workspace. */
function uidOf(workspace: string): number {
  const { first, count } = hasManyUids() ? OWN_UIDS : OWN_UIDS_OF_FEW
  return first + (sha256Bytes(workspace).readUInt32LE(0) % count)
}

/** Where a control group holds a limit, the group is to be what is met: it counts, and tells. */
const PROCESSES_BEYOND_GROUP = 64
const MEMORY_BEYOND_GROUP = 2

function toOwnLimits({ processes, memory, ...others }: RunLimits, isGrouped: boolean): RunLimits {
  return {
    ...others,
    processes: processes === undefined ? undefined : processes + (isGrouped ? PROCESSES_BEYOND_GROUP : 0),
    memory: memory === undefined ? undefined : memory * (isGrouped ? MEMORY_BEYOND_GROUP : 1),
  }
}

function toLimitArguments({ processes, memory, files, fileSize }: RunLimits): string[] {
  const limit = (option: string, value: number | undefined): string[] =>
    value === undefined ? [] : [`--${option}=${value}`]
  return [
    ...limit('nproc', processes),
    ...limit('data', memory),
    ...limit('nofile', files),
    ...limit('fsize', fileSize),
    '--core=0',
  ]
}

function toPasswd(uid: number, home: string): string {
  return (
    `root:x:0:0:root:/root:/bin/sh\nagent:x:${uid}:${uid}:Claude ` +
    `agent:${home}:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n`
  )
}

/**
 * bubblewrap with everything that a level above `host` promises; facts/sandbox.md tells of each argument why it is
 * there.
 */
export function toSandboxedCommand({
  means,
  sandbox,
  view,
  workspace,
  workspaceFd,
  env,
  command,
}: SandboxRequest): SandboxedCommand {
  const { user, setpriv = 'setpriv', perl = 'perl' } = means
  const uid = user === 'workers' ? (process.getuid?.() ?? 0) : uidOf(workspace)
  const isMapped = user === 'mapped'
  const mapped = isMapped ? [workspace, ...view.owned.filter((path) => path !== workspace)] : []
  const stage = isMapped ? chooseStage(view.paths) : ''
  const bind: Bind = (path, kind, above = path) => {
    const prefix = kind === 'read' ? '--ro-bind' : '--bind'
    const index = mapped.indexOf(above)
    // With the owners of the folder around it, not with its own, which another user may be.
    if (index >= 0) return [prefix, stagedFolder(stage, index) + path.slice(above.length)]
    return path === workspace && means.bindsDescriptors ? ['--bind-fd', String(DESCRIPTORS.workspace)] : [prefix, path]
  }
  const privileges = {
    workers: ['--unshare-user', '--disable-userns', '--cap-drop', 'ALL'],
    mapped: ['--cap-drop', 'ALL', '--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--cap-add', 'CAP_SETPCAP'],
    renamed: ['--unshare-user', '--uid', String(uid), '--gid', String(uid), '--cap-drop', 'ALL', '--disable-userns'],
  }[user]
  const args = [
    ...privileges,
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    ...(means.cgroupNamespace ? ['--unshare-cgroup'] : []),
    ...(sandbox.level === 'locked' ? ['--unshare-net'] : []),
    '--hostname',
    'run',
    '--die-with-parent',
    '--new-session',
    ...view.toArguments(bind, user === 'renamed' ? means.privateFiles : []).flatMap((argument) => [argument]),
    ...(user === 'renamed' ? ['--ro-bind', '/proc/sys', '/proc/sys'] : []),
    ...(SECCOMP === undefined ? [] : ['--seccomp', String(DESCRIPTORS.seccomp)]),
  ]
  const names = [
    '--perms',
    '0644',
    '--ro-bind-data',
    String(DESCRIPTORS.passwd),
    '/etc/passwd',
    '--perms',
    '0644',
    '--ro-bind-data',
    String(DESCRIPTORS.group),
    '/etc/group',
  ]
  // The root is closed last, and what is put over /etc must come before.
  const closing = args.lastIndexOf('--remount-ro')
  const whole = [...args.slice(0, closing), ...names, ...args.slice(closing)]
  const limits = toOwnLimits(sandbox.limits, means.cgroups !== undefined)
  const inner = [
    ...(isMapped
      ? [
          setpriv,
          '--reuid',
          String(uid),
          '--regid',
          String(uid),
          '--clear-groups',
          '--bounding-set=-all',
          '--inh-caps=-all',
        ]
      : [means.prlimit, ...toLimitArguments(limits)]),
    env,
    '-C',
    workspace,
    ...(sandbox.level === 'locked' ? toRelayCommand(perl) : []),
    ...command,
  ]
  const launched = isMapped
    ? toMappedLaunch({
        perl,
        uid,
        stage,
        limits,
        folders: mapped.map((path) => (path === workspace ? `@${DESCRIPTORS.workspace}` : path)),
        command: [means.bwrap, '--args', String(DESCRIPTORS.args), '--', ...inner],
      })
    : { file: means.bwrap, args: ['--args', String(DESCRIPTORS.args), '--', ...inner] }
  const variables: Record<string, string> = {}
  if (isMapped) variables[LAUNCHER_VARIABLE] = LAUNCHER
  if (sandbox.level === 'locked') variables[RELAY_VARIABLE] = RELAY
  return {
    ...launched,
    variables,
    inputs: [
      whole.map((argument) => `${argument}\0`).join(''),
      SECCOMP ?? '',
      toPasswd(uid, sandbox.home),
      `root:x:0:\nagent:x:${uid}:\nnogroup:x:65534:\n`,
      workspaceFd,
    ],
  }
}
