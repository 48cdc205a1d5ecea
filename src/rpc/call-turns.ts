/** A round of turns ends after so long; what else the process has to do comes before the next one. */
const ROUND_MS = 5

/** Starts the next call of a connection; whether it has another one to start. */
export type StartNext = () => boolean

/**
 * The connections of a process that have a call to start: one call each, in turn. However many calls one connection has
 * sent, another one's next call waits for one of each at most.
 */
export class CallTurns {
  readonly #ready = new Set<StartNext>()
  #isScheduled = false

  /** Asks for a turn; asking again before it has come changes nothing. */
  ask(startNext: StartNext): void {
    this.#ready.add(startNext)
    this.#schedule()
  }

  withdraw(startNext: StartNext): void {
    this.#ready.delete(startNext)
  }

  #schedule(): void {
    if (this.#isScheduled || this.#ready.size === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#takeRound()
      this.#schedule()
    })
  }

  #takeRound(): void {
    const endsAt = performance.now() + ROUND_MS
    for (const startNext of this.#ready) {
      this.#ready.delete(startNext)
      if (startNext()) this.#ready.add(startNext)
      if (performance.now() >= endsAt) return
    }
  }
}
