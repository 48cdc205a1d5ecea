import type { RunRequest } from '../../claude/command/run-request.js'
import { hasUnsummedUsage } from '../../claude/stream/observed-usage.js'
import type { Observation, Translator } from '../../claude/stream/translate-message.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Usage } from '../../protocol/execution.js'
import type { PooledCredential } from '../claim/credential-pool.js'
import type { RunJournal } from '../claim/run-journal.js'
import type { RunServices } from '../claim/run-services.js'
import { countTokens } from '../records/plan-budget.js'
import type { AttemptApprovals } from './attempt-approvals.js'
import type { AttemptAnswer } from './attempt-answer.js'
import type { AttemptStop } from './attempt-stop.js'
import { ProgressMeter, type Progress } from './progress-meter.js'
import type { RunClocks } from './run-clocks.js'
import type { RunServers } from './run-servers.js'
import { stopCauses } from './stop-causes.js'
import { TokenLimit } from './token-limit.js'

export interface AttemptOutputOptions {
  readonly services: Pick<RunServices, 'config'>
  readonly credential: Pick<PooledCredential, 'account'>
  readonly run: Pick<RunRequest, 'maxBudgetTokens'>
  readonly translator: Translator
  readonly servers: RunServers | undefined
  readonly approvals: AttemptApprovals | undefined
  readonly journal: RunJournal
  readonly onProgress: (progress: Progress) => void
  readonly onFirstOutput: () => void
  readonly clocks: RunClocks
  readonly answer: AttemptAnswer
  readonly stop: AttemptStop
}

/** What an attempt says: it is compared with the limits, measured, and written to the log. */
export class AttemptOutput {
  /** undefined: it has none. */
  readonly tokenLimit: TokenLimit | undefined
  readonly #options: AttemptOutputOptions
  readonly #meter = new ProgressMeter()
  #rawBytes = 0

  constructor(options: AttemptOutputOptions) {
    const { maxBudgetTokens } = options.run
    this.#options = options
    this.tokenLimit =
      maxBudgetTokens === undefined ? undefined : new TokenLimit(maxBudgetTokens, options.translator.observation)
  }

  /** From GO on. */
  begin(): void {
    this.#meter.begin()
  }

  /** `isOver`: no exact numbers come any more. */
  usage(isOver: boolean): Usage {
    const { observation } = this.#options.translator
    const { usage, tokensSoFar, turns, turnActive } = observation
    return {
      ...usage,
      // The CLI gives the exact numbers only with its result; a run that is cut off has at least those of its messages.
      ...tokensSoFar,
      turns: turnActive ? Math.max(usage.turns, turns) : usage.turns,
      durationMs: this.#meter.elapsedMs,
      isCostIncomplete: (isOver && hasUnsummedUsage(observation)) || usage.isCostIncomplete,
    }
  }

  readonly take = async (events: readonly NewEvent[], rawBytes: number): Promise<void> => {
    const { journal, credential, servers, approvals, onProgress, onFirstOutput } = this.#options
    const { observation } = this.#options.translator
    if (this.#rawBytes === 0) onFirstOutput()
    this.#rawBytes += rawBytes
    await this.#compareWithLimits(observation)
    credential.account.note(observation.notices)
    const progress = this.#meter.next(observation)
    await journal.write([
      ...events,
      ...(servers?.note(events) ?? []),
      ...(progress ? [{ type: 'progress' as const, data: progress }] : []),
    ])
    if (progress) onProgress(progress)
    approvals?.proceed(events)
  }

  async #compareWithLimits({ openToolCalls, liveTasks }: Observation): Promise<void> {
    const { services, clocks, answer, stop } = this.#options
    const { rawOutputLimitBytes } = services.config
    if (this.#rawBytes > rawOutputLimitBytes) stop.request(stopCauses.outputLimit(rawOutputLimitBytes))
    clocks.noteOutput(openToolCalls > 0 || liveTasks.length > 0)
    if (!this.tokenLimit) return
    // A right answer may exceed it.
    await answer.judgeSettled()
    const exceeded = this.tokenLimit.check(countTokens(this.usage(false)), answer.isWhole)
    if (exceeded) stop.request(exceeded)
  }
}
