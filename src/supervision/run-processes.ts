import type { ContainedCommand } from './containment-command.js'
import {
  childrenOf, descendantsOf, findAgain, hasProc, isLiving, listProcesses, readInnerPid, readMarker, readProcess,
} from './process-tree.js'
import type { ProcessEntry, ProcessIdentity } from './process-tree.js'
import type { WardenPids } from './warden-channel.js'

/** The processes of one run as the host sees them. */
export interface RunProcesses {
  readonly scope: ContainedCommand['scope']
  readonly marker: string
  /** What the worker has spawned: bwrap, setpriv/unshare, tini or bash. */
  readonly root: number
  /** PID 1 of the namespace; undefined where there is none. */
  readonly init: ProcessIdentity | undefined
  readonly program: number
  /** Init, warden and its reader: they are neither paused nor shot one by one. */
  readonly own: ReadonlySet<number>
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

/** Translates the pids which the warden has told into those of the host. Throws when one of them is gone already. */
export function locateRun(
  root: number, scope: RunProcesses['scope'], marker: string, inner: WardenPids,
): RunProcesses {
  if (scope !== 'namespace') {
    return {
      root, scope, marker, init: undefined, program: inner.program, own: new Set([root, inner.warden, inner.reader]),
    }
  }
  const hostPids = new Map<number, number>()
  for (const pid of walkDown(root)) {
    const innerPid = readInnerPid(pid)
    // The root is outside of the namespace; its own number would be mistaken for one within.
    if (pid !== root && innerPid !== undefined) hostPids.set(innerPid, pid)
  }
  const toHost = (innerPid: number): number => {
    const pid = hostPids.get(innerPid)
    if (pid === undefined) throw new Error(`The process ${innerPid} of the run's namespace is gone.`)
    return pid
  }
  const init = readProcess(toHost(1))
  if (init === undefined) throw new Error("The first process of the run's namespace is gone.")
  return {
    root, scope, marker, init, program: toHost(inner.program),
    own: new Set([root, init.pid, toHost(inner.warden), toHost(inner.reader)]),
  }
}

/**
 * Everything of the run but the warden's own. In a namespace the tree below its PID 1 is complete by the kernel's word;
 * elsewhere the marker and what was `known` from earlier looks find what has left the tree.
 */
export function listRunProcesses(run: RunProcesses, known: readonly ProcessIdentity[] = []): ProcessEntry[] {
  if (!hasProc()) return []
  const processes = listProcesses()
  if (run.init !== undefined) {
    if (findAgain(run.init) === undefined) return []
    return descendantsOf([run.init.pid], processes).filter((entry) => isLiving(entry) && !run.own.has(entry.pid))
  }
  const strayed = processes.filter((entry) => entry.pid !== process.pid && (
    known.some((identity) => identity.pid === entry.pid && identity.startTime === entry.startTime)
    || readMarker(entry.pid) === run.marker
  ))
  const below = descendantsOf([run.root, ...strayed.map((entry) => entry.pid)], processes)
  const unique = new Map([...strayed, ...below].map((entry) => [entry.pid, entry]))
  return [...unique.values()].filter((entry) => isLiving(entry) && !run.own.has(entry.pid))
}
