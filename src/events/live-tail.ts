import { cutAfter, keepChunks, type Chunk } from './chunk.js'

/** What one API process keeps in memory of a running execution for those who have not taken it yet. */
const TAIL_BYTES = 1024 * 1024

/**
 * The newest events of one execution, contiguous, as far as somebody who follows it in this process has yet to take
 * them. Past the bound the oldest are forgotten: whoever is slower than that reads the log.
 */
export class LiveTail {
  /** Those before `#start` are forgotten; what is moved for it is less than what has been forgotten. */
  #chunks: Chunk[] = []
  #start = 0
  /** Those from here on still lie in the memory of the driver. */
  #kept = 0
  #bytes = 0
  /** The seq up to which this tail knows the log. */
  lastSeq: number
  isFinished = false
  /** The log was deleted. */
  isGone = false

  constructor(lastSeq: number) {
    this.lastSeq = lastSeq
  }

  /** false: events between are missing, the log must be read. */
  add(chunks: readonly Chunk[]): boolean {
    const [first] = chunks
    if (first && first.first > this.lastSeq + 1) return false
    for (const chunk of chunks) {
      if (chunk.last <= this.lastSeq) continue
      const fresh = cutAfter(chunk, this.lastSeq)
      this.#chunks.push(fresh)
      this.#bytes += fresh.bytes.length
      this.lastSeq = fresh.last
      this.isFinished ||= fresh.isTerminal
    }
    return true
  }

  /**
   * Takes the last events of a log that is found shorter than what was seen of it: where it has ended there, nothing
   * will follow.
   */
  endShort(chunks: readonly Chunk[]): boolean {
    const last = chunks.at(-1)
    if (!last?.isTerminal || last.last > this.lastSeq) return false
    this.lastSeq = last.last
    this.isFinished = true
    this.#chunks = [...chunks]
    this.#start = 0
    this.#kept = 0
    this.#bytes = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
    return true
  }

  /** The chunk with the event after the cursor, or undefined where the tail does not have it. */
  after(cursor: number): Chunk | undefined {
    const oldest = this.#chunks[this.#start]
    if (!oldest || cursor + 1 < oldest.first || cursor >= this.lastSeq) return undefined
    let [low, high] = [this.#start, this.#chunks.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#chunks[middle]?.last ?? 0) > cursor) high = middle
      else low = middle + 1
    }
    return this.#chunks[low]
  }

  /** Forgets what everybody has taken, and what is beyond the bound; what stays gets memory of its own. */
  keepAfter(cursor: number): void {
    const newest = this.#chunks.length - 1
    for (let oldest = this.#chunks[this.#start]; oldest; oldest = this.#chunks[this.#start]) {
      if (oldest.last > cursor && (this.#bytes <= TAIL_BYTES || this.#start === newest)) break
      this.#bytes -= oldest.bytes.length
      this.#start += 1
    }
    if (this.#start * 2 >= this.#chunks.length) {
      this.#kept = Math.max(0, this.#kept - this.#start)
      this.#chunks = this.#start > newest ? [] : this.#chunks.slice(this.#start)
      this.#start = 0
    }
    for (let at = Math.max(this.#start, this.#kept); at < this.#chunks.length; at += 1) {
      const chunk = this.#chunks[at]
      if (chunk) keepChunks([chunk])
    }
    this.#kept = this.#chunks.length
  }
}
