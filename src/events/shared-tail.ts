import type { Chunk } from './chunk.js'
import { LiveTail } from './live-tail.js'

/** So long one go may take; the rest of the readers get theirs after what else the process has to do. */
const GO_MS = 5
/** Readers between two looks at the clock. */
const READERS_PER_LOOK = 32

interface Reader {
  readonly cursor: number
  wake(): void
}

/** The tail of one followed execution, and those in this process who follow it. */
export class SharedTail {
  readonly tail: LiveTail
  readonly readers = new Set<Reader>()
  /** Set while the log is read for this tail, so that one gap is repaired once. */
  repairing: Promise<void> | undefined
  #round: Iterator<Reader> | undefined
  /** Something came while readers were woken. */
  #isStale = false
  /** The least cursor of this round. */
  #taken = 0

  constructor(lastSeq: number) {
    this.tail = new LiveTail(lastSeq)
  }

  /** As of the tail; what is new is taken by all who can before this returns, or soon after. */
  add(chunks: readonly Chunk[]): boolean {
    const known = this.tail.lastSeq
    const fits = this.tail.add(chunks)
    if (this.tail.lastSeq > known) this.wake()
    return fits
  }

  wake(): void {
    this.#isStale = true
    if (!this.#round) this.#go()
  }

  /** Forgets what was taken since. */
  trim(): void {
    let taken = this.tail.lastSeq
    for (const { cursor } of this.readers) taken = Math.min(taken, cursor)
    this.tail.keepAfter(taken)
  }

  #go = (): void => {
    const begun = performance.now()
    while (this.#isStale || this.#round) {
      if (!this.#round) {
        this.#round = this.readers.values()
        this.#isStale = false
        this.#taken = this.tail.lastSeq
      }
      for (let count = 0; ; count += 1) {
        if (count === READERS_PER_LOOK) {
          if (performance.now() - begun > GO_MS) return void setImmediate(this.#go)
          count = 0
        }
        const { value: reader, done } = this.#round.next()
        if (done === true) break
        reader.wake()
        if (reader.cursor < this.#taken) this.#taken = reader.cursor
      }
      this.#round = undefined
      this.tail.keepAfter(this.#taken)
    }
  }
}
