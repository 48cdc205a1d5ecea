import { statSync } from 'node:fs'
import { sep } from 'node:path'

import { findProgram } from './find-program.js'
import { toSandboxedCommand } from './sandbox-command.js'
import { resolved } from './sandbox-mounts.js'
import type { Sandbox, SandboxMeans } from './sandbox.js'
import type { Spawner } from './spawned-root.js'
import type { View } from './sandbox-view.js'
import { WARDEN_VARIABLE } from './warden.js'

export type ContainmentLevel = 'bubblewrap' | 'unshare' | 'weak'

/** The programs that containment is made of, by absolute path. */
export interface ContainmentPrograms {
  readonly bash: string
  readonly env: string
  readonly bwrap?: string
  readonly setpriv?: string
  readonly unshare?: string
  readonly tini?: string
  readonly prlimit?: string
  readonly perl?: string
}

export interface Containment {
  readonly level: ContainmentLevel
  /** Whether the kernel itself ends every process of a run. */
  readonly strong: boolean
  /** One sentence for people, with the remedy when weak. */
  readonly detail: string
  /** Where the programs are that the self-test used; without it they are looked for on PATH. */
  readonly programs?: ContainmentPrograms
  /** Starts what the worker itself would have to fork for; absent: it does. */
  readonly spawner?: Spawner
  /** Levels above `host`; absent where there are none, and a run reaches whatever its user reaches. */
  readonly sandbox?: SandboxMeans
}

export interface ContainedCommand {
  readonly file: string
  readonly args: readonly string[]
  /** Whether orphans of the run come to a process of ours (PID 1 of a namespace, or a subreaper). */
  readonly scope: 'namespace' | 'subreaper' | 'tree'
  /** Further variables of the start, which do not reach the program. */
  readonly variables?: Readonly<Record<string, string>>
  /** Where it is the mapped launcher that is started: the arguments of its function. */
  readonly launcherArgs?: readonly string[]
  /** What the descriptors from 6 on are. */
  readonly inputs?: ReadonlyArray<string | Buffer | number>
}

export interface CommandRequest {
  readonly programs: ContainmentPrograms
  readonly level: ContainmentLevel
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly hiddenPaths: readonly string[]
  readonly exposedPaths: readonly string[]
  readonly protectedPaths: readonly string[]
  readonly heartbeatTimeoutMs: number
  /** A level above `host`. */
  readonly sandboxed?: {
    readonly sandbox: Sandbox
    readonly means: SandboxMeans
    readonly view: View
    readonly workspaceFd: number
  }
}

export async function findContainmentPrograms(directories: readonly string[]): Promise<ContainmentPrograms> {
  const find = (name: string): Promise<string | undefined> => findProgram(name, directories, '/')
  const [bash, env, bwrap, setpriv, unshare, tini, prlimit, perl] = await Promise.all(
    ['bash', 'env', 'bwrap', 'setpriv', 'unshare', 'tini', 'prlimit', 'perl'].map(find),
  )
  if (bash === undefined || env === undefined) {
    throw new Error('No bash 5 was found on PATH, and every run is started by one; install bash.')
  }
  return { bash, env, bwrap, setpriv, unshare, tini, prlimit, perl }
}

// bash adds these three to what it passes on; whoever wants them says so in env.
const ADDED_BY_BASH = ['SHLVL', 'PWD', 'OLDPWD'] as const

function toWardenArguments(request: CommandRequest, scope: ContainedCommand['scope']): string[] {
  const unwanted = [WARDEN_VARIABLE, ...ADDED_BY_BASH.filter((name) => request.env[name] === undefined)]
  const wanted = ADDED_BY_BASH.filter((name) => request.env[name] !== undefined)
  return [
    // --norc: bash takes a socket as standard input for rshd's and would read ~/.bashrc.
    // -p: neither BASH_ENV nor exported functions of the program's environment may reach the warden.
    '--norc',
    '-p',
    '-c',
    `eval "$${WARDEN_VARIABLE}"`,
    'cc-executor-warden',
    String(request.heartbeatTimeoutMs / 1000),
    scope,
    request.programs.env,
    ...unwanted.flatMap((name) => ['-u', name]),
    ...wanted.map((name) => `${name}=${request.env[name]}`),
    request.file,
    ...request.args,
  ]
}

// A root agent keeps what ordinary work with files and users needs. Without CAP_SYS_ADMIN it can neither unmount what
// hides a path nor mount anything; without CAP_MKNOD, SYS_PTRACE, SYS_MODULE and RAWIO it cannot reach around.
const ROOT_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
]

/**
 * The deepest last, so that each decides for what lies below it; of the same place hiding comes after exposing. What is
 * bound is the disk's own, whatever has been put over it before.
 */
function toHidingArguments({ hiddenPaths, exposedPaths, protectedPaths }: CommandRequest): string[] {
  // bwrap would create a missing directory on the real disk, since / is bound writable: so only what exists is named.
  const resolve = (paths: readonly string[]): string[] => paths.flatMap((path) => resolved(path) ?? [])
  const depth = (path: string): number => path.split(sep).filter(Boolean).length
  const [hidden, exposed] = [resolve(hiddenPaths), resolve(exposedPaths)]
  const isInHidden = (path: string): boolean => {
    const cover = [...exposed, ...hidden].filter((folder) => path.startsWith(folder + sep))
    const deepest = cover.sort((a, b) => a.length - b.length).at(-1)
    return deepest !== undefined && hidden.includes(deepest)
  }
  return [
    ...exposed.map((path) => ({ path, args: ['--bind', path, path] })),
    // What is not in view anyway needs no place in it.
    ...resolve(protectedPaths)
      .filter((path) => !isInHidden(path))
      .map((path) => ({ path, args: ['--ro-bind', path, path] })),
    ...hidden
      .filter((path) => !isInHidden(path))
      .map((path) => ({
        path,
        args: statSync(path).isDirectory() ? ['--tmpfs', path] : ['--ro-bind', '/dev/null', path],
      })),
  ]
    .sort((a, b) => depth(a.path) - depth(b.path))
    .flatMap(({ args }) => args)
}

function toBubblewrapCommand(request: CommandRequest, bwrap: string): ContainedCommand {
  const capabilities =
    process.getuid?.() === 0
      ? ['--cap-drop', 'ALL', ...ROOT_CAPABILITIES.flatMap((capability) => ['--cap-add', capability])]
      : []
  return {
    file: bwrap,
    scope: 'namespace',
    args: [
      '--dev-bind',
      '/',
      '/',
      '--proc',
      '/proc',
      '--unshare-pid',
      '--die-with-parent',
      ...capabilities,
      ...toHidingArguments(request),
      '--chdir',
      request.cwd,
      '--',
      request.programs.bash,
      ...toWardenArguments(request, 'namespace'),
    ],
  }
}

function toUnshareCommand(request: CommandRequest, setpriv: string, unshare: string): ContainedCommand {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-current-user']
  const { bash, tini } = request.programs
  return {
    file: setpriv,
    scope: 'namespace',
    args: [
      '--pdeathsig',
      'KILL',
      '--',
      unshare,
      ...user,
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--',
      // Without tini the warden's bash is PID 1; it reaps as well.
      ...(tini === undefined ? [] : [tini, '--']),
      bash,
      ...toWardenArguments(request, 'namespace'),
    ],
  }
}

function toWeakCommand(request: CommandRequest): ContainedCommand {
  const { bash, tini } = request.programs
  if (tini === undefined || process.platform !== 'linux') {
    return { file: bash, scope: 'tree', args: toWardenArguments(request, 'tree') }
  }
  return { file: tini, scope: 'subreaper', args: ['-s', '--', bash, ...toWardenArguments(request, 'subreaper')] }
}

export function toContainedCommand(request: CommandRequest): ContainedCommand {
  const { bwrap, setpriv, unshare, bash, env } = request.programs
  if (request.sandboxed !== undefined) {
    const command = [bash, ...toWardenArguments(request, 'namespace')]
    return { scope: 'namespace', ...toSandboxedCommand({ ...request.sandboxed, workspace: request.cwd, env, command }) }
  }
  if (request.level === 'weak') return toWeakCommand(request)
  if (request.level === 'bubblewrap') {
    if (bwrap === undefined) throw new Error('bwrap was not found; install the package bubblewrap.')
    return toBubblewrapCommand(request, bwrap)
  }
  if (setpriv === undefined || unshare === undefined) {
    throw new Error('unshare or setpriv was not found; install the package util-linux.')
  }
  return toUnshareCommand(request, setpriv, unshare)
}
