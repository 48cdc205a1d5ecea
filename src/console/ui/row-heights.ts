const FIRST_CAPACITY = 1_024

/**
 * Where each row of a long list begins, of rows that were measured and of those whose height is only estimated. Sums
 * stand in a binary indexed tree: to append, to measure and to find a row takes some twenty steps for a hundred
 * thousand of them, where a list of starts would be written anew from the first row that changes.
 */
export class RowHeights {
  readonly #estimate: number
  #count = 0
  #heights = new Float64Array(FIRST_CAPACITY)
  /** At `n`, counted from 1: the sum of the last `n & -n` rows up to the row `n - 1`. */
  #sums = new Float64Array(FIRST_CAPACITY + 1)

  constructor(estimate: number) {
    this.#estimate = estimate
  }

  get count(): number {
    return this.#count
  }

  get total(): number {
    return this.startOf(this.#count)
  }

  /** Rows come at the end, and go from there. */
  resize(count: number): void {
    if (count > this.#heights.length) {
      const capacity = Math.max(count, this.#heights.length * 2)
      this.#heights = grown(this.#heights, capacity)
      this.#sums = grown(this.#sums, capacity + 1)
    }
    for (let index = this.#count; index < count; index += 1) {
      this.#heights[index] = this.#estimate
      const node = index + 1
      let sum = this.#estimate
      for (let below = node - 1; below > node - (node & -node); below -= below & -below) sum += this.#sums[below] ?? 0
      this.#sums[node] = sum
    }
    // What lies behind the end is in no sum that is read, and written when a row comes there again.
    this.#count = count
  }

  heightOf(index: number): number {
    return this.#heights[index] ?? 0
  }

  /** False where it is what was known. */
  set(index: number, height: number): boolean {
    const change = height - this.heightOf(index)
    // Browsers give fractions: what nobody can see is no change.
    if (index >= this.#count || Math.abs(change) < 0.05) return false
    this.#heights[index] = height
    for (let node = index + 1; node <= this.#count; node += node & -node)
      this.#sums[node] = (this.#sums[node] ?? 0) + change
    return true
  }

  startOf(index: number): number {
    let sum = 0
    for (let node = Math.min(index, this.#count); node > 0; node -= node & -node) sum += this.#sums[node] ?? 0
    return sum
  }

  /** The row that lies at this distance from the top; the nearest one where none does. */
  indexAt(offset: number): number {
    let index = 0
    let left = offset
    for (let step = 2 ** Math.floor(Math.log2(Math.max(1, this.#count))); step >= 1; step /= 2) {
      const sum = this.#sums[index + step] ?? 0
      if (index + step > this.#count || sum > left) continue
      index += step
      left -= sum
    }
    return Math.max(0, Math.min(index, this.#count - 1))
  }
}

function grown(values: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  const next = new Float64Array(length)
  next.set(values)
  return next
}
