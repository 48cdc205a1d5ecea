import { setTimeout as delay } from 'node:timers/promises'

import { hasProc, isLiving, listProcesses, readMarker, signalProcess } from './process-tree.js'

const SWEEP_DEADLINE_MS = 10_000

/**
 * Kills every process whose environment carries CC_EXECUTOR_ATTEMPT=<marker> for which isLive(marker) is false, until
 * two scans are empty. Returns the number killed; rejects when something survives SIGKILL for 10 s. Processes of other
 * users are skipped (their environment cannot be read), and so is what carries this process's own marker: a worker
 * that is itself a run of another executor would otherwise end itself.
 */
export async function sweepDeadAttempts(isLive: (marker: string) => boolean): Promise<number> {
  if (!hasProc()) return 0
  const deadline = performance.now() + SWEEP_DEADLINE_MS
  const ownMarker = readMarker('self')
  const killed = new Set<string>()
  for (let empty = 0; empty < 2;) {
    const orphans = listProcesses().filter((entry) => {
      const marker = readMarker(entry.pid)
      return marker !== undefined && marker !== ownMarker && !isLive(marker) && isLiving(entry)
    })
    for (const { pid, startTime } of orphans) {
      if (signalProcess(pid, 'SIGKILL')) killed.add(`${pid}@${startTime}`)
    }
    const mine = orphans.filter(({ pid, startTime }) => killed.has(`${pid}@${startTime}`))
    empty = mine.length === 0 ? empty + 1 : 0
    if (performance.now() > deadline)
      throw new Error(`The sweep met processes which survive SIGKILL: ${mine.map(({ pid }) => pid).join(', ')}`)
    await delay(1)
  }
  return killed.size
}
