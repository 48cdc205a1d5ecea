import { sleep } from '../platform/abort-signals.js'
import type { NewEvent } from '../protocol/events.js'
import { EventBatch, type Line } from './event-batch.js'
import type { EventLog } from './event-log.js'
import { toLine } from './stored-event.js'

/** Beyond this much unconfirmed text the writer says that it is full; its caller then stops reading the child. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024
/** Of what is confirmed, so much is kept: a Redis that came back without its last second gets it again. */
const TAIL_BYTES = 2 * 1024 * 1024

const RETRY_MS = 100

export interface LogWriterOptions {
  readonly log: EventLog
  readonly executionId: string
  readonly fence: string
  readonly attempt: number
  /** The seq after which this writer goes on. */
  readonly lastSeq: number
  /** Called once when the fence is found to be lost. */
  readonly onStale: () => void
  /** Gets the bytes of each event that is written, in order. They are the writer's own: read them at once. */
  readonly written?: { add(bytes: Buffer): void } | undefined
}

/**
 * Numbers events and brings them into the log in batches, without a timer: while one append is in flight the next
 * events gather. So a single event costs no delay and a flood few round trips.
 *
 * States: idle → sending → (confirmed) idle | sending … → stale, where every further event is dropped.
 */
export class LogWriter {
  readonly #options: LogWriterOptions
  /** Batches not confirmed yet, oldest first; the last one may still grow unless it is in flight. */
  readonly #pending: EventBatch[] = []
  /** Confirmed batches, oldest first, bounded by TAIL_BYTES. */
  readonly #tail: EventBatch[] = []
  #tailBytes = 0
  #pendingBytes = 0
  #nextSeq: number
  #sending = false
  #evenIfFull = false
  #stale = false
  #waiters: Array<() => void> = []
  storedBytes = 0

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#nextSeq = options.lastSeq + 1
  }

  get isStale(): boolean {
    return this.#stale
  }

  /** More is waiting than should be: stop producing and await `flushed()`. */
  get isFull(): boolean {
    return this.#pendingBytes > HIGH_WATER_BYTES
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  write(event: NewEvent): void {
    if (this.#stale) return
    const { attempt, written } = this.#options
    const line = toLine(this.#nextSeq++, event, Date.now(), attempt)
    const bytes = this.#pending.at(-1)?.add(line) ?? this.#begin(line)
    written?.add(bytes)
    const size = bytes.length
    this.#pendingBytes += size
    this.storedBytes += size
    this.#send()
  }

  /**
   * From now on also where Redis is at its maxmemory: the run ends, what it still has to say is little, and its end
   * comes after that.
   */
  storeEvenIfFull(): void {
    this.#evenIfFull = true
  }

  /** Resolves when everything written so far is confirmed, or the fence is lost. */
  async flushed(): Promise<void> {
    while (this.#pending.length > 0 && !this.#stale) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  /** Resolves when there is room again, or the fence is lost. */
  async drained(): Promise<void> {
    while (this.isFull && !this.#stale) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  #send(): void {
    if (this.#sending || this.#stale || this.#pending.length === 0) return
    this.#sending = true
    // A promise of its own: whoever must know awaits flushed(); #sendAll handles every failure itself.
    void this.#sendAll().finally(() => {
      this.#sending = false
      this.#wake()
      this.#send()
    })
  }

  #begin(line: Line): Buffer {
    // As long as the one before, probably: an event that comes alone takes no memory for a flood.
    const batch = new EventBatch(this.#nextSeq - 1, this.#pending.at(-1)?.size)
    this.#pending.push(batch)
    return batch.begin(line)
  }

  async #sendAll(): Promise<void> {
    // Let the events of this tick gather.
    await Promise.resolve()
    for (let batch = this.#pending[0]; batch && !this.#stale; batch = this.#pending[0]) {
      batch.close()
      await this.#sendOne(batch)
      this.#wake()
    }
  }

  async #sendOne(batch: EventBatch): Promise<void> {
    const { log, executionId, fence } = this.#options
    try {
      const answer = await log.append(executionId, fence, batch, this.#evenIfFull)
      if (answer.kind === 'ok') this.#confirm(batch)
      else if (answer.kind === 'gap') this.#goBackTo(answer.lastSeq)
      else this.#giveUp()
    } catch {
      // The connection keeps commands until Redis is back; what still fails (out of memory, read-only) is asked again.
      await sleep(RETRY_MS)
    }
  }

  #confirm(batch: EventBatch): void {
    this.#pending.shift()
    this.#pendingBytes -= batch.size
    this.#tail.push(batch)
    this.#tailBytes += batch.size
    while (this.#tailBytes > TAIL_BYTES && this.#tail.length > 1) this.#tailBytes -= this.#tail.shift()?.size ?? 0
  }

  /**
   * The log ends before what was confirmed (Redis lost its last moments) or inside what is pending: send from there.
   */
  #goBackTo(lastSeq: number): void {
    while (this.#tail.length > 0 && (this.#tail.at(-1)?.last ?? 0) > lastSeq) {
      const batch = this.#tail.pop()
      if (!batch) break
      this.#tailBytes -= batch.size
      this.#pendingBytes += batch.size
      this.#pending.unshift(batch)
    }
    const kept = this.#pending.flatMap((batch) => (batch.last > lastSeq ? batch.after(lastSeq) : []))
    if (kept[0]?.first !== lastSeq + 1) return this.#giveUp()
    this.#pending.splice(0, this.#pending.length, ...kept)
    this.#pendingBytes = kept.reduce((sum, line) => sum + line.size, 0)
  }

  #giveUp(): void {
    this.#stale = true
    this.#pending.length = 0
    this.#pendingBytes = 0
    this.#options.onStale()
  }

  /** The seq that the concluding event will take, once everything is flushed. */
  get nextSeq(): number {
    return this.#nextSeq
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}
