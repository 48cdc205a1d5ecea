import { toRunRequest } from '../../claude/command/run-request.js'
import type { Failure } from '../../claude/stream/classify-failure.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import { createTranslator } from '../../claude/stream/translate-message.js'
import { Lifetime } from '../../platform/lifetime.js'
import type { SecretMask } from '../../platform/secret-mask.js'
import { addUsage, NO_USAGE, type OutcomeCode, type Usage } from '../../protocol/execution.js'
import { concludeExecution } from '../conclude/conclude-execution.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import { keepFiles } from './keep-files.js'
import { toDurationSample } from './duration-sample.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { Ending, PendingRequests } from '../store/transitions.js'
import { LeaseKeeper } from '../claim/lease-keeper.js'
import { maskTranscripts } from './mask-transcripts.js'
import { persistEnd } from './persist-end.js'
import { planContinuation, planRenewal, planRetry, toLimitEnd, type RetryPlan } from '../conclude/plan-retry.js'
import { prepareRun, type DelayedStart, type ScarceStart } from './prepare-run.js'
import { failed } from './start-failures.js'
import { type PreparedRun } from './prepared-run.js'
import { clearTemporary, type RunFolders } from '../workspaces/prepare-workspace.js'
import { retryExecution, type RetryReport } from '../conclude/retry-execution.js'
import { RunAttempt, type AttemptReport } from './run-attempt.js'
import { RunHooks } from '../hooks/run-hooks.js'
import type { OtherLogin } from './run-login.js'
import { RunJournal } from '../claim/run-journal.js'
import { followServers } from './run-servers.js'
import type { RunContext, RunReport } from './run-report.js'
import type { RunServices } from '../claim/run-services.js'
import { LOST_START_LIMIT, SCARCE_START_LIMIT } from '../records/lost-start-limit.js'
import { sleep } from '../../platform/abort-signals.js'

/** What runs beside it has ended by then, or another worker may have more to give. */
const SCARCE_WAIT_MS = 2_500

/** A claimed execution: everything in here is done under one fence. */
export class ClaimedRun {
  readonly #services: RunServices
  readonly #executionId: string
  readonly #fence: string
  readonly #storedBytes: number
  readonly #attempt: number
  readonly #context: RunContext
  readonly #marker: string
  readonly #lease: LeaseKeeper
  readonly #hooks: RunHooks
  #running: RunAttempt | undefined
  /** Of the attempts before this one. */
  #earlierUsage: Usage = NO_USAGE
  #requests: PendingRequests = {}
  #isLost = false
  #mask: SecretMask

  constructor(
    services: RunServices,
    executionId: string,
    claim: { fence: string; lastSeq: number; attempt: number; storedBytes: number },
    context: RunContext,
  ) {
    this.#services = services
    this.#mask = services.mask
    this.#executionId = executionId
    this.#fence = claim.fence
    this.#storedBytes = claim.storedBytes
    this.#attempt = claim.attempt + 1
    this.#context = context
    this.#marker = `${services.deploymentId}/${executionId}/${claim.fence}`
    this.#lease = new LeaseKeeper({
      store: services.store,
      logger: services.logger,
      executionId,
      fence: claim.fence,
      leaseMs: services.config.lockSeconds * 1_000,
      usage: () => this.#running && addUsage(this.#earlierUsage, this.#running.usage()),
      onRequests: (requests) => {
        this.#requests = requests
        this.#hooks.apply(requests)
        this.#running?.apply(requests)
      },
      onLost: (why) => this.#lose(why),
    })
    this.#hooks = new RunHooks({
      services,
      fence: claim.fence,
      attempt: this.#attempt,
      marker: this.#marker,
      lease: this.#lease,
      signal: context.signal,
      journal: this.#openJournal(claim.attempt, claim.lastSeq),
    })
  }

  async run(): Promise<RunReport> {
    const { live } = this.#services
    const entry = {
      renewNow: () => this.#lease.renewNow(),
      marker: this.#marker,
      isRunning: () => this.#running?.isOver === false,
    }
    live.set(this.#executionId, entry)
    const lifetime = new Lifetime()
    try {
      return await this.#runClaimed(lifetime)
    } finally {
      this.#lease.close()
      await lifetime.close().catch(() => undefined)
      // A further attempt may be in this worker's hands by now.
      if (live.get(this.#executionId) === entry) live.delete(this.#executionId)
    }
  }

  async #runClaimed(lifetime: Lifetime): Promise<RunReport> {
    const { store, logger } = this.#services
    const record = await store.get(this.#executionId)
    if (!record) return { kind: 'passed_over', why: 'deleted' }
    this.#earlierUsage = record.usage
    const prepared = await prepareRun(this.#services, record, {
      fence: this.#fence,
      marker: this.#marker,
      hooks: this.#hooks,
      lifetime,
    })
    if ('parked' in prepared)
      return {
        kind: 'passed_over',
        why: 'its workspace is in use under another name; it is queued again when the workspace is free',
      }
    if ('stoppedIn' in prepared) {
      if (this.#isLost) return { kind: 'passed_over', why: 'the claim was lost before the start' }
      return this.#context.signal.aborted ? this.#handBack(prepared.stoppedIn) : this.#concludeCancelled()
    }
    if ('scarceIn' in prepared) return this.#startLater(prepared)
    if ('delayedIn' in prepared) {
      const report = await this.#delay(record, prepared)
      if (report) return report
    }
    if ('outcome' in prepared) {
      // What stands in a record that was refused is nobody's word, and nothing to run the operator's programs on.
      if (prepared.outcome.code === 'FORBIDDEN')
        logger.error({ executionId: record.id, why: prepared.outcome.message }, 'a record was refused')
      else await this.#hooks.afterFailedStart(record, prepared.outcome)
      return this.#conclude(prepared)
    }
    const { child, folders, evidence, leaveGate } = prepared
    // Its warden waits for GO no longer without a word than later on, and the store may keep us waiting.
    this.#lease.attach(() => child.heartbeat())
    try {
      if (this.#context.signal.aborted) return await this.#handBack(folders, child)
      return await this.#start(prepared)
    } finally {
      leaveGate()
      evidence.close()
      await child
        .killAll()
        .catch((error: unknown) =>
          logger.error({ executionId: this.#executionId, error: String(error) }, 'processes of a run are left'),
        )
      await clearTemporary(folders).catch(() => undefined)
    }
  }

  async #start(prepared: PreparedRun): Promise<RunReport> {
    const { record, run, beginning, answerSchema, sessionId, command, mask, folders, child, leaveGate, reach } =
      prepared
    this.#mask = mask
    const { store, config, claude, workerId } = this.#services
    const started = await store.start(
      record.id,
      this.#fence,
      {
        startedAt: new Date(await store.now()),
        attempt: this.#attempt,
        sessionId,
        mark: beginning.mark,
        simulated: config.simulatorUrl !== undefined,
      },
      {
        type: 'execution.started',
        data: {
          attempt: this.#attempt,
          workerId,
          pid: child.pid,
          pgid: child.pgid,
          claudeVersion: claude?.version ?? '',
          sessionId,
          workspace: record.workspace,
          argv: command.argv.map(mask.text),
          containment: reach.containment,
          ...(beginning.kind === 'resume' && { resumed: true }),
          ...(run.model !== undefined && { model: run.model }),
        },
      },
      record.taskIndex === undefined
        ? undefined
        : { type: 'task.started', data: { index: record.taskIndex, executionId: record.id, status: 'running' } },
    )
    if (started.kind !== 'started')
      return started.kind === 'cancelled'
        ? this.#concludeCancelled()
        : { kind: 'passed_over', why: 'the claim was lost before the start' }
    const journal = this.#openJournal(this.#attempt, started.lastSeq)
    const servers = followServers({
      run: beginning.run,
      limitSeconds: config.mcpTimeoutSeconds,
      child,
      report: (events) => journal.write(events),
    })
    const attempt = new RunAttempt({
      services: this.#services,
      executionId: record.id,
      fence: this.#fence,
      run: beginning.run,
      command,
      folders,
      child,
      journal,
      answerSchema,
      owner: record.owner,
      servers,
      lease: this.#lease,
      translator: createTranslator({
        partialText: run.partialText,
        rawPartials: run.rawPartials,
        firstMessage: beginning.firstMessage,
        sessionSums: beginning.sessionSums,
        earlier: beginning.earlier,
        onControl: servers?.take,
        mask,
      }),
      onProgress: this.#context.onProgress,
      onFirstOutput: leaveGate,
    })
    const onAbort = (): void =>
      attempt.end({ code: 'WORKER_LOST', status: 'failed', message: String(this.#context.signal.reason) })
    this.#context.signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#running = attempt
      if (this.#isLost) attempt.end(LOST, 'at_once')
      if (this.#context.signal.aborted) onAbort()
      attempt.apply(this.#requests)
      await journal.write(beginning.firstEvents)
      reach.listen((event) => void journal.write([event]).catch(() => undefined))
      return await this.#settle(prepared, attempt, await attempt.run(), journal)
    } finally {
      this.#context.signal.removeEventListener('abort', onAbort)
    }
  }

  /** The attempt is over: another one follows, or this was the end. */
  async #settle(
    prepared: PreparedRun,
    attempt: RunAttempt,
    report: AttemptReport,
    journal: RunJournal,
  ): Promise<RunReport> {
    const { record, run, folders } = prepared
    const { usage } = report
    prepared.reach.settle()
    await maskTranscripts(this.#services, prepared)
    const renewal = planRenewal(report.outcome, record.retryReason, report.activeMs)
    const { code } = report.outcome
    const isAnswered = this.#isLost || code === undefined || (code === 'CLAUDE_NOT_AUTHENTICATED' && !renewal)
    const other: OtherLogin = isAnswered ? { kind: 'none' } : await prepared.reach.findOtherLogin(code)
    // What the API has refused is one access token: whether the login is void, nobody has said.
    const isUnknown = other.kind === 'unknown'
    const failure: Failure = isUnknown ? { kind: 'transient' } : report.failure
    const outcome = {
      ...report.outcome,
      ...(isUnknown && { code: 'CLAUDE_OVERLOADED' as const, message: other.why }),
      sandbox: prepared.reach.outcome(),
    }
    const { store, credential } = this.#services
    const attempts = { made: this.#attempt, spared: record.spared }
    const tries = { ...attempts, made: attempts.made + record.failedStarts }
    const isStopped = outcome.code === 'WORKER_LOST' && this.#context.signal.aborted && !this.#isLost
    const now = failure.kind === 'lasting' ? undefined : new Date(await this.#persist(() => store.now()))
    const plan: RetryPlan | undefined = isStopped
      ? planContinuation('WORKER_STOPPING', 'The worker was stopped; another one continues the session.', tries, run)
      : now
        ? planRetry(failure, outcome, tries, run, now)
        : other.kind === 'another'
          ? renewal
          : undefined
    if (now && failure.kind === 'limit')
      await this.#persist(() => store.blockCredential(credential, toLimitEnd(failure.resetsAt, now)))
    if (!plan) {
      // A worker that must go has no time to look at what the run did.
      const isLeft = this.#isLost || this.#context.signal.aborted
      const verified = isLeft
        ? { outcome }
        : await prepared.evidence.verify({
            prepared,
            attempt,
            outcome,
            containment: this.#services.containment,
            marker: this.#marker,
            onProcess: (child) => this.#lease.attach(() => child.heartbeat()),
            keepFiles: (left) =>
              keepFiles(this.#services, record, { fence: this.#fence, attempt: this.#attempt }, left),
          })
      if (!isLeft)
        await this.#hooks.afterRun(
          record,
          {
            outcome: verified.outcome,
            usage: addUsage(this.#earlierUsage, usage),
            sessionId: prepared.sessionId,
            workspace: folders.workspace,
          },
          journal,
        )
      await journal.close()
      // Whoever is told of the end may look at the folder at once.
      await clearTemporary(folders).catch(() => undefined)
      return this.#conclude({
        ...verified,
        usage,
        durationSample: toDurationSample(prepared, report, verified.outcome),
        ...(attempt.observation.model !== undefined && { model: attempt.observation.model }),
      })
    }
    await journal.close()
    // Before others may begin: the next attempt has the same folder.
    await clearTemporary(folders).catch(() => undefined)
    const total = addUsage(this.#earlierUsage, usage)
    const options = {
      fence: this.#fence,
      plan,
      attempts,
      usage: total,
      queueTimeoutSeconds: run.queueTimeoutSeconds,
      closing: this.#hooks.afterList(),
    }
    const answer = await this.#persist<RetryReport>(() => retryExecution(this.#services, record.id, options))
    if (answer.kind === 'finished') return answer
    return {
      kind: 'passed_over',
      why: answer.kind === 'retrying' ? `another attempt follows: ${plan.reason}` : 'another process took it over',
    }
  }

  /** Back to the queue, as after a transient failure of an attempt; undefined: there have been enough. */
  async #delay(record: ExecutionRecord, { delayedIn, outcome }: DelayedStart): Promise<RunReport | undefined> {
    const { store, config } = this.#services
    await clearTemporary(delayedIn).catch(() => undefined)
    // Asking for the login has taken its time: whoever does not want it any more is heard before it has failed.
    const requests = await this.#persist(() => store.renew(record.id, this.#fence, config.lockSeconds * 1_000))
    if (requests?.cancel) return this.#concludeCancelled()
    const { spared } = record
    const failedStarts = record.failedStarts + 1
    const now = new Date(await this.#persist(() => store.now()))
    const made = this.#attempt - 1 + failedStarts
    const plan = planRetry({ kind: 'transient' }, outcome, { made, spared }, toRunRequest(record.request), now)
    if (!plan) return undefined
    const options = {
      fence: this.#fence,
      plan,
      attempts: { made: this.#attempt - 1, spared },
      failedStarts,
      usage: this.#earlierUsage,
      queueTimeoutSeconds: record.request.queueTimeoutSeconds,
      closing: this.#hooks.afterList(),
    }
    const answer = await this.#persist<RetryReport>(() => retryExecution(this.#services, record.id, options))
    return answer.kind === 'finished' ? answer : { kind: 'passed_over', why: outcome.message ?? 'it cannot start yet' }
  }

  /** The cancel came between dequeue and spawn: the CLI was never let go. */
  async #concludeCancelled(): Promise<RunReport> {
    const requests = await this.#services.store.renew(
      this.#executionId,
      this.#fence,
      this.#services.config.lockSeconds * 1_000,
    )
    await this.#hooks.noteBeforeStart({
      type: 'execution.cancel_requested',
      data: requests?.cancel ?? { by: 'unknown' },
    })
    return this.#conclude({
      outcome: { status: 'cancelled', code: 'CANCELLED', message: 'Cancelled before it started.' },
    })
  }

  async #conclude({ outcome, usage, ...more }: Omit<Ending, 'attempt'>): Promise<RunReport> {
    const ending = {
      outcome: this.#mask.value(outcome),
      attempt: this.#running ? this.#attempt : this.#attempt - 1,
      usage: usage ? addUsage(this.#earlierUsage, usage) : this.#earlierUsage,
      ...more,
    }
    const isOurs = await this.#persist(() =>
      concludeExecution(
        this.#services,
        this.#executionId,
        { kind: 'holder', fence: this.#fence },
        ending,
        this.#hooks.afterList(),
      ),
    )
    return isOurs ? { kind: 'finished', outcome } : { kind: 'passed_over', why: 'another process concluded it' }
  }

  #persist<Answer>(store: () => Promise<Answer>): Promise<Answer> {
    return persistEnd(this.#services.logger, this.#executionId, () => this.#isLost, store)
  }

  /** Writes the events from then on. */
  #openJournal(attempt: number, lastSeq: number): RunJournal {
    const { log, config } = this.#services
    return new RunJournal({
      log,
      executionId: this.#executionId,
      fence: this.#fence,
      attempt,
      lastSeq,
      storedBytes: this.#storedBytes,
      limitBytes: config.outputLimitBytes,
      onStale: () => this.#lose('stale'),
    })
  }

  #lose(why: 'stale' | 'unreachable'): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#services.logger.error({ executionId: this.#executionId, why }, 'the claim is lost; its run is stopped')
    this.#hooks.stop()
    this.#running?.end(LOST, 'at_once')
  }

  /** The worker stops before the CLI was let go: the execution goes back to the queue. */
  async #handBack(folders: RunFolders, child?: ClaudeProcess): Promise<RunReport> {
    // Before others may begin: their attempt has the same folders.
    await child?.killAll()
    return this.#requeue(folders, 'the worker is stopping', LOST_START_LIMIT, {
      code: 'WORKER_LOST',
      message: 'Its workers were stopped repeatedly before it could start.',
    })
  }

  /** Its place is kept for a moment, so that what runs can end; then this worker or another one tries again. */
  async #startLater({ scarceIn, why }: ScarceStart): Promise<RunReport> {
    this.#services.logger.warn({ executionId: this.#executionId, why }, 'a start failed for lack of resources')
    await sleep(SCARCE_WAIT_MS, this.#context.signal)
    return this.#requeue(scarceIn, 'it could not be started for lack of resources', SCARCE_START_LIMIT, {
      code: 'CLAUDE_EXITED',
      message: `The CLI could not be started, ${SCARCE_START_LIMIT + 1} times, for lack of resources: ${why}`,
    })
  }

  async #requeue(
    folders: RunFolders,
    why: string,
    limit: number,
    exhausted: { readonly code: OutcomeCode; readonly message: string },
  ): Promise<RunReport> {
    await clearTemporary(folders).catch(() => undefined)
    const answer = await this.#services.store.requeue(this.#executionId, this.#fence, limit)
    if (answer.kind === 'cancelled') return this.#concludeCancelled()
    if (answer.kind === 'exhausted') return this.#conclude({ outcome: failed(exhausted.code, exhausted.message) })
    if (answer.kind === 'requeued') await enqueueReady(this.#services, answer.ready)
    return { kind: 'passed_over', why }
  }
}

const LOST = {
  code: 'WORKER_LOST',
  status: 'failed',
  message: 'The worker lost its connection to the store for longer than its lease; the run was stopped.',
} as const
