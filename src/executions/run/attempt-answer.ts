import type { Judgement } from '../../claude/stream/classify-exit.js'
import type { ClaudeResult, Observation } from '../../claude/stream/observation.js'
import type { FollowUp, Phase } from '../../claude/stream/result-phases.js'
import { NOT_JUDGED, type AnswerCheck } from '../json-mode/answer-check.js'

/** The answer of an attempt: whether it is whole and, in JSON mode, what it is worth. */
export class AttemptAnswer {
  readonly #observation: Observation
  readonly #check: AnswerCheck | undefined
  #phase: Phase = 'working'

  constructor(observation: Observation, check: AnswerCheck | undefined) {
    this.#observation = observation
    this.#check = check
  }

  /** JSON mode: what to say to Claude after an answer. */
  get followUp(): FollowUp | undefined {
    const check = this.#check
    return check && { find: () => check.followUp(), onSent: () => check.noteRepair() }
  }

  /** Nothing more is asked of the CLI, and it works on nothing, nor does a background task. */
  get isWhole(): boolean {
    const { lastResult, turnActive } = this.#observation
    if (lastResult?.isError !== false || turnActive) return false
    if (this.#isSettled) return this.#check === undefined || this.#check.known(lastResult)?.kind === 'valid'
    return this.#phase === 'finishing' || this.#phase === 'ending'
  }

  readonly enter = (phase: Phase): void => {
    this.#phase = phase
    void this.judgeSettled()
  }

  /** An answer that may be the last one is judged early, so that `isWhole` is known where it counts. */
  async judgeSettled(): Promise<void> {
    const { lastResult, turnActive } = this.#observation
    if (this.#isSettled && lastResult?.isError === false && !turnActive) await this.#check?.judge(lastResult)
  }

  async judgeEnd(): Promise<void> {
    await this.#check?.judgeEnd(this.#observation.lastResult)
  }

  /** JSON mode: what `judgeEnd` has come to. */
  get judge(): ((result: ClaudeResult) => Judgement) | undefined {
    const check = this.#check
    return check && ((result) => check.known(result) ?? NOT_JUDGED)
  }

  get #isSettled(): boolean {
    return this.#phase === 'settling' || this.#phase === 'judging'
  }
}
