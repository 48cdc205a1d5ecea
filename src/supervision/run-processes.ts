import type { ContainedCommand } from './containment-command.js'
import {
  childrenOf,
  descendantsOf,
  findAgain,
  hasProc,
  isLiving,
  listProcesses,
  markerOf,
  readInnerPid,
  readProcess,
} from './process-tree.js'
import type { ProcessEntry, ProcessIdentity } from './process-tree.js'
import type { WardenPids } from './warden-channel.js'

/** The processes of one run as the host sees them. */
export interface RunProcesses {
  readonly scope: ContainedCommand['scope']
  readonly marker: string
  /** What the worker has spawned: bwrap, setpriv/unshare, tini or bash. */
  readonly root: ProcessIdentity
  /** PID 1 of the namespace; undefined where there is none. */
  readonly init: ProcessIdentity | undefined
  readonly program: number
  /** Root, init, warden and its reader: they are neither paused nor shot among the others. */
  readonly own: readonly ProcessIdentity[]
}

function walkDown(root: number): number[] {
  const found = [root]
  for (const pid of found) {
    const children = childrenOf(pid)
    // The short way exists only in kernels with CONFIG_PROC_CHILDREN.
    if (children === undefined && readProcess(pid) !== undefined) {
      return [root, ...descendantsOf([root], listProcesses()).map((entry) => entry.pid)]
    }
    found.push(...(children ?? []))
  }
  return found
}

function identify(pid: number): ProcessEntry {
  const entry = readProcess(pid)
  if (entry === undefined) throw new Error(`The process ${pid} of the run is gone.`)
  return entry
}

/** Below `root`, which is itself outside: the pids inside of the namespace to those which the host knows. */
function readHostPids(root: number): Map<number, number> {
  const hostPids = new Map<number, number>()
  for (const pid of walkDown(root)) {
    const innerPid = pid === root ? undefined : readInnerPid(pid)
    if (innerPid !== undefined) hostPids.set(innerPid, pid)
  }
  return hostPids
}

function locateUncontained(root: number, scope: RunProcesses['scope'], marker: string, pids: WardenPids): RunProcesses {
  const [warden, program, reader] = [pids.warden, pids.program, pids.reader].map(identify)
  if (warden?.pid !== root && warden?.ppid !== root) throw new Error('The warden is not where it was started.')
  if (program?.ppid !== warden.pid || reader?.ppid !== warden.pid) throw new Error("The program is not the warden's.")
  return {
    root: identify(root),
    scope,
    marker,
    init: undefined,
    program: program.pid,
    own: [identify(root), warden, reader],
  }
}

/** Translates the pids which the warden has told into those of the host. Throws when one of them is gone already. */
export function locateRun(root: number, scope: RunProcesses['scope'], marker: string, inner: WardenPids): RunProcesses {
  // Where there is no /proc there is nothing to compare with, and only the process group can be killed.
  if (!hasProc())
    return { root: { pid: root, startTime: '' }, scope, marker, init: undefined, program: inner.program, own: [] }
  if (scope !== 'namespace') return locateUncontained(root, scope, marker, inner)
  const hostPids = readHostPids(root)
  const locate = (innerPid: number): ProcessEntry => {
    const pid = hostPids.get(innerPid)
    if (pid === undefined) throw new Error(`There is no process ${innerPid} in the run's namespace.`)
    return identify(pid)
  }
  const init = locate(1)
  return {
    root: identify(root),
    scope,
    marker,
    init,
    program: locate(inner.program).pid,
    own: [identify(root), init, locate(inner.warden), locate(inner.reader)],
  }
}

/**
 * Everything of the run but the warden's own. In a namespace the tree below its PID 1 is complete by the kernel's word;
 * elsewhere the marker and what was `known` from earlier looks find what has left the tree.
 */
export function listRunProcesses(
  run: RunProcesses,
  known: readonly ProcessIdentity[] = [],
  processes: readonly ProcessEntry[] = listProcesses(),
): ProcessEntry[] {
  if (!hasProc()) return []
  const own = new Set(run.own.map(({ pid }) => pid))
  const isOfTheRun = (entry: ProcessEntry): boolean =>
    isLiving(entry) && !own.has(entry.pid) && entry.pid !== process.pid
  if (run.init !== undefined) {
    return findAgain(run.init) === undefined ? [] : descendantsOf([run.init.pid], processes).filter(isOfTheRun)
  }
  const remembered = new Set(known.map(({ pid, startTime }) => `${pid}@${startTime}`))
  // Nothing of it is older than what was spawned for it: the environment of everything else need not be read.
  const since = Number(run.root.startTime)
  const strayed = processes.filter(
    (entry) =>
      remembered.has(`${entry.pid}@${entry.startTime}`) ||
      (Number(entry.startTime) >= since && markerOf(entry) === run.marker),
  )
  // A root that has ended may have lent its pid to a stranger, whose children are none of ours.
  const roots = findAgain(run.root) === undefined ? [] : [run.root.pid]
  const below = descendantsOf([...roots, ...strayed.map(({ pid }) => pid)], processes)
  const unique = new Map([...strayed, ...below].map((entry) => [entry.pid, entry]))
  return [...unique.values()].filter(isOfTheRun)
}
