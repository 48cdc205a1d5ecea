import { runClaude, type StopUrgency } from '../claude/run-claude.js'
import { classifyFailure, type Failure } from '../claude/classify-failure.js'
import { classifyExit, type StopCause } from '../claude/classify-exit.js'
import type { ClaudeCommand } from '../claude/claude-command.js'
import type { RunRequest } from '../claude/run-request.js'
import type { ClaudeProcess } from '../claude/spawn-claude.js'
import type { Observation, Translator } from '../claude/translate-message.js'
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
import type { RunServices } from './run-services.js'

const PROGRESS_INTERVAL_MS = 1_000
/** A tool may work in silence for long: while its call is unanswered the idle limit is so many times longer. */
const IDLE_FACTOR_IN_TOOL = 10
/** Longer than this nobody leaves a run paused; it keeps its slot meanwhile. */
const PAUSE_LIMIT_MS = 24 * 60 * 60 * 1_000

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
  /** Its last process is gone: there is nothing to pause, and no clock to stop. */
  #isOver = false
  #endedAfterAnswer = false
  readonly #limitsTold = new Set<string>()

  constructor(options: AttemptOptions) {
    this.#options = options
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
    const { process, run, translator } = this.#options
    const { lastResult, turnActive } = translator.observation
    return process.stdin.writableEnded && lastResult?.isError === false && !turnActive && run.verify === undefined
  }

  /** What has ended it from our side, also after the CLI was gone. */
  get cause(): StopCause | undefined {
    return this.#cause
  }

  /** Whether the last of its processes is gone. */
  get isOver(): boolean {
    return this.#isOver
  }

  get observation(): Observation {
    return this.#options.translator.observation
  }

  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  usage(): Usage {
    const { usage, tokensSoFar, turns, turnActive } = this.#options.translator.observation
    // The CLI gives the exact numbers with its result only; a run that is cut off has at least what its messages told.
    const soFar = turnActive ? { ...tokensSoFar, turns: Math.max(usage.turns, turns) } : {}
    return { ...usage, ...soFar, durationMs: Math.round(performance.now() - this.#startedAt) }
  }

  async run(): Promise<AttemptReport> {
    const { process, command, translator, run, services, folders, answerSchema } = this.#options
    const check = answerSchema && new AnswerCheck(answerSchema, run.maxRepairs, translator.observation)
    this.#startedAt = performance.now()
    this.#startClocks()
    const looking = setInterval(() => this.#tellLimits(), PROGRESS_INTERVAL_MS)
    try {
      const report = await runClaude({
        process,
        firstLine: command.firstLine,
        translator,
        lineLimitBytes: services.config.lineLimitBytes,
        followUp: check && (() => check.followUp()),
        emit: (events, rawBytes) => this.#take(events, rawBytes),
        stop: this.#stop.signal,
      })
      const usage = this.usage()
      const activeMs = this.#total?.ranMs ?? 0
      const exit = report.endedAfterResult || this.#endedAfterAnswer ? { exitCode: null, signal: null } : report.exit
      const outcome = classifyExit({ observation: translator.observation, exit, stderrTail: report.stderrTail, run, judge: check && ((result) => check.judge(result)), paths: { ...folders, tmpDir: folders.temporary }, ...(this.#cause && { stopCause: this.#cause }) })
      return { outcome, usage, activeMs, failure: classifyFailure(outcome, translator.observation) }
    } finally {
      this.#isOver = true
      clearInterval(looking)
      this.#tellLimits()
      await this.#changingPause
      for (const deadline of this.#deadlines) deadline.close()
      clearTimeout(this.#pauseLimit)
    }
  }

  /** Once each. */
  #tellLimits(): void {
    const { process, services: { config: { sandbox: { limits } } } } = this.#options
    for (const kind of process.limitsReached().filter((met) => !this.#limitsTold.has(met))) {
      this.#limitsTold.add(kind)
      void this.#note({ type: 'limit.reached', data: { kind, limit: limits[kind] ?? 0 } }).catch(() => undefined)
    }
  }

  #startClocks(): void {
    const { run } = this.#options
    const message = (what: string, field: string, seconds: number): string => `${what} of ${seconds} s (${field}); what was produced until then is kept.`
    this.#total = this.#addDeadline(run.timeoutSeconds * 1_000, () =>
      this.end({ code: 'TIMED_OUT', status: 'timed_out', message: message('The run was ended at its timeout', 'timeoutSeconds', run.timeoutSeconds) }),
    )
    const { idleTimeoutSeconds } = run
    if (idleTimeoutSeconds === undefined) return
    this.#idle = this.#addDeadline(idleTimeoutSeconds * 1_000, () =>
      this.end({ code: 'IDLE_TIMEOUT', status: 'timed_out', message: message('The run was ended after a silence', 'idleTimeoutSeconds', idleTimeoutSeconds) }),
    )
  }

  #addDeadline(milliseconds: number, onFire: () => void): Deadline {
    const deadline = new Deadline(milliseconds, onFire)
    this.#deadlines.push(deadline)
    return deadline
  }

  async #take(events: readonly NewEvent[], rawBytes: number): Promise<void> {
    const { journal, services, run, translator } = this.#options
    if (this.#rawBytes === 0) this.#options.onFirstOutput()
    this.#rawBytes += rawBytes
    if (this.#rawBytes > services.config.rawOutputLimitBytes) {
      this.end({ code: 'OUTPUT_LIMIT', status: 'failed', message: `The CLI wrote more than ${services.config.rawOutputLimitBytes} bytes; the run was ended.` }, 'at_once')
    }
    if (run.idleTimeoutSeconds !== undefined) {
      this.#idle?.reset(run.idleTimeoutSeconds * 1_000 * (translator.observation.openToolCalls > 0 ? IDLE_FACTOR_IN_TOOL : 1))
    }
    if (run.maxBudgetTokens !== undefined && countTokens(this.usage()) > run.maxBudgetTokens) {
      this.end({ code: 'BUDGET_EXCEEDED', status: 'failed', message: `The run has used more than ${run.maxBudgetTokens} tokens (maxBudgetTokens, or the operator's limits); what was produced until then is kept.` })
    }
    const progress = this.#progress()
    await journal.write(progress ? [...events, { type: 'progress', data: progress }] : events)
    if (progress) this.#options.onProgress(progress)
  }

  #progress(): Progress | undefined {
    const now = performance.now()
    if (now - this.#progressAt < PROGRESS_INTERVAL_MS) return undefined
    this.#progressAt = now
    const { observation } = this.#options.translator
    const { inputTokens, outputTokens } = observation.tokensSoFar
    return { turns: observation.turns, toolsUsed: observation.toolsUsed, inputTokens, outputTokens, elapsedMs: Math.round(now - this.#startedAt) }
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
