import { randomUUID } from 'node:crypto'
import { claudeCommand, type ClaudeCommand } from '../claude/claude-command.js'
import { toRunRequest, type RunRequest } from '../claude/run-request.js'
import { spawnClaude, type ClaudeProcess } from '../claude/spawn-claude.js'
import { createTranslator } from '../claude/translate-message.js'
import { sleep } from '../platform/deadline.js'
import { ExecutorError } from '../protocol/errors.js'
import type { Outcome, OutcomeCode, Usage } from '../protocol/execution.js'
import { answerSchemaOf, toCliSchema, type AnswerSchema } from './answer-schema.js'
import { concludeExecution } from './conclude-execution.js'
import { enqueueWoken } from './enqueue-woken.js'
import type { ExecutionRecord } from './execution-record.js'
import type { Wishes } from './execution-store.js'
import { LeaseKeeper } from './lease-keeper.js'
import { clearTemporary, prepareWorkspace, WorkspaceError, type RunFolders } from './prepare-workspace.js'
import { RunAttempt, type Progress } from './run-attempt.js'
import { RunJournal } from './run-journal.js'
import type { RunServices } from './run-services.js'
import { LOST_START_LIMIT, QUEUE_TIMEOUT } from './sweep-executions.js'

const CONCLUDE_RETRY_MS = 500
/** A CLI that has said nothing for so long is not starting any more, whatever it does: the next may start. */
const START_LIMIT_MS = 5_000

export interface RunContext {
  /** Aborted when the worker must let go of its runs at once; the reason is a sentence. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

export type RunReport =
  /** It ended, and this worker wrote its end. */
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  /** Nothing to do here: already taken, cancelled, waiting for its workspace, or taken over by others. */
  | { readonly kind: 'passed_over'; readonly why: string }

const failed = (code: OutcomeCode, message: string): Outcome => ({ status: 'failed', code, message })

/** Takes an execution from the queue to its end: claim, prepare, start, run, conclude. */
export async function runExecution(services: RunServices, job: { executionId: string; claim: number }, context: RunContext): Promise<RunReport> {
  const { store, config, workerId } = services
  const { executionId } = job
  const leaseMs = config.lockSeconds * 1_000
  const claim = await store.claim(executionId, job.claim, workerId, leaseMs)
  switch (claim.kind) {
    case 'refused':
      return { kind: 'passed_over', why: `not to be claimed: ${claim.state}` }
    case 'parked':
      return { kind: 'passed_over', why: 'its workspace is taken; it is queued again when that is free' }
    case 'expired':
      await concludeExecution(services, executionId, { kind: 'queued' }, { outcome: QUEUE_TIMEOUT, attempt: 0 })
      return { kind: 'finished', outcome: QUEUE_TIMEOUT }
    case 'claimed':
      return new ClaimedRun(services, executionId, claim, context).run()
  }
}

/** A claimed execution: everything in here is done under one fence. */
class ClaimedRun {
  readonly #services: RunServices
  readonly #executionId: string
  readonly #fence: string
  readonly #claimedSeq: number
  readonly #attempt: number
  readonly #context: RunContext
  readonly #marker: string
  readonly #lease: LeaseKeeper
  #running: RunAttempt | undefined
  #wishes: Wishes = {}
  #isLost = false

  constructor(services: RunServices, executionId: string, claim: { fence: string; lastSeq: number; attempt: number }, context: RunContext) {
    this.#services = services
    this.#executionId = executionId
    this.#fence = claim.fence
    this.#claimedSeq = claim.lastSeq
    this.#attempt = claim.attempt + 1
    this.#context = context
    this.#marker = `${services.deploymentId}/${executionId}/${claim.fence}`
    this.#lease = new LeaseKeeper({
      store: services.store,
      logger: services.logger,
      executionId,
      fence: claim.fence,
      leaseMs: services.config.lockSeconds * 1_000,
      usage: () => this.#running?.usage(),
      onWishes: (wishes) => {
        this.#wishes = wishes
        this.#running?.obey(wishes)
      },
      onLost: (why) => this.#lose(why),
    })
  }

  async run(): Promise<RunReport> {
    const { live } = this.#services
    live.set(this.#executionId, { poke: () => this.#lease.poke(), marker: this.#marker })
    try {
      return await this.#runClaimed()
    } finally {
      this.#lease.close()
      live.delete(this.#executionId)
    }
  }

  async #runClaimed(): Promise<RunReport> {
    const { store, logger } = this.#services
    const record = await store.get(this.#executionId)
    if (!record) return { kind: 'passed_over', why: 'deleted' }
    const prepared = await this.#prepare(record)
    if ('outcome' in prepared) return this.#conclude(prepared)
    const { process, folders, leaveGate } = prepared
    try {
      if (this.#context.signal.aborted) return await this.#handBack()
      return await this.#start(prepared)
    } finally {
      leaveGate()
      await process.killAll().catch((error: unknown) => logger.error({ executionId: this.#executionId, error: String(error) }, 'processes of a run are left'))
      await clearTemporary(folders).catch(() => undefined)
    }
  }

  /** Everything that can go wrong before the CLI exists, each with its own code. */
  async #prepare(record: ExecutionRecord): Promise<Prepared | { outcome: Outcome }> {
    const { config, claude, credentials, containment, startGate } = this.#services
    if (!claude) return { outcome: failed('CLAUDE_NOT_FOUND', 'The Claude CLI was not found on the worker: install it (npm run setup, or npm install -g @anthropic-ai/claude-code) or set CC_EXECUTOR_CLAUDE_BIN.') }
    if (credentials.method === 'none') return { outcome: failed('CLAUDE_NOT_AUTHENTICATED', `${credentials.message} ${credentials.remedy ?? ''}`.trim()) }
    let folders: RunFolders
    try {
      folders = await prepareWorkspace(record.id, record.workspace, config)
    } catch (error) {
      if (error instanceof WorkspaceError) return { outcome: failed('WORKSPACE_ERROR', error.message) }
      throw error
    }
    const run = toRunRequest(record.request)
    const sessionId = randomUUID()
    const answerSchema = answerSchemaOf(run, record.id)
    const command = claudeCommand(run, {
      binary: claude.binary,
      sessionId,
      ...folders,
      tmpDir: folders.temporary,
      credentials,
      env: config.environment,
      childEnv: config.childEnv,
      defaultPermissionMode: config.permissionMode,
      extraAllowedTools: config.allowedTools,
      trustWorkspaces: config.trustWorkspaces,
      answer: answerSchema && toCliSchema(answerSchema),
      asRoot: globalThis.process.getuid?.() === 0,
      ...(config.simulatorUrl !== undefined && { simulatorUrl: config.simulatorUrl }),
    })
    await startGate.enter()
    let isStarting = true
    const leaveGate = (): void => {
      clearTimeout(limit)
      if (isStarting) startGate.leave()
      isStarting = false
    }
    const limit = setTimeout(leaveGate, START_LIMIT_MS)
    try {
      const process = await spawnClaude(command, {
        containment,
        workspace: folders.workspace,
        marker: this.#marker,
        hidden: [config.dataDir],
        exposed: Object.values(folders),
        heartbeatTimeoutMs: (config.lockSeconds * 1_000) / 2,
      })
      return { record, run, answerSchema, sessionId, command, folders, process, leaveGate }
    } catch (error) {
      leaveGate()
      return { outcome: toSpawnFailure(error) }
    }
  }

  async #start({ record, run, answerSchema, sessionId, command, folders, process, leaveGate }: Prepared): Promise<RunReport> {
    const { store, config, claude, workerId, log } = this.#services
    const started = await store.start(
      record.id,
      this.#fence,
      { startedAt: new Date(), attempt: this.#attempt, sessionId, simulated: config.simulatorUrl !== undefined },
      {
        type: 'execution.started',
        data: {
          attempt: this.#attempt, workerId, pid: process.pid, pgid: process.pgid, claudeVersion: claude?.version ?? '', sessionId, workspace: record.workspace,
          argv: [...command.argv], ...(run.model !== undefined && { model: run.model }),
        },
      },
    )
    if (started.kind === 'stale') return { kind: 'passed_over', why: 'the claim was lost before the start' }
    const journal = new RunJournal({
      log,
      executionId: record.id,
      fence: this.#fence,
      attempt: started.kind === 'started' ? this.#attempt : this.#attempt - 1,
      lastSeq: started.kind === 'started' ? started.lastSeq : this.#claimedSeq,
      limitBytes: config.outputLimitBytes,
      onStale: () => this.#lose('stale'),
    })
    if (started.kind === 'cancelled') return this.#concludeCancelled(journal)
    const attempt = new RunAttempt({
      services: this.#services, executionId: record.id, fence: this.#fence, run, command, folders, process, journal, answerSchema, lease: this.#lease,
      translator: createTranslator({ partialText: run.partialText, rawPartials: run.rawPartials }),
      onProgress: this.#context.onProgress,
      onFirstOutput: leaveGate,
    })
    const onAbort = (): void => attempt.end({ code: 'WORKER_LOST', status: 'failed', message: String(this.#context.signal.reason) })
    this.#context.signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#running = attempt
      this.#lease.attach(() => process.heartbeat())
      if (this.#isLost) attempt.end(LOST, 'at_once')
      if (this.#context.signal.aborted) onAbort()
      attempt.obey(this.#wishes)
      const { outcome, usage } = await attempt.run()
      await journal.close()
      return await this.#conclude({ outcome, usage })
    } finally {
      this.#context.signal.removeEventListener('abort', onAbort)
    }
  }

  /** The cancel came between dequeue and spawn: the CLI was never let go. */
  async #concludeCancelled(journal: RunJournal): Promise<RunReport> {
    const wishes = await this.#services.store.renew(this.#executionId, this.#fence, this.#services.config.lockSeconds * 1_000)
    await journal.write([{ type: 'execution.cancel_requested', data: wishes?.cancel ?? { by: 'unknown' } }])
    await journal.close()
    return this.#conclude({ outcome: { status: 'cancelled', code: 'CANCELLED', message: 'Cancelled before it started.' } })
  }

  /** Writes the end; while Redis is away it tries again until the lease is over, when others may conclude. */
  async #conclude({ outcome, usage }: { outcome: Outcome; usage?: Usage }): Promise<RunReport> {
    const ending = { outcome, attempt: this.#running ? this.#attempt : this.#attempt - 1, ...(usage && { usage }) }
    for (;;) {
      try {
        const isOurs = await concludeExecution(this.#services, this.#executionId, { kind: 'holder', fence: this.#fence }, ending)
        return isOurs ? { kind: 'finished', outcome } : { kind: 'passed_over', why: 'somebody else concluded it' }
      } catch (error) {
        if (this.#isLost) throw error
        this.#services.logger.warn({ executionId: this.#executionId, error: String(error) }, 'the end could not be stored; trying again')
        await sleep(CONCLUDE_RETRY_MS)
      }
    }
  }

  #lose(why: 'stale' | 'unreachable'): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#services.logger.error({ executionId: this.#executionId, why }, 'the claim is lost; its run is ended')
    this.#running?.end(LOST, 'at_once')
  }

  /** The worker stops before the CLI was let go: the execution goes back to the queue. */
  async #handBack(): Promise<RunReport> {
    const answer = await this.#services.store.requeue(this.#executionId, this.#fence, LOST_START_LIMIT)
    if (answer.kind === 'exhausted') return this.#conclude({ outcome: failed('WORKER_LOST', 'Its workers were stopped again and again before it could start.') })
    if (answer.kind === 'requeued') await enqueueWoken(this.#services, answer.woken)
    return { kind: 'passed_over', why: 'the worker is stopping' }
  }
}

const LOST = { code: 'WORKER_LOST', status: 'failed', message: 'The worker lost its connection to the store for longer than its lease; the run was ended.' } as const

interface Prepared {
  readonly record: ExecutionRecord
  readonly run: RunRequest
  readonly answerSchema: AnswerSchema | undefined
  readonly sessionId: string
  readonly command: ClaudeCommand
  readonly folders: RunFolders
  readonly process: ClaudeProcess
  /** Lets the next start through; a start is over with the CLI's first output, or after START_LIMIT_MS. */
  readonly leaveGate: () => void
}

function toSpawnFailure(error: unknown): Outcome {
  if (error instanceof ExecutorError) throw error
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'ENOENT_FILE':
      return failed('CLAUDE_NOT_FOUND', 'The Claude CLI is no longer where the worker found it; install it again or set CC_EXECUTOR_CLAUDE_BIN.')
    case 'BAD_CWD':
      return failed('WORKSPACE_ERROR', 'The workspace cannot be entered; check its permissions.')
    default:
      return failed('CLAUDE_EXITED', `The CLI could not be started: ${error instanceof Error ? error.message : String(error)}`)
  }
}
