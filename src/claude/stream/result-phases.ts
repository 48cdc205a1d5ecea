import type { Writable } from 'node:stream'
import type { BackgroundTask, EventData, NewEvent } from '../../protocol/events.js'
import type { Inbox } from './inbox.js'
import type { Observation } from './observation.js'

/**
 * Time for the CLI to begin a turn about a task that has ended, or to continue a subagent for it: a tenth of a second
 * is usual (measured, both versions). Not every end is followed by a turn: none where the model heard of it in the
 * middle of the turn before, where the task was stopped, or where a subagent that is gone had started it.
 */
const SETTLE_MS = 2_000
/** Time for the CLI from its last result to its exit, paused or not: a pause that comes then comes too late. */
const EXIT_MS = 9_000
/** How long the CLI may take to begin with a message that waited for its result; it does so at once (both versions). */
const BEGIN_MS = 60_000

/**
 * What follows a `result`.
 *
 *     working   → waiting    a result came while background tasks live: it is interim, standard input stays open
 *     working   → settling   a result of a run that had background tasks: the CLI may begin another turn about one
 *     working   → working    a result, and a message was sent before it: the CLI goes on with that by itself
 *     working   → judging    a result, and nothing is left: whether a follow-up is needed is being found out
 *     judging   → finishing  none is: standard input is closed, which makes the CLI exit
 *     waiting   → settling   the last task has ended
 *     settling, finishing → waiting   a subagent is continued
 *     settling  → judging    no turn has begun within SETTLE_MS
 *     judging   → working    a follow-up is sent
 *     settling, judging → working   a message is sent
 *     waiting, settling, judging, finishing → working   a further turn has begun
 *     any       → ending     a result is an error, whatever lives beside it: what follows is decided by its cause (a
 *                            limit waits in the queue, another attempt takes up the session), and no task makes an
 *                            answer of it
 *     any       → ending     the run is ended from our side, or at EXIT_MS; nothing is asked of the CLI any more
 *
 * Where it is known at once whether a follow-up is needed, `judging` is passed over.
 */
export type Phase = 'working' | 'waiting' | 'settling' | 'judging' | 'finishing' | 'ending'

const NEXT: Readonly<Record<Phase, readonly Phase[]>> = {
  working: ['waiting', 'settling', 'judging', 'finishing', 'ending'],
  waiting: ['working', 'settling', 'judging', 'ending'],
  settling: ['working', 'waiting', 'judging', 'finishing', 'ending'],
  judging: ['working', 'waiting', 'settling', 'finishing', 'ending'],
  finishing: ['working', 'waiting', 'ending'],
  ending: [],
}

export interface Clock {
  close(): void
}

export const startTimer = (milliseconds: number, onFire: () => void): Clock => {
  const timer = setTimeout(onFire, milliseconds)
  return { close: () => clearTimeout(timer) }
}

/** What the caller decides about background tasks that outlive an interim `result`. */
export interface BackgroundWaits {
  /** Undefined: they end with this result. Not asked after an error, which ends them in any case. */
  readonly begin: (tasks: readonly BackgroundTask[]) => EventData<'background.waiting'> | undefined
  readonly end: () => void
}

/**
 * Asked after a final result while standard input is open: a further line for the CLI, or undefined, which closes it.
 * What is found out later counts only where nothing has happened meanwhile.
 */
export interface FollowUp {
  readonly find: () => string | undefined | Promise<string | undefined>
  readonly onSent?: () => void
}

export interface ResultPhasesOptions {
  readonly observation: Observation
  readonly stdin: Writable
  readonly inbox: Inbox
  readonly followUp: FollowUp | undefined
  readonly background: BackgroundWaits
  /** Stands still while the run is paused. */
  readonly startClock: (milliseconds: number, onFire: () => void) => Clock
  readonly onPhase: ((phase: Phase) => void) | undefined
  /** Background tasks end with the result, as was asked for or because it is an error. */
  readonly endTasks: () => void
  /** It does not exit. */
  readonly force: () => void
}

/** Changes with every beginning and every end. */
const nameTasks = ({ liveTasks, tasksEnded }: Observation): string =>
  [tasksEnded, ...liveTasks.map(({ id }) => id)].join(' ')

/** Told of every line of the CLI; keeps the phase, and with it when standard input is closed. */
export class ResultPhases {
  readonly #options: ResultPhasesOptions
  #phase: Phase = 'working'
  #results = 0
  #tasks = ''
  #clock: Clock | undefined
  /** What was asked last. */
  #asked: Promise<unknown> | undefined

  constructor(options: ResultPhasesOptions) {
    this.#options = options
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The observation stands as it is after the line. */
  noteLine(): NewEvent[] {
    const { observation, stdin } = this.#options
    const isResult = observation.results > this.#results
    this.#results = observation.results
    if (this.#phase === 'ending') {
      // What was interrupted has ended: without further input the CLI exits.
      if (isResult) stdin.end()
      return []
    }
    // One without a turn after the last (a process of the run may have written it) brings nothing back.
    if (isResult)
      return this.#follow(observation.tasksEnded > 0 && this.#phase !== 'finishing' ? 'settling' : 'finishing')
    if (this.#phase === 'working') {
      if (observation.turnActive) this.#stopClock()
      return []
    }
    if (observation.turnActive) {
      this.#enter('working')
      return []
    }
    return this.#tasks === nameTasks(observation) ? [] : this.#follow('settling')
  }

  /** A further line of the user's; false where none is taken any more. */
  sendFurther(line: string): boolean {
    const { stdin } = this.#options
    if (!stdin.writable || this.#phase === 'finishing' || this.#phase === 'ending') return false
    stdin.write(line)
    // Between turns it begins one.
    if (this.#phase === 'settling' || this.#phase === 'judging') this.#awaitTurn()
    return true
  }

  /** From now on nothing is asked of the CLI. */
  enterEnding(): void {
    if (this.#phase !== 'ending') this.#enter('ending')
  }

  close(): void {
    this.#clock?.close()
    this.#asked = undefined
  }

  #follow(next: 'settling' | 'finishing'): NewEvent[] {
    const { observation, background, endTasks } = this.#options
    const isError = observation.lastResult?.isError === true
    if (observation.liveTasks.length > 0) {
      const waiting = isError ? undefined : background.begin(observation.liveTasks)
      if (waiting === undefined) {
        if (this.#goesOn(isError)) return []
        // An answer that is to be repaired is not the one that they end with.
        this.#ask(endTasks)
        return []
      }
      this.#enter('waiting')
      return [{ type: 'background.waiting', data: waiting }]
    }
    if (this.#goesOn(isError)) return []
    if (next === 'finishing') this.#ask(() => this.#finish())
    else {
      this.#enter('settling')
      this.#clock = this.#options.startClock(SETTLE_MS, () => this.#ask(() => this.#finish()))
    }
    return []
  }

  /**
   * A message waits that was sent before the result: its turn follows. After an error it is taken back, as it is to
   * reach the attempt that follows, or to be told as dropped.
   */
  #goesOn(isError: boolean): boolean {
    const { inbox, stdin } = this.#options
    if (!inbox.isAwaited || !stdin.writable) return false
    if (isError) {
      stdin.write(inbox.takeBack())
      return false
    }
    this.#awaitTurn()
    return true
  }

  #awaitTurn(): void {
    const { inbox, stdin, startClock } = this.#options
    this.#enter('working')
    this.#clock = startClock(BEGIN_MS, () => {
      if (stdin.writable) stdin.write(inbox.takeBack())
      this.#finish()
    })
  }

  #finish(): void {
    const { stdin, force } = this.#options
    this.#enter('finishing')
    stdin.end()
    this.#clock = startTimer(EXIT_MS, force)
  }

  #ask(otherwise: () => void): void {
    const { stdin, followUp } = this.#options
    const asked = stdin.writable ? followUp?.find() : undefined
    if (!(asked instanceof Promise)) return this.#send(asked, otherwise)
    this.#enter('judging')
    this.#asked = asked
    void this.#awaitFollowUp(asked, otherwise)
  }

  async #awaitFollowUp(asked: Promise<string | undefined>, otherwise: () => void): Promise<void> {
    const line = await asked.catch(() => undefined)
    if (this.#phase === 'judging' && this.#asked === asked) this.#send(line, otherwise)
  }

  #send(line: string | undefined, otherwise: () => void): void {
    const { stdin, followUp } = this.#options
    if (line === undefined || !stdin.writable) return otherwise()
    if (this.#phase !== 'working') this.#enter('working')
    stdin.write(line)
    followUp?.onSent?.()
  }

  #stopClock(): void {
    this.#clock?.close()
    this.#clock = undefined
  }

  /** Entering a phase again starts it anew. */
  #enter(next: Phase): void {
    const { observation, background, onPhase } = this.#options
    if (next !== this.#phase && !NEXT[this.#phase].includes(next))
      throw new Error(`a run goes from ${this.#phase} to ${next}`)
    this.#stopClock()
    if (this.#phase === 'waiting' && next !== 'waiting') background.end()
    this.#phase = next
    this.#tasks = nameTasks(observation)
    onPhase?.(next)
  }
}
