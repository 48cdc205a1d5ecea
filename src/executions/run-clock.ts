/** A deadline that stands still while the run is paused. Fires once. */
export class Deadline {
  readonly #onFire: () => void
  #remainingMs: number
  #startedAt = 0
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
    this.#remainingMs -= performance.now() - this.#startedAt
  }

  resume(): void {
    if (this.#timer) return
    this.#startedAt = performance.now()
    this.#timer = setTimeout(this.#onFire, Math.max(0, this.#remainingMs))
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
