/**
 * Lets so many pass at once: a start of the CLI costs half a second of CPU, so more at once than there are cores only
 * makes all slower. What nobody waits for passes when nobody else wants to.
 */
export class StartGate {
  readonly #capacity: number
  #inside = 0
  readonly #waiting: Array<() => void> = []
  readonly #inNoHurry: Array<() => void> = []

  constructor(capacity: number) {
    this.#capacity = Math.max(1, capacity)
  }

  async enter(): Promise<void> {
    if (this.#inside >= this.#capacity) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#inside += 1
  }

  /** Behind all who wait, and only when nobody else is starting. */
  async enterLast(): Promise<void> {
    if (this.#inside > 0) await new Promise<void>((resolve) => this.#inNoHurry.push(resolve))
    else this.#inside += 1
  }

  /** Hands the place over to whoever waits longest. */
  leave(): void {
    const next = this.#waiting.shift()
    if (next) return next()
    this.#inside -= 1
    if (this.#inside > 0) return
    const last = this.#inNoHurry.shift()
    if (!last) return
    this.#inside += 1
    last()
  }
}
