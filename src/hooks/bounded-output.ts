/**
 * Keeps the beginning and the end of what is written, however much it is; memory stays below three times `partBytes`
 * and a chunk.
 */
export class BoundedOutput {
  readonly #partBytes: number
  #head: Buffer = Buffer.alloc(0)
  #tail: Buffer = Buffer.alloc(0)
  bytes = 0

  constructor(partBytes: number) {
    this.#partBytes = partBytes
  }

  push(chunk: Buffer): void {
    this.bytes += chunk.length
    const missing = this.#partBytes - this.#head.length
    if (missing > 0) this.#head = Buffer.concat([this.#head, chunk.subarray(0, missing)])
    const rest = chunk.subarray(Math.max(0, missing))
    if (rest.length === 0) return
    // Copied: a slice would hold the whole chunk in memory.
    this.#tail =
      rest.length >= this.#partBytes
        ? Buffer.from(rest.subarray(-this.#partBytes))
        : Buffer.concat([this.#tail, rest]).subarray(-this.#partBytes)
  }

  text(): string {
    const left = this.bytes - this.#head.length - this.#tail.length
    // Decoded together where nothing lies between: a character may stand on the seam.
    return left === 0
      ? Buffer.concat([this.#head, this.#tail]).toString()
      : `${this.#head.toString()}\n… ${left} bytes omitted …\n${this.#tail.toString()}`
  }
}
