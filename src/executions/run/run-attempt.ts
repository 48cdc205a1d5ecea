import { asksPeople } from '../../claude/command/run-request.js'
import { classifyExit } from '../../claude/stream/classify-exit.js'
import { classifyFailure } from '../../claude/stream/classify-failure.js'
import type { OnControl } from '../../claude/stream/control-lines.js'
import { runClaude, type ClaudeRunReport } from '../../claude/stream/run-claude.js'
import type { Observation } from '../../claude/stream/translate-message.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Usage } from '../../protocol/execution.js'
import { AnswerCheck } from '../json-mode/answer-check.js'
import type { PendingRequests } from '../store/transitions.js'
import { AttemptAnswer } from './attempt-answer.js'
import { AttemptApprovals } from './attempt-approvals.js'
import type { AttemptOptions, AttemptReport } from './attempt-options.js'
import { AttemptOutput } from './attempt-output.js'
import { AttemptStop } from './attempt-stop.js'
import { BackgroundWait } from './background-wait.js'
import { isKept } from './keep-call.js'
import type { LeftCall } from './held-call.js'
import { LimitWatch } from './limit-watch.js'
import { PauseSwitch } from './pause-switch.js'
import { RunClocks } from './run-clocks.js'
import type { RunServers } from './run-servers.js'
import { stopCauses, type RunStopCause } from './stop-causes.js'
import { StoredDecision } from './stored-decision.js'

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
  readonly #decision: StoredDecision | undefined
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
    this.#decision = options.decided && new StoredDecision(options.decided, options.isSpent)
    const asking = {
      ...options,
      ...parts,
      observation,
      decision: this.#decision,
      isPaused: () => this.#pauses.isPaused,
    }
    this.#approvals = asksPeople(run, services.config) ? new AttemptApprovals(asking) : undefined
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

  /** The worker lets go of it: it is parked where it waits for a decision that it can wait for without one. */
  release(cause: RunStopCause): void {
    const end = (): void => this.end(cause)
    if (this.#approvals) void this.#approvals.leaveOr(end)
    else end()
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
    const decision = this.#options.isSpent ? undefined : this.#decision
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
        takesUp: decision && ((over) => decision.whenTakenUp(over, clocks.start)),
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
      const left = await this.#approvals?.close(this.#isKept)
      return await this.#toReport(report, left)
    } finally {
      this.#isOver = true
      limits.close()
      await this.#pauses.close()
      clocks.close()
    }
  }

  readonly #isKept = ({ toolUseId }: LeftCall): Promise<boolean> => {
    const { folders, sessionId } = this.#options
    return isKept({ home: folders.home, sessionId, toolUseId })
  }

  async #toReport(
    { exit, stderrTail, endedAfterResult, unfinishedTasks }: ClaudeRunReport,
    left: LeftCall | undefined,
  ): Promise<AttemptReport> {
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
      left: left ?? (this.#stop.cause?.code === 'TOOL_DEFERRED' ? 'lost' : undefined),
      untouched: this.#decision?.isUntouched === true ? this.#decision.approvalId : undefined,
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
        this.#approvals?.reconsider()
      },
      onLimit: () => this.end(stopCauses.pausedTooLong()),
      onError: (error) => services.logger.warn({ executionId, err: error }, 'could not pause or resume'),
    })
  }

  readonly #note = (event: NewEvent): Promise<void> => this.#options.journal.write([event])
}
