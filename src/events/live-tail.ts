import { isTerminalEvent, splitBatch, toKept, type StoredEvent } from './stored-event.js'

/** What one API process keeps in memory of a running execution's newest events. */
const TAIL_BYTES = 1024 * 1024

/**
 * The newest events of one execution, contiguous, shared by all who follow it in this process.
 * Past the bound the oldest are forgotten: whoever is slower than that reads the log by himself.
 */
export class LiveTail {
  #events: StoredEvent[] = []
  #bytes = 0
  #waiters = new Set<() => void>()
  /** The seq up to which this tail knows the log. */
  lastSeq: number
  /** Grows whenever the log may hold something new. */
  version = 0
  isFinished = false
  /** The log was deleted. */
  isGone = false

  constructor(lastSeq: number) {
    this.lastSeq = lastSeq
  }

  /** Takes a published batch. false: events between are missing, the log must be read. */
  push(batch: Buffer): boolean {
    return this.add(splitBatch(batch))
  }

  add(events: readonly StoredEvent[]): boolean {
    const first = events[0]
    if (first && first.seq > this.lastSeq + 1) return false
    const fresh = toKept(events.filter((event) => event.seq > this.lastSeq))
    const last = fresh.at(-1)
    if (!last) return true
    // In a loop and not by push(...fresh): a batch may hold more events than a call may have arguments.
    for (const event of fresh) {
      this.#events.push(event)
      this.#bytes += event.bytes.length
    }
    this.lastSeq = last.seq
    this.isFinished ||= isTerminalEvent(last)
    this.#forget()
    this.wake()
    return true
  }

  /**
   * Takes the last events of a log that is found shorter than what was seen of it: where it has ended there, nothing
   * will follow.
   */
  endShort(events: readonly StoredEvent[]): void {
    const last = events.at(-1)
    if (!last || last.seq > this.lastSeq || !isTerminalEvent(last)) return
    this.lastSeq = last.seq
    this.isFinished = true
    this.#events = [...toKept(events)]
    this.#bytes = events.reduce((sum, { bytes }) => sum + bytes.length, 0)
    this.wake()
  }

  /** The events after the cursor, or undefined where the tail does not reach back so far. */
  after(cursor: number): readonly StoredEvent[] | undefined {
    const first = this.#events[0]
    if (!first || cursor + 1 < first.seq || cursor >= this.lastSeq) return undefined
    return this.#events.slice(cursor + 1 - first.seq)
  }

  wake(): void {
    this.version += 1
    const waiters = this.#waiters
    this.#waiters = new Set()
    for (const wake of waiters) wake()
  }

  /** Resolves when the version is no longer the given one, or the signal aborts. */
  changed(version: number, signal: AbortSignal): Promise<void> {
    if (this.version !== version || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const finish = () => {
        this.#waiters.delete(finish)
        signal.removeEventListener('abort', finish)
        resolve()
      }
      this.#waiters.add(finish)
      signal.addEventListener('abort', finish, { once: true })
    })
  }

  #forget(): void {
    let forgotten = 0
    while (this.#bytes > TAIL_BYTES && forgotten < this.#events.length - 1) {
      this.#bytes -= this.#events[forgotten]?.bytes.length ?? 0
      forgotten += 1
    }
    if (forgotten > 0) this.#events = this.#events.slice(forgotten)
  }
}
