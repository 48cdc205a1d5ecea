import { createHash } from 'node:crypto'
import type { z } from 'zod'
import type { ReceiptEvents } from '../protocol/receipt.js'

export type ChainSummary = z.infer<typeof ReceiptEvents>

/** So many marks at most: they locate a change to one event of a short log, to a stretch of a long one. */
const MARK_LIMIT = 128
const MARK_DIGITS = 8

/**
 * The hash chain over the events of one log: `h[0]` is 32 zero bytes, `h[n] = SHA-256(h[n-1] ‖ the bytes of event n)`.
 */
export class EventChain {
  #head: Buffer = Buffer.alloc(32)
  #count = 0
  #markEvery = 1
  #marks: string[] = []

  /** `bytes`: the event as it is stored, without a line break. */
  add(bytes: Buffer | string): void {
    this.#head = createHash('sha256').update(this.#head).update(bytes).digest()
    this.#count += 1
    if (this.#count % this.#markEvery !== 0) return
    this.#marks.push(this.#head.toString('hex', 0, MARK_DIGITS / 2))
    if (this.#marks.length <= MARK_LIMIT) return
    // Every second one goes, so that the bound holds however long the log becomes.
    this.#markEvery *= 2
    this.#marks = this.#marks.filter((_mark, index) => index % 2 === 1)
  }

  get head(): string {
    return this.#head.toString('hex')
  }

  summary(): ChainSummary {
    return { count: this.#count, head: this.head, markEvery: this.#markEvery, marks: this.#marks }
  }
}
