import { setTimeout as wait } from 'node:timers/promises'
import type { BackgroundTask } from '../../protocol/events.js'
import type { SupervisedProcess } from '../../supervision/supervised-process.js'
import type { Inbox } from './inbox.js'
import type { Observation } from './observation.js'

const INTERRUPT_MS = 3_000
const TERMINATE_MS = 3_000

/**
 * `gently` keeps the session resumable, `at_once` kills. `keeping_the_call`: resumable with the call that waits for
 * permission, which an interrupt would refuse; SIGTERM leaves it, and the CLI writes its transcript to the end.
 */
export type StopUrgency = 'gently' | 'at_once' | 'keeping_the_call'

/** Why a CLI is ended that has given its result: it does not exit, or its background tasks end with the result. */
export type EndAfterResult = 'hung' | 'with_tasks'

export interface ClaudeEndingOptions {
  readonly child: SupervisedProcess
  readonly observation: Observation
  readonly inbox: Inbox
  /** Called once, when the first step begins. */
  readonly onBegin: () => void
}

/** What a further turn may change of an answer. */
const answerOf = ({ lastResult, partialText, stopReason }: Observation): Partial<Observation> => ({
  lastResult,
  partialText,
  stopReason,
})

/**
 * Ends a CLI from our side. The first call decides how; later ones change nothing.
 *
 *     running → interrupting   gently, in the middle of a turn: a control interrupt
 *     running → terminating    gently, between turns, where there is nothing to interrupt; or keeping the call
 *     running → killing        at once
 *     interrupting → terminating → killing   it has not exited within INTERRUPT_MS, TERMINATE_MS
 */
export class ClaudeEnding {
  readonly #options: ClaudeEndingOptions
  #steps: Promise<void> | undefined
  #afterResult: EndAfterResult | undefined
  #unfinishedTasks: readonly BackgroundTask[] | undefined
  /** The answer as it was when the run was ended between two turns. */
  #answer: Partial<Observation> | undefined

  constructor(options: ClaudeEndingOptions) {
    this.#options = options
  }

  get hasBegun(): boolean {
    return this.#steps !== undefined
  }

  get afterResult(): EndAfterResult | undefined {
    return this.#afterResult
  }

  /** Background tasks that were alive when the ending began; before that, those that are alive now. */
  get unfinishedTasks(): readonly BackgroundTask[] {
    return this.#unfinishedTasks ?? this.#options.observation.liveTasks
  }

  begin(urgency: StopUrgency): void {
    this.#steps ??= this.#end(urgency)
    // `settled` passes a failure on.
    this.#steps.catch(() => undefined)
  }

  beginAfterResult(why: EndAfterResult): void {
    this.#afterResult ??= why
    this.begin(why === 'hung' ? 'at_once' : 'gently')
  }

  /** Resolves after the last step, or at once where nothing was ended. */
  async settled(): Promise<void> {
    await this.#steps
  }

  /** To be called after the last line: a turn that the ending itself has caused is no answer to what was asked. */
  restoreAnswer(): void {
    if (this.#answer) Object.assign(this.#options.observation, this.#answer)
  }

  async #end(urgency: StopUrgency): Promise<void> {
    const { child, observation, inbox, onBegin } = this.#options
    // SIGTERM ends background tasks as well, and an older CLI tells the model of their end before it exits.
    const isBetweenTurns = observation.lastResult !== undefined && !observation.turnActive
    if (isBetweenTurns) this.#answer = answerOf(observation)
    this.#unfinishedTasks = observation.liveTasks
    onBegin()
    if (urgency !== 'at_once') {
      // A child that cannot be resumed gets neither interrupt nor SIGTERM, but SIGKILL.
      await child.resume().catch(() => undefined)
      if (child.stdin.writable && !isBetweenTurns && urgency === 'gently') {
        // What waits behind the turn would be run after the interrupt.
        child.stdin.write(
          `${inbox.takeBack()}${JSON.stringify({ type: 'control_request', request_id: 'stop', request: { subtype: 'interrupt' } })}\n`,
        )
        if (await this.#exitsWithin(INTERRUPT_MS)) return
      }
      child.terminate()
      if (await this.#exitsWithin(TERMINATE_MS)) return
    }
    await child.killAll()
  }

  #exitsWithin(milliseconds: number): Promise<boolean> {
    const exited = this.#options.child.exited.then(() => true)
    return Promise.race([exited, wait(milliseconds, false, { ref: false })])
  }
}
