/** A run that waits for a decision beyond its hold, and keeps its slot, as its call cannot be kept without a CLI. */
export interface HeldRun {
  /** Its calls are denied, to be made again so that they can be kept. */
  giveUp(): void
}

/** The held runs of a worker. Beyond the limit the one that has been held longest is given up. */
export class HeldRuns {
  readonly #limit: number
  /** In the order in which their holds ended. */
  readonly #runs = new Set<HeldRun>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Again changes nothing. */
  enter(run: HeldRun): void {
    if (this.#runs.has(run)) return
    this.#runs.add(run)
    const [oldest] = this.#runs.size > this.#limit ? this.#runs : []
    if (!oldest) return
    this.#runs.delete(oldest)
    oldest.giveUp()
  }

  leave(run: HeldRun): void {
    this.#runs.delete(run)
  }
}
