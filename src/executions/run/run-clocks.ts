import type { Clock } from '../../claude/stream/result-phases.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import { Deadline } from './pausable-deadline.js'
import { stopCauses, type RunStopCause } from './stop-causes.js'

/** A tool may work in silence for long: while its call is unanswered the idle limit is so many times longer. */
const IDLE_FACTOR_IN_TOOL = 10

/** The run is paused, or waits for a person. */
type ClockHold = 'paused' | 'approval'

/**
 * The clocks of one attempt; all of them stand still while it is paused, and while it waits for a decision. After it
 * was parked the timeout goes on where it stood.
 */
export class RunClocks {
  readonly #run: Pick<RunRequest, 'timeoutSeconds' | 'idleTimeoutSeconds'>
  /** For how long the attempts ran whose timeout this one takes up. */
  readonly #ranMs: number
  readonly #deadlines = new Set<Deadline>()
  /** Why they stand still: any of these is enough. */
  readonly #holds = new Set<ClockHold>()
  #total: Deadline | undefined
  #idle: Deadline | undefined

  constructor(run: Pick<RunRequest, 'timeoutSeconds' | 'idleTimeoutSeconds'>, ranMs = 0) {
    this.#run = run
    this.#ranMs = ranMs
  }

  /** From GO on. */
  begin(end: (cause: RunStopCause) => void): void {
    const { timeoutSeconds, idleTimeoutSeconds } = this.#run
    const leftMs = Math.max(0, timeoutSeconds * 1_000 - this.#ranMs)
    this.#total = this.#add(leftMs, () => end(stopCauses.timedOut(timeoutSeconds)))
    if (idleTimeoutSeconds === undefined) return
    this.#idle = this.#add(idleTimeoutSeconds * 1_000, () => end(stopCauses.idle(idleTimeoutSeconds)))
  }

  /** For how long it has been going on, pauses left out, with the attempts that it goes on with. */
  get activeMs(): number {
    return this.#ranMs + (this.#total?.ranMs ?? 0)
  }

  /** The CLI has said something; a tool or a background task at work may be silent for longer. */
  noteOutput(isAtWork: boolean): void {
    this.#idle?.reset((this.#run.idleTimeoutSeconds ?? 0) * 1_000 * (isAtWork ? IDLE_FACTOR_IN_TOOL : 1))
  }

  readonly start = (milliseconds: number, onFire: () => void): Clock => {
    const deadline = this.#add(milliseconds, onFire)
    return {
      close: () => {
        deadline.close()
        this.#deadlines.delete(deadline)
      },
    }
  }

  pause(why: ClockHold = 'paused'): void {
    this.#holds.add(why)
    for (const deadline of this.#deadlines) deadline.pause()
  }

  resume(why: ClockHold = 'paused'): void {
    this.#holds.delete(why)
    if (this.#isHeld) return
    for (const deadline of this.#deadlines) deadline.resume()
  }

  close(): void {
    for (const deadline of this.#deadlines) deadline.close()
  }

  get #isHeld(): boolean {
    return this.#holds.size > 0
  }

  #add(milliseconds: number, onFire: () => void): Deadline {
    const deadline = new Deadline(milliseconds, onFire)
    if (this.#isHeld) deadline.pause()
    this.#deadlines.add(deadline)
    return deadline
  }
}
