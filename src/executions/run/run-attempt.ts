import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import { asksPeople, type RunRequest } from '../../claude/command/run-request.js'
import { classifyExit } from '../../claude/stream/classify-exit.js'
import { classifyFailure, type Failure } from '../../claude/stream/classify-failure.js'
import type { OnControl } from '../../claude/stream/control-lines.js'
import { runClaude, type ClaudeRunReport } from '../../claude/stream/run-claude.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { Observation, Translator } from '../../claude/stream/translate-message.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import type { PooledCredential } from '../claim/credential-pool.js'
import type { RunJournal } from '../claim/run-journal.js'
import type { RunServices } from '../claim/run-services.js'
import { AnswerCheck } from '../json-mode/answer-check.js'
import type { AnswerSchema } from '../json-mode/answer-schema.js'
import type { PendingRequests } from '../store/transitions.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import { AttemptAnswer } from './attempt-answer.js'
import { AttemptApprovals } from './attempt-approvals.js'
import { AttemptOutput } from './attempt-output.js'
import { AttemptStop } from './attempt-stop.js'
import { BackgroundWait } from './background-wait.js'
import { LimitWatch } from './limit-watch.js'
import type { MessageDesk } from './message-desk.js'
import { PauseSwitch } from './pause-switch.js'
import type { Progress } from './progress-meter.js'
import { RunClocks } from './run-clocks.js'
import type { RunServers } from './run-servers.js'
import { stopCauses, type RunStopCause } from './stop-causes.js'

export interface AttemptReport {
  readonly outcome: Outcome
  readonly usage: Usage
  readonly failure: Failure
  /** From GO to the last process gone, pauses left out; with the attempts whose timeout it has taken up. */
  readonly activeMs: number
  /** It had to be ended because it did not exit after its answer. */
  readonly wasForced: boolean
  /** It was ended after its answer, on request or with its background tasks: how it would have exited is not known. */
  readonly endedAfterAnswer: boolean
}

export interface AttemptOptions {
  readonly services: RunServices
  readonly credential: PooledCredential
  readonly executionId: string
  readonly fence: string
  readonly run: RunRequest
  readonly command: ClaudeCommand
  readonly child: ClaudeProcess
  readonly translator: Translator
  readonly servers: RunServers | undefined
  readonly desk: MessageDesk
  readonly journal: RunJournal
  /** JSON mode: what the answer must be. */
  readonly answerSchema: AnswerSchema | undefined
  /** Whose it is. */
  readonly owner: string
  /** For how long the attempts ran whose timeout it takes up. */
  readonly ranMs: number | undefined
  /** How many changes of its budget the log has. */
  readonly budgetChangesKnown: number
  readonly onProgress: (progress: Progress) => void
  readonly onFirstOutput: () => void
  readonly attempt: number
  /** Stores, trying again while the claim is held. */
  readonly persist: <Answer>(store: () => Promise<Answer>) => Promise<Answer>
  /** Told by their role in messages, never by their path. */
  readonly folders: RunFolders
}

/**
 * One spawn of the CLI from GO to the last process gone. Each subject is a part of its own: its clocks (run-clocks.ts),
 * why it is ended from our side (attempt-stop.ts), its answer, its output, its pauses (pause-switch.ts).
 */
export class RunAttempt {
  readonly #options: AttemptOptions
  readonly #answer: AttemptAnswer
  readonly #stop: AttemptStop
  readonly #clocks: RunClocks
  readonly #output: AttemptOutput
  readonly #pauses: PauseSwitch
  /** undefined: nobody is asked. */
  readonly #approvals: AttemptApprovals | undefined
  #budgetChangesKnown: number
  #isCancelRequested = false
  /** Its last process is gone. */
  #isOver = false

  constructor(options: AttemptOptions) {
    const { run, answerSchema: schema, translator, services, owner, journal } = options
    const { observation } = translator
    this.#options = options
    this.#answer = new AttemptAnswer(
      observation,
      schema && new AnswerCheck({ schema, schemas: services.schemas, owner, maxRepairs: run.maxRepairs, observation }),
    )
    // Where the caller wants commands to be run on the answer, the answer is not the end.
    this.#stop = new AttemptStop(
      () => run.verify === undefined && this.#answer.isWhole,
      () => journal.noteEnding(),
    )
    this.#clocks = new RunClocks(run, options.ranMs)
    this.#budgetChangesKnown = options.budgetChangesKnown
    const parts = { clocks: this.#clocks, stop: this.#stop }
    this.#approvals = asksPeople(run, services.config)
      ? new AttemptApprovals({ ...options, ...parts, observation })
      : undefined
    this.#output = new AttemptOutput({ ...options, ...parts, answer: this.#answer, approvals: this.#approvals })
    this.#pauses = this.#createPauses(options)
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

  /** What has ended it from our side, also after the CLI was gone. */
  get cause(): RunStopCause | undefined {
    return this.#stop.cause
  }

  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  usage(): Usage {
    return this.#output.usage(this.#isOver)
  }

  end(cause: RunStopCause): void {
    this.#stop.request(cause)
  }

  /** What the record says that others want; called with every renewal, so each request may come many times. */
  apply({ cancel, pause, budgetChanges = [], messages = 0, approvalsClosed }: PendingRequests): void {
    if (!this.#isOver) this.#options.desk.learn(messages)
    this.#approvals?.noteClosed(approvalsClosed)
    for (const { at: _at, ...data } of budgetChanges.slice(this.#budgetChangesKnown))
      void this.#note({ type: 'execution.budget_changed', data }).catch(() => undefined)
    this.#budgetChangesKnown = Math.max(this.#budgetChangesKnown, budgetChanges.length)
    if (cancel && !this.#isCancelRequested) {
      this.#isCancelRequested = true
      void this.#note({ type: 'execution.cancel_requested', data: cancel })
      this.end(stopCauses.cancelled(cancel))
    }
    if (pause && this.#stop.isOpen) this.#pauses.request(pause)
  }

  /** A message of the control protocol. */
  readonly takeControl: OnControl = (message, own) =>
    this.#approvals?.take(message, own) ? [] : (this.#options.servers?.take(message) ?? [])

  async run(): Promise<AttemptReport> {
    const { child, command, translator, run, services, servers, desk } = this.#options
    const { request, signal } = this.#stop
    const clocks = this.#clocks
    const limits = new LimitWatch(child, services.config.sandbox.limits, this.#note)
    this.#output.begin()
    clocks.begin(request)
    limits.begin()
    try {
      const report = await runClaude({
        child,
        setUpLine: command.setUpLine,
        firstLine: command.firstLine,
        beforeFirstLine: servers && ((over) => servers.connect(over, clocks.start, request)),
        translator,
        lineLimitBytes: services.config.lineLimitBytes,
        inbox: desk,
        followUp: this.#answer.followUp,
        background: new BackgroundWait({ run, clocks, onLimit: request }),
        startClock: clocks.start,
        onPhase: this.#answer.enter,
        emit: this.#output.take,
        stop: signal,
      })
      this.#isOver = true
      await this.#approvals?.close()
      return await this.#toReport(report)
    } finally {
      this.#isOver = true
      limits.close()
      await this.#pauses.close()
      clocks.close()
    }
  }

  async #toReport({ exit, stderrTail, endedAfterResult, unfinishedTasks }: ClaudeRunReport): Promise<AttemptReport> {
    const { run, folders } = this.#options
    const { tokenLimit } = this.#output
    const { observation } = this
    const usage = this.usage()
    const { activeMs } = this.#clocks
    // The answer that crossed the budget was ready before the CLI was interrupted.
    if (
      this.#stop.cause?.code === 'BUDGET_EXCEEDED' &&
      tokenLimit?.hasAnswered === true &&
      unfinishedTasks.length === 0 &&
      run.verify === undefined
    )
      this.#stop.acceptAnswer()
    const { isAnswered } = this.#stop
    const note = this.#stop.cause ? undefined : tokenLimit?.note
    if (!this.#stop.cause) await this.#answer.judgeEnd()
    const outcome = classifyExit({
      observation,
      exit: endedAfterResult || isAnswered ? { exitCode: null, signal: null } : exit,
      run,
      stderrTail,
      unfinishedTasks,
      endedWithTasks: endedAfterResult === 'with_tasks',
      notes: note === undefined ? [] : [note],
      judge: this.#answer.judge,
      paths: { ...folders, tmpDir: folders.temporary },
      stopCause: this.#stop.cause,
    })
    return {
      outcome,
      usage,
      activeMs,
      failure: classifyFailure(outcome, observation),
      wasForced: endedAfterResult === 'hung',
      endedAfterAnswer: isAnswered || endedAfterResult === 'with_tasks',
    }
  }

  #createPauses({ services, executionId, fence, child }: AttemptOptions): PauseSwitch {
    return new PauseSwitch({
      child,
      clocks: this.#clocks,
      isOpen: () => this.#stop.isOpen && !this.#isOver,
      record: async (state, event) => {
        await services.store.enter(executionId, fence, state)
        await this.#note(event)
      },
      onLimit: () => this.end(stopCauses.pausedTooLong()),
      onError: (error) => services.logger.warn({ executionId, err: error }, 'could not pause or resume'),
    })
  }

  readonly #note = (event: NewEvent): Promise<void> => this.#options.journal.write([event])
}
