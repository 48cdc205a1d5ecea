/** A deadline that stands still while the run is paused. Fires once. */
export class Deadline {
  readonly #onFire: () => void
  #remainingMs: number
  #startedAt = 0
  #ranMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(milliseconds: number, onFire: () => void) {
    this.#remainingMs = milliseconds
    this.#onFire = onFire
    this.resume()
  }

  pause(): void {
    if (!this.#timer) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    const ranMs = performance.now() - this.#startedAt
    this.#remainingMs -= ranMs
    this.#ranMs += ranMs
  }

  resume(): void {
    if (this.#timer) return
    this.#startedAt = performance.now()
    this.#timer = setTimeout(this.#onFire, Math.max(0, this.#remainingMs))
  }

  /** For how long it has run so far, pauses left out. */
  get ranMs(): number {
    return this.#ranMs + (this.#timer ? performance.now() - this.#startedAt : 0)
  }

  /** Starts anew with so much time. */
  reset(milliseconds: number): void {
    const isRunning = this.#timer !== undefined
    this.pause()
    this.#remainingMs = milliseconds
    if (isRunning) this.resume()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
