import type { Observation, Reply } from '../../claude/stream/observation.js'
import { findNoEnd } from '../../claude/stream/stop-reasons.js'
import { stopCauses, type RunStopCause } from './stop-causes.js'

/**
 * `maxBudgetTokens` of one attempt. It is crossed as soon as the stream says so; what follows depends on what is there
 * to save:
 *
 * | crossed | then |
 * | with the answer, or by the reply that becomes it | the answer stands, and the outcome says that it was crossed |
 * | by a reply that is still being streamed | that reply may end: its input is paid for already |
 * | anywhere else (a tool call follows, a subagent works) | the run is ended |
 */
export class TokenLimit {
  readonly #limit: number
  readonly #observation: Observation
  #crossedAt: { readonly reply: Reply | undefined; readonly results: number } | undefined

  constructor(limit: number, observation: Observation) {
    this.#limit = limit
    this.#observation = observation
  }

  /**
   * Looks at what was used so far; the cause of an end, or undefined. `isAnswered`: nothing more is asked of the CLI.
   */
  check(tokens: number, isAnswered: boolean): RunStopCause | undefined {
    if (tokens <= this.#limit) return undefined
    const { reply, results } = this.#observation
    this.#crossedAt ??= { reply, results }
    const mayEnd =
      reply !== undefined && reply === this.#crossedAt.reply && (reply.isOpen || reply.stopReason === 'end_turn')
    if (isAnswered || mayEnd) return undefined
    return stopCauses.budgetExceeded(this.#describe())
  }

  /** What the outcome says of a run whose answer crossed it. */
  get note(): string | undefined {
    const { lastResult } = this.#observation
    if (!this.#crossedAt || lastResult?.isError !== false) return undefined
    const isWhole = lastResult.isCut !== true && findNoEnd(this.#observation, true) === undefined
    return `With its answer${isWhole ? ', which is whole,' : ''} the run has ${this.#describe()}.`
  }

  /** Whether the answer came all the same, although the run was being ended: it was ready before the CLI was told. */
  get hasAnswered(): boolean {
    const { lastResult, results, turnActive } = this.#observation
    return (
      this.#crossedAt !== undefined && results > this.#crossedAt.results && lastResult?.isError === false && !turnActive
    )
  }

  #describe(): string {
    return `used more than ${this.#limit} tokens (maxBudgetTokens, or the operator's limits)`
  }
}
