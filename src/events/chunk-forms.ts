import type { Chunk } from './chunk.js'

/** Of all chunks together. */
const KEPT_BYTES = 8 * 1024 * 1024

/**
 * What a chunk looks like on a wire, made once for all who get the same. Bounded for the whole process: a connection
 * with a thousand subscriptions needs a thousand forms of each chunk.
 */
export class ChunkForms {
  readonly #forms = new WeakMap<Chunk, Map<string, Buffer>>()
  readonly #kept: Array<readonly [chunk: Chunk, name: string, bytes: number]> = []
  #start = 0
  #bytes = 0

  get(chunk: Chunk, name: string, make: () => Buffer): Buffer {
    let forms = this.#forms.get(chunk)
    const known = forms?.get(name)
    if (known) return known
    const made = make()
    if (!forms) this.#forms.set(chunk, (forms = new Map()))
    forms.set(name, made)
    this.#kept.push([chunk, name, made.length])
    this.#bytes += made.length
    this.#forget()
    return made
  }

  #forget(): void {
    while (this.#bytes > KEPT_BYTES && this.#start < this.#kept.length) this.#forgetOldest()
    if (this.#start * 2 < this.#kept.length) return
    this.#kept.splice(0, this.#start)
    this.#start = 0
  }

  #forgetOldest(): void {
    const [chunk, name, bytes] = this.#kept[this.#start++] ?? []
    if (chunk === undefined || name === undefined) return
    this.#forms.get(chunk)?.delete(name)
    this.#bytes -= bytes ?? 0
  }
}
