import { openRunCgroup, type ReachedLimit, type RunCgroup } from './run-cgroup.js'
import { listRunProcesses, type RunProcesses } from './run-processes.js'
import type { Sandbox, SandboxMeans } from './sandbox.js'

export interface LimitWatch {
  reached(): ReachedLimit[]
  /** After its last process. */
  close(): void
}

/** A fork that failed is not counted anywhere: a run so near to its limit has met it. */
const NEAR = 2

/**
 * Puts a run that waits at its gate into a group of its own, so that whatever it starts is in it, and tells the limits
 * that it meets. Without a group only the number of its processes can be seen, by looking.
 */
export async function watchLimits(
  sandboxed: { sandbox: Sandbox; means: SandboxMeans } | undefined,
  run: RunProcesses,
): Promise<LimitWatch> {
  if (sandboxed === undefined) return { reached: () => [], close: () => undefined }
  const {
    sandbox: { limits },
    means: { cgroups },
  } = sandboxed
  const group =
    cgroups &&
    (await openGroup(() => openRunCgroup(cgroups, `${run.program}-${run.root.startTime}`, limits), run.program))
  if (group) return { reached: () => group.reached(), close: () => group.remove() }
  const { processes } = limits
  let isMet = false
  return {
    reached() {
      if (processes === undefined || isMet) return isMet ? ['processes'] : []
      isMet =
        listRunProcesses(run).reduce((sum, { threads = 1 }) => sum + threads, 0) >= processes - NEAR - run.own.length
      return isMet ? ['processes'] : []
    },
    close: () => undefined,
  }
}

/** What each process has by prlimit holds without a group as well. */
async function openGroup(open: () => Promise<RunCgroup>, pid: number): Promise<RunCgroup | undefined> {
  let group: RunCgroup | undefined
  try {
    group = await open()
    await group.add(pid)
    return group
  } catch {
    group?.remove()
    return undefined
  }
}
