import type { RunStopCause } from './stop-causes.js'

/**
 * Whether and why an attempt is ended from our side. The first cause wins: what follows from it does not change what
 * happened.
 *
 *     open    → stopped    a cause, which is the outcome of the attempt
 *     open    → answered   a cause that yields to an answer which is whole: only what the CLI has left is ended
 *     stopped → answered   the answer had come all the same
 */
export class AttemptStop {
  readonly #hasAnswered: () => boolean
  readonly #onStop: () => void
  readonly #controller = new AbortController()
  #state: 'open' | 'stopped' | 'answered' = 'open'
  #first: RunStopCause | undefined

  /** `onStop` is called once, before `signal` aborts. */
  constructor(hasAnswered: () => boolean, onStop: () => void) {
    this.#hasAnswered = hasAnswered
    this.#onStop = onStop
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get cause(): RunStopCause | undefined {
    return this.#state === 'stopped' ? this.#first : undefined
  }

  get isAnswered(): boolean {
    return this.#state === 'answered'
  }

  /** Its reason is the cause's urgency. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  readonly request = (cause: RunStopCause): void => {
    if (this.#state !== 'open') return
    this.#first = cause
    this.#state = cause.yieldsToAnswer && this.#hasAnswered() ? 'answered' : 'stopped'
    this.#onStop()
    this.#controller.abort(cause.urgency)
  }

  acceptAnswer(): void {
    if (this.#state === 'stopped') this.#state = 'answered'
  }
}
