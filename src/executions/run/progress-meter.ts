import type { Observation } from '../../claude/stream/translate-message.js'
import type { EventData } from '../../protocol/events.js'
import { guessCostUsd } from '../records/estimate-cost.js'

const INTERVAL_MS = 1_000
/** A dollar in millionths. */
const MICRO = 1_000_000

export type Progress = EventData<'progress'>

/** The running sums of an attempt, at most once a second. */
export class ProgressMeter {
  #startedAt = performance.now()
  #reportedAt = 0

  begin(): void {
    this.#startedAt = performance.now()
  }

  /** Since `begin`, in milliseconds. */
  get elapsedMs(): number {
    return Math.round(performance.now() - this.#startedAt)
  }

  /** undefined: the last one was less than a second ago. */
  next({
    turns,
    toolsUsed,
    tokensSoFar: { inputTokens, outputTokens },
    account,
    model,
  }: Observation): Progress | undefined {
    const now = performance.now()
    if (now - this.#reportedAt < INTERVAL_MS) return undefined
    this.#reportedAt = now
    const costUsd = account.settled.costUsd + guessCostUsd(account.open, model)
    return {
      turns,
      toolsUsed,
      inputTokens,
      outputTokens,
      costUsd: Math.round(costUsd * MICRO) / MICRO,
      elapsedMs: this.elapsedMs,
    }
  }
}
