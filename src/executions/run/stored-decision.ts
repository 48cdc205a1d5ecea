import { once } from 'node:events'
import type { PermissionRequest } from '../../claude/stream/permission-requests.js'
import type { NewEvent } from '../../protocol/events.js'
import { digestInput, type ApprovalRecord } from '../records/approval-record.js'
import type { RunClocks } from './run-clocks.js'

/**
 * How long a CLI may take until it asks again about the call that its session holds; it does so before anything else. A
 * version that does not know the mark says nothing, and is told in words what was decided.
 */
const TAKE_UP_MS = 120_000

/** The decision for which an execution was parked, until the CLI that takes up the call has asked for it. */
export class StoredDecision {
  readonly #record: ApprovalRecord
  readonly #isSpent: boolean
  #isTakenUp = false
  #onTakenUp: (() => void) | undefined

  /** `isSpent`: an attempt before this one may have given it. */
  constructor(record: ApprovalRecord, isSpent = false) {
    this.#record = record
    this.#isSpent = isSpent
  }

  /** The CLI has not come to the call yet: nothing of it can have run. */
  get isUntouched(): boolean {
    return !this.#isTakenUp && !this.#isSpent
  }

  get approvalId(): string {
    return this.#record.id
  }

  /** What was decided on exactly this call; with another input than the one that was shown it is another question. */
  take({ toolUseId, input }: PermissionRequest): ApprovalRecord | undefined {
    const { asked } = this.#record
    if (toolUseId !== asked.toolUseId) return undefined
    this.#note()
    // Allowed once more it might run twice; a denial is the same again.
    if (this.#isSpent && this.#record.status !== 'denied' && this.#record.status !== 'expired')
      return { ...this.#record, status: 'withdrawn', decision: undefined }
    return digestInput(input) === asked.inputSha256 ? this.#record : undefined
  }

  /** It may have run, or be refused, without a question. */
  noteEvents(events: readonly NewEvent[]): void {
    if (this.#isTakenUp) return
    const { toolUseId } = this.#record.asked
    if (events.some((event) => 'data' in event && event.type === 'tool.finished' && event.data.toolUseId === toolUseId))
      this.#note()
  }

  /** Whether the CLI takes the call up by itself; false after a while, by a clock that stands still in a pause. */
  async whenTakenUp(over: AbortSignal, startClock: RunClocks['start']): Promise<boolean> {
    if (this.#isTakenUp) return true
    const waiting = new AbortController()
    const stop = (): void => waiting.abort()
    const clock = startClock(TAKE_UP_MS, stop)
    over.addEventListener('abort', stop, { once: true })
    this.#onTakenUp = stop
    try {
      if (!over.aborted) await once(waiting.signal, 'abort')
      return this.#isTakenUp
    } finally {
      clock.close()
      over.removeEventListener('abort', stop)
    }
  }

  #note(): void {
    this.#isTakenUp = true
    this.#onTakenUp?.()
  }
}
