import { setTimeout as delay } from 'node:timers/promises'

import { findAgain, signalProcess } from './process-tree.js'
import type { ProcessEntry, ProcessIdentity } from './process-tree.js'
import { listRunProcesses } from './run-processes.js'
import type { RunProcesses } from './run-processes.js'

const PAUSE_DEADLINE_MS = 10_000

const isStopped = (entry: ProcessEntry): boolean => entry.state === 'T' || entry.state === 't'
const toKey = ({ pid, startTime }: ProcessIdentity): string => `${pid}@${startTime}`

export interface RunPause {
  pause(): Promise<void>
  resume(): Promise<void>
}

/** Remembers what it has stopped, so that what the run itself had stopped before stays so after a resume. */
export function createRunPause(run: RunProcesses): RunPause {
  const stoppedByUs = new Map<string, ProcessIdentity>()
  let turn: Promise<void> = Promise.resolve()

  const stopAll = async (): Promise<void> => {
    const deadline = performance.now() + PAUSE_DEADLINE_MS
    // One scan is not enough: a process may fork between being listed and being stopped.
    for (let agreeing = 0; agreeing < 2;) {
      const moving = listRunProcesses(run, [...stoppedByUs.values()]).filter((entry) => !isStopped(entry))
      for (const entry of moving) {
        if (signalProcess(entry.pid, 'SIGSTOP')) stoppedByUs.set(toKey(entry), entry)
      }
      agreeing = moving.length === 0 ? agreeing + 1 : 0
      if (performance.now() > deadline) {
        throw new Error(
          `The run could not be paused in ${PAUSE_DEADLINE_MS} ms: ${moving.map(({ pid }) => pid).join(', ')} keep running.`,
        )
      }
      await delay(1)
    }
  }
  const continueAll = async (): Promise<void> => {
    const deadline = performance.now() + PAUSE_DEADLINE_MS
    const waiting = new Map(stoppedByUs)
    while (waiting.size > 0) {
      for (const [key, identity] of waiting) {
        const entry = findAgain(identity)
        if (entry !== undefined && isStopped(entry)) signalProcess(entry.pid, 'SIGCONT')
        else waiting.delete(key)
      }
      if (performance.now() > deadline) throw new Error(`The run could not be resumed in ${PAUSE_DEADLINE_MS} ms.`)
      if (waiting.size > 0) await delay(1)
    }
    stoppedByUs.clear()
  }
  // A resume that overtakes its pause would leave half of the run stopped for ever.
  const inTurn = (step: () => Promise<void>): Promise<void> => {
    const next = turn.then(step)
    turn = next.catch(() => undefined)
    return next
  }
  return { pause: () => inTurn(stopAll), resume: () => inTurn(continueAll) }
}
