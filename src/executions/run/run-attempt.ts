import type { Phase } from '../../claude/stream/result-phases.js'
import type { StopUrgency } from '../../claude/stream/claude-ending.js'
import { runClaude, type ClaudeRunReport } from '../../claude/stream/run-claude.js'
import { classifyFailure, type Failure } from '../../claude/stream/classify-failure.js'
import { classifyExit, type StopCause } from '../../claude/stream/classify-exit.js'
import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import { hasUnsummedUsage, type Observation, type Translator } from '../../claude/stream/translate-message.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import { AnswerCheck, NOT_JUDGED } from '../json-mode/answer-check.js'
import type { AnswerSchema } from '../json-mode/answer-schema.js'
import { LimitWatch } from './limit-watch.js'
import type { LeaseKeeper } from '../claim/lease-keeper.js'
import type { PendingRequests } from '../store/transitions.js'
import { countTokens } from '../records/plan-budget.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import { BackgroundWait } from './background-wait.js'
import { type Progress, ProgressMeter } from './progress-meter.js'
import { PauseSwitch } from './pause-switch.js'
import { RunClocks } from './run-clocks.js'
import type { RunJournal } from '../claim/run-journal.js'
import type { RunServers } from './run-servers.js'
import type { RunServices } from '../claim/run-services.js'
import { TokenLimit } from './token-limit.js'

/** What ends a run for reasons of time, and not for what it did. */
const YIELDING = new Set<string>(['CANCELLED', 'TIMED_OUT', 'IDLE_TIMEOUT', 'WORKER_LOST'])

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
  readonly child: ClaudeProcess
  readonly translator: Translator
  readonly servers: RunServers | undefined
  readonly journal: RunJournal
  readonly lease: LeaseKeeper
  /** JSON mode: what the answer must be. */
  readonly answerSchema: AnswerSchema | undefined
  /** Whose it is. */
  readonly owner: string
  readonly onProgress: (progress: Progress) => void
  readonly onFirstOutput: () => void
  /** Told by their role in messages, never by their path. */
  readonly folders: RunFolders
}

/**
 * One spawn of the CLI from GO to the last process gone: its clocks, the requests that reach it, and the first cause of
 * its end.
 *
 * running ⇄ paused, on request; any stop sets the cause once and ends both.
 */
export class RunAttempt {
  readonly #options: AttemptOptions
  readonly #stop = new AbortController()
  readonly #clocks: RunClocks
  readonly #background: BackgroundWait
  readonly #check: AnswerCheck | undefined
  readonly #pauses: PauseSwitch
  readonly #limits: LimitWatch
  #cause: StopCause | undefined
  readonly #meter = new ProgressMeter()
  #rawBytes = 0
  #cancelSeen = false
  /** Its last process is gone: there is nothing to pause. */
  #isOver = false
  #endedAfterAnswer = false
  readonly #tokenLimit: TokenLimit | undefined
  #phase: Phase = 'working'
  #report: ClaudeRunReport | undefined

  constructor(options: AttemptOptions) {
    this.#options = options
    const { run, answerSchema: schema, translator, services, owner } = options
    const { observation } = translator
    const { maxRepairs } = run
    this.#check = schema && new AnswerCheck({ schema, schemas: services.schemas, owner, maxRepairs, observation })
    this.#clocks = new RunClocks(run)
    this.#background = new BackgroundWait({ run, clocks: this.#clocks, onLimit: (cause) => this.end(cause) })
    this.#tokenLimit = run.maxBudgetTokens === undefined ? undefined : new TokenLimit(run.maxBudgetTokens, observation)
    this.#pauses = this.#createPauses(options)
    this.#limits = new LimitWatch(options.child, options.services.config.sandbox.limits, (event) => this.#note(event))
  }

  /**
   * The first cause wins: whatever follows from it does not change what happened. So a cancel, a timeout or the
   * worker's stop that comes
   * when the answer is there already only ends what the CLI has left.
   */
  end(cause: StopCause, urgency: StopUrgency = 'gently'): void {
    if (this.#cause || this.#endedAfterAnswer) return
    if (YIELDING.has(cause.code) && urgency === 'gently' && this.#hasAnswered()) this.#endedAfterAnswer = true
    else this.#cause = cause
    this.#options.journal.noteEnding()
    this.#stop.abort(urgency)
  }

  /**
   * Nothing more is asked of the CLI, and it works on nothing, nor does a background task; where the caller wants
   * commands
   * to be run on the answer, that is not the end.
   */
  #hasAnswered(): boolean {
    return this.#isAnswerWhole() && this.#options.run.verify === undefined
  }

  #isAnswerWhole(): boolean {
    const { lastResult, turnActive } = this.observation
    if (lastResult?.isError !== false || turnActive) return false
    if (this.#phase === 'settling' || this.#phase === 'judging')
      return this.#check === undefined || this.#check.known(lastResult)?.kind === 'valid'
    return this.#phase === 'finishing' || this.#phase === 'ending'
  }

  /** So that what it is worth is known where that counts. */
  async #judge(): Promise<void> {
    const { lastResult, turnActive } = this.observation
    if (lastResult?.isError === false && !turnActive) await this.#check?.judge(lastResult)
  }

  /** Whether it had to be ended because it did not exit after its answer. */
  get wasForced(): boolean {
    return this.#report?.endedAfterResult === 'hung'
  }

  /** It was ended after its answer, on request or with its background tasks: how it would have exited is not known. */
  get endedAfterAnswer(): boolean {
    return this.#endedAfterAnswer || this.#report?.endedAfterResult === 'with_tasks'
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

  get servers(): RunServers['states'] {
    return this.#options.servers?.states ?? []
  }

  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  usage(): Usage {
    const { usage, tokensSoFar, turns, turnActive } = this.observation
    // The CLI gives the exact numbers with its result only; a run that is cut off has at least what its messages told.
    const soFar = { ...tokensSoFar, ...(turnActive && { turns: Math.max(usage.turns, turns) }) }
    const isIncomplete = this.#isOver && hasUnsummedUsage(this.observation)
    return { ...usage, ...soFar, durationMs: this.#meter.elapsedMs, ...(isIncomplete && { isCostIncomplete: true }) }
  }

  async run(): Promise<AttemptReport> {
    const { child, command, translator, run, services, folders, servers } = this.#options
    const check = this.#check
    this.#meter.begin()
    this.#clocks.begin((cause) => this.end(cause))
    this.#limits.begin()
    try {
      const report = await runClaude({
        child,
        setUpLine: command.setUpLine,
        firstLine: command.firstLine,
        beforeFirstLine:
          servers &&
          ((over) => servers.connect(over, this.#clocks.start, (cause, urgency) => this.end(cause, urgency))),
        translator,
        lineLimitBytes: services.config.lineLimitBytes,
        followUp: check && { find: () => check.followUp(), onSent: () => check.noteRepair() },
        background: this.#background,
        startClock: this.#clocks.start,
        onPhase: (phase) => {
          this.#phase = phase
          if (phase === 'settling') void this.#judge()
        },
        emit: (events, rawBytes) => this.#take(events, rawBytes),
        stop: this.#stop.signal,
      })
      this.#isOver = true
      this.#report = report
      const usage = this.usage()
      const { activeMs } = this.#clocks
      if (
        this.#tokenLimit?.hasAnswered === true &&
        report.unfinishedTasks.length === 0 &&
        this.#cause?.code === 'BUDGET_EXCEEDED' &&
        run.verify === undefined
      ) {
        this.#cause = undefined
        this.#endedAfterAnswer = true
      }
      const note = this.#cause ? undefined : this.#tokenLimit?.note
      const exit = report.endedAfterResult || this.#endedAfterAnswer ? { exitCode: null, signal: null } : report.exit
      const { lastResult } = translator.observation
      if (!this.#cause) await check?.judgeEnd(lastResult)
      const outcome = classifyExit({
        observation: translator.observation,
        exit,
        run,
        stderrTail: report.stderrTail,
        unfinishedTasks: report.unfinishedTasks,
        endedWithTasks: report.endedAfterResult === 'with_tasks',
        ...(note !== undefined && { notes: [note] }),
        judge: check && ((result) => check.known(result) ?? NOT_JUDGED),
        paths: { ...folders, tmpDir: folders.temporary },
        ...(this.#cause && { stopCause: this.#cause }),
      })
      return { outcome, usage, activeMs, failure: classifyFailure(outcome, translator.observation) }
    } finally {
      this.#isOver = true
      this.#limits.close()
      await this.#pauses.close()
      this.#clocks.close()
    }
  }

  async #take(events: readonly NewEvent[], rawBytes: number): Promise<void> {
    const { journal, services, translator, servers } = this.#options
    if (this.#rawBytes === 0) this.#options.onFirstOutput()
    this.#rawBytes += rawBytes
    if (this.#rawBytes > services.config.rawOutputLimitBytes) {
      this.end(
        {
          code: 'OUTPUT_LIMIT',
          status: 'failed',
          message: `The CLI wrote more than ${services.config.rawOutputLimitBytes} bytes; the run was stopped.`,
        },
        'at_once',
      )
    }
    const { openToolCalls, liveTasks, notices } = translator.observation
    this.#clocks.noteOutput(openToolCalls > 0 || liveTasks.length > 0)
    // An answer that is right may cross it.
    if (this.#tokenLimit && (this.#phase === 'settling' || this.#phase === 'judging')) await this.#judge()
    const crossed = this.#tokenLimit?.check(countTokens(this.usage()), this.#isAnswerWhole())
    if (crossed) this.end(crossed)
    services.account.note(notices)
    const progress = this.#meter.next(translator.observation)
    await journal.write([
      ...events,
      ...(servers?.note(events) ?? []),
      ...(progress ? [{ type: 'progress' as const, data: progress }] : []),
    ])
    if (progress) this.#options.onProgress(progress)
  }

  /** What the record says that others want; called with every renewal, so each request may come many times. */
  apply({ cancel, pause }: PendingRequests): void {
    if (cancel && !this.#cancelSeen) {
      this.#cancelSeen = true
      void this.#note({ type: 'execution.cancel_requested', data: cancel })
      this.end({
        code: 'CANCELLED',
        status: 'cancelled',
        message: `Cancelled by ${cancel.by}${cancel.reason === undefined ? '' : `: ${cancel.reason}`}.`,
      })
    }
    if (pause && !this.#cause) this.#pauses.request(pause)
  }

  #createPauses({ services, executionId, fence, child }: AttemptOptions): PauseSwitch {
    return new PauseSwitch({
      child,
      clocks: this.#clocks,
      isOpen: () => this.#cause === undefined && !this.#isOver,
      record: async (state, event) => {
        await services.store.enter(executionId, fence, state)
        await this.#note(event)
      },
      onLimit: () => this.end({ code: 'CANCELLED', status: 'cancelled', message: 'It was paused for 24 hours.' }),
      onError: (error) => services.logger.warn({ executionId, error: String(error) }, 'could not pause or resume'),
    })
  }

  async #note(event: NewEvent): Promise<void> {
    await this.#options.journal.write([event])
  }
}
