import { runClaude, type StopUrgency } from '../claude/run-claude.js'
import { classifyFailure, type Failure } from '../claude/classify-failure.js'
import { classifyExit, type StopCause } from '../claude/classify-exit.js'
import type { ClaudeCommand } from '../claude/claude-command.js'
import type { RunRequest } from '../claude/run-request.js'
import type { ClaudeProcess } from '../claude/spawn-claude.js'
import { hasUnsummedUsage, type Observation, type Translator } from '../claude/translate-message.js'
import type { EventData, NewEvent } from '../protocol/events.js'
import type { Outcome, Usage } from '../protocol/execution.js'
import { AnswerCheck } from './answer-check.js'
import type { AnswerSchema } from './answer-schema.js'
import type { LeaseKeeper } from './lease-keeper.js'
import type { Wishes } from './store-answers.js'
import { countTokens } from './plan-budget.js'
import type { RunFolders } from './prepare-workspace.js'
import { Deadline } from './run-clock.js'
import type { RunJournal } from './run-journal.js'
import type { RunServers } from './run-servers.js'
import type { RunServices } from './run-services.js'
import { TokenLimit } from './token-limit.js'

const PROGRESS_INTERVAL_MS = 1_000
/** While a tool call is unanswered the idle limit is this many times longer: a tool may work in silence. */
const IDLE_FACTOR_IN_TOOL = 10
const PAUSE_LIMIT_MS = 24 * 60 * 60 * 1_000 // it keeps its slot meanwhile

/** What ends a run for reasons of time, and not for what it did. */
const YIELDING = new Set<string>(['CANCELLED', 'TIMED_OUT', 'IDLE_TIMEOUT', 'WORKER_LOST'])

export type Progress = EventData<'progress'>

export interface AttemptReport {
  readonly outcome: Outcome
  readonly usage: Usage
  readonly failure: Failure
  /** From GO to the last process gone, pauses left out. */
  readonly activeMs: number
}

export interface AttemptOptions {
  readonly services: RunServices
  readonly executionId: string
  readonly fence: string
  readonly run: RunRequest
  readonly command: ClaudeCommand
  readonly process: ClaudeProcess
  readonly translator: Translator
  readonly servers: RunServers | undefined
  readonly journal: RunJournal
  readonly lease: LeaseKeeper
  /** JSON mode: what the answer must be. */
  readonly answerSchema: AnswerSchema | undefined
  readonly onProgress: (progress: Progress) => void
  readonly onFirstOutput: () => void
  /** Told by their role in messages, never by their path. */
  readonly folders: RunFolders
}

/**
 * One spawn of the CLI from GO to the last process gone: its clocks, the wishes that reach it, and the first cause of its end.
 *
 * running ⇄ paused, by wish; any stop sets the cause once and ends both.
 */
export class RunAttempt {
  readonly #options: AttemptOptions
  readonly #stop = new AbortController()
  readonly #deadlines: Deadline[] = []
  #cause: StopCause | undefined
  #total: Deadline | undefined
  #idle: Deadline | undefined
  #startedAt = performance.now()
  #progressAt = 0
  #rawBytes = 0
  #isPaused = false
  #changingPause: Promise<void> = Promise.resolve()
  #cancelSeen = false
  #pauseLimit: NodeJS.Timeout | undefined
  /** Its last process is gone: there is nothing to pause. */
  #isOver = false
  #endedAfterAnswer = false
  readonly #tokenLimit?: TokenLimit

  constructor(options: AttemptOptions) {
    this.#options = options
    const { maxBudgetTokens } = options.run
    if (maxBudgetTokens !== undefined) this.#tokenLimit = new TokenLimit(maxBudgetTokens, this.observation)
  }

  /**
   * The first cause wins: whatever follows from it does not change what happened. So a cancel, a timeout or the worker's stop that comes
   * when the answer is there already only ends what the CLI has left.
   */
  end(cause: StopCause, urgency: StopUrgency = 'gently'): void {
    if (this.#cause || this.#endedAfterAnswer) return
    if (YIELDING.has(cause.code) && urgency === 'gently' && this.#hasAnswered()) this.#endedAfterAnswer = true
    else this.#cause = cause
    this.#stop.abort(urgency)
  }

  /** Nothing more is asked of the CLI, and it works on nothing; where the caller wants commands to be run on the answer, that is not the end. */
  #hasAnswered(): boolean {
    return this.#isAnswerWhole() && this.#options.run.verify === undefined
  }

  #isAnswerWhole(): boolean {
    const { process, translator } = this.#options
    const { lastResult, turnActive } = translator.observation
    return process.stdin.writableEnded && lastResult?.isError === false && !turnActive
  }

  /** What has ended it from our side, also after the CLI was gone. */
  get cause(): StopCause | undefined {
    return this.#cause
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get observation(): Observation {
    return this.#options.translator.observation
  }

  get servers(): RunServers['states'] { return this.#options.servers?.states ?? [] }

  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  usage(): Usage {
    const { usage, tokensSoFar, turns, turnActive } = this.observation
    // The CLI gives the exact numbers with its result only; a run that is cut off has at least what its messages told.
    const soFar = { ...tokensSoFar, ...(turnActive && { turns: Math.max(usage.turns, turns) }) }
    const isIncomplete = this.#isOver && hasUnsummedUsage(this.observation)
    return { ...usage, ...soFar, durationMs: Math.round(performance.now() - this.#startedAt), ...(isIncomplete && { isCostIncomplete: true }) }
  }

  async run(): Promise<AttemptReport> {
    const { process, command, translator, run, services, folders, answerSchema, servers } = this.#options
    const check = answerSchema && new AnswerCheck(answerSchema, run.maxRepairs, translator.observation)
    this.#startedAt = performance.now()
    this.#startClocks()
    try {
      const report = await runClaude({
        process,
        firstLine: command.firstLine,
        beforeFirstLine: servers && (() => servers.connect(this)),
        translator,
        lineLimitBytes: services.config.lineLimitBytes,
        followUp: check && (() => check.followUp()),
        emit: (events, rawBytes) => this.#take(events, rawBytes),
        stop: this.#stop.signal,
      })
      this.#isOver = true
      const usage = this.usage()
      const activeMs = this.#total?.ranMs ?? 0
      if (this.#tokenLimit?.hasAnswered === true && this.#cause?.code === 'BUDGET_EXCEEDED' && run.verify === undefined) {
        this.#cause = undefined
        this.#endedAfterAnswer = true
      }
      const note = this.#cause ? undefined : this.#tokenLimit?.note
      const exit = report.endedAfterResult || this.#endedAfterAnswer ? { exitCode: null, signal: null } : report.exit
      const outcome = classifyExit({ observation: translator.observation, exit, stderrTail: report.stderrTail, ...(note !== undefined && { notes: [note] }), run, judge: check && ((result) => check.judge(result)), paths: { ...folders, tmpDir: folders.temporary }, ...(this.#cause && { stopCause: this.#cause }) })
      return { outcome, usage, activeMs, failure: classifyFailure(outcome, translator.observation) }
    } finally {
      this.#isOver = true
      await this.#changingPause
      for (const deadline of this.#deadlines) deadline.close()
      clearTimeout(this.#pauseLimit)
    }
  }

  #startClocks(): void {
    const { timeoutSeconds, idleTimeoutSeconds } = this.#options.run
    const start = (code: 'TIMED_OUT' | 'IDLE_TIMEOUT', what: string, field: string, seconds: number): Deadline =>
      this.#addDeadline(seconds * 1_000, () => this.end({ code, status: 'timed_out', message: `The run was ended ${what} of ${seconds} s (${field}); what was produced until then is kept.` }))
    this.#total = start('TIMED_OUT', 'at its timeout', 'timeoutSeconds', timeoutSeconds)
    if (idleTimeoutSeconds !== undefined) this.#idle = start('IDLE_TIMEOUT', 'after a silence', 'idleTimeoutSeconds', idleTimeoutSeconds)
  }

  #addDeadline(milliseconds: number, onFire: () => void): Deadline {
    const deadline = new Deadline(milliseconds, onFire)
    this.#deadlines.push(deadline)
    return deadline
  }

  async #take(events: readonly NewEvent[], rawBytes: number): Promise<void> {
    const { journal, services, run, translator, servers } = this.#options
    if (this.#rawBytes === 0) this.#options.onFirstOutput()
    this.#rawBytes += rawBytes
    if (this.#rawBytes > services.config.rawOutputLimitBytes) {
      this.end({ code: 'OUTPUT_LIMIT', status: 'failed', message: `The CLI wrote more than ${services.config.rawOutputLimitBytes} bytes; the run was ended.` }, 'at_once')
    }
    if (run.idleTimeoutSeconds !== undefined) {
      this.#idle?.reset(run.idleTimeoutSeconds * 1_000 * (translator.observation.openToolCalls > 0 ? IDLE_FACTOR_IN_TOOL : 1))
    }
    const crossed = this.#tokenLimit?.check(countTokens(this.usage()), this.#isAnswerWhole())
    if (crossed) this.end(crossed)
    services.account.note(translator.observation.notices)
    const progress = this.#progress()
    await journal.write([...events, ...(servers?.note(events) ?? []), ...(progress ? [{ type: 'progress' as const, data: progress }] : [])])
    if (progress) this.#options.onProgress(progress)
  }

  #progress(): Progress | undefined {
    const now = performance.now()
    if (now - this.#progressAt < PROGRESS_INTERVAL_MS) return undefined
    this.#progressAt = now
    const { turns, toolsUsed, tokensSoFar: { inputTokens, outputTokens } } = this.#options.translator.observation
    return { turns, toolsUsed, inputTokens, outputTokens, elapsedMs: Math.round(now - this.#startedAt) }
  }

  /** What the record says that others want; called with every renewal, so each wish may come many times. */
  obey({ cancel, pause }: Wishes): void {
    if (cancel && !this.#cancelSeen) {
      this.#cancelSeen = true
      void this.#note({ type: 'execution.cancel_requested', data: cancel })
      this.end({ code: 'CANCELLED', status: 'cancelled', message: `Cancelled by ${cancel.by}${cancel.reason === undefined ? '' : `: ${cancel.reason}`}.` })
    }
    if (pause && !this.#cause) {
      // In order, one after the other: a resume must not overtake the pause before it.
      this.#changingPause = this.#changingPause.then(() => this.#setPaused(pause)).catch((error: unknown) => {
        this.#options.services.logger.warn({ executionId: this.#options.executionId, error: String(error) }, 'could not pause or resume')
      })
    }
  }

  async #setPaused({ wanted, by, reason }: NonNullable<Wishes['pause']>): Promise<void> {
    const { process, services, executionId, fence } = this.#options
    if (wanted === this.#isPaused || this.#cause || this.#isOver) return
    this.#isPaused = wanted
    const data = { by, ...(reason !== undefined && { reason }) }
    if (wanted) {
      await process.pause()
      for (const deadline of this.#deadlines) deadline.pause()
      this.#pauseLimit = setTimeout(() => this.end({ code: 'CANCELLED', status: 'cancelled', message: 'It was paused for 24 hours.' }), PAUSE_LIMIT_MS)
    } else {
      clearTimeout(this.#pauseLimit)
      for (const deadline of this.#deadlines) deadline.resume()
      await process.resume()
    }
    await services.store.enter(executionId, fence, wanted ? 'paused' : 'running')
    await this.#note({ type: wanted ? 'execution.paused' : 'execution.resumed', data })
  }

  async #note(event: NewEvent): Promise<void> {
    await this.#options.journal.write([event])
  }
}
