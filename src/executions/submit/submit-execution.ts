import { fromStore } from '../../platform/redis.js'
import { ExecutorError } from '../../protocol/errors.js'
import type { ExecuteRequest, Priority } from '../../protocol/execute-request.js'
import type { Execution } from '../../protocol/execution.js'
import { withdrawn } from '../../tokens/manage-tokens.js'
import type { StoredStep } from '../../schedules/schedule-store.js'
import { digestRequest } from '../records/digest-request.js'
import { estimateFor } from './estimate-run.js'
import { showExecution } from '../read/expected-start.js'
import { getExecution } from '../read/find-execution.js'
import { notOwned, toSessionError, toWantedSession } from './join-session.js'
import { mintUuid } from '../../platform/mint-uuid.js'
import { newTask, toDeadline } from './new-task.js'
import { requireRunnable } from './require-runnable.js'
import { planBudget, toBudgetError } from '../records/plan-budget.js'
import { requireSandbox } from '../claim/sandbox-levels.js'
import { requireWebhooks } from './require-webhooks.js'
import { grantRights } from '../claim/record-grant.js'
import type { DomainServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'
import type { Contents } from '../store/attachment-commands.js'
import type { NewRecord } from '../store/transitions.js'
import type { TraceCarrier } from '../../telemetry/tracing.js'
import { nameFor } from './name-for.js'
import { takeAttachments } from './take-attachments.js'
import { traceSubmission } from './trace-submission.js'

/** It takes a person to change it. */
const EVICTION_RETRY_SECONDS = 60

export interface Submission {
  readonly execution: Execution
  /** The Idempotency-Key was known: this is the execution of the first time. */
  readonly replayed: boolean
}

/** What is accepted is promised; a store that may throw it away takes nothing new. */
async function requireKeeping({ eviction }: DomainServices): Promise<void> {
  const reason = await fromStore(eviction())
  if (reason === undefined) return
  throw new ExecutorError('STORE_UNAVAILABLE', {
    detail: `${reason} New executions are rejected until then.`,
    retryAfterSeconds: EVICTION_RETRY_SECONDS,
  })
}

/** What was asked for once is not run again because nothing of it is kept any more. */
async function getReplayed(services: DomainServices, id: string, caller: Caller): Promise<Execution> {
  return getExecution(services, id, caller).catch((error: unknown) => {
    if (!(error instanceof ExecutorError) || error.code !== 'EXECUTION_NOT_FOUND') throw error
    throw new ExecutorError('EXECUTION_NOT_FOUND', {
      detail:
        `This Idempotency-Key led to the execution ${id}, which has ended and has been deleted by the ` +
        'retention limits (CC_EXECUTOR_RETENTION_SECONDS, _BYTES, _COUNT). It is not run again; use a new ' +
        'key to run it once more.',
    })
  })
}

/** Of a schedule: for the next of its moments, or at its token's word. */
export interface Scheduled {
  readonly scheduleId: string
  /** It waits for those of its schedule that have not ended. */
  readonly waits: boolean
  /** Settles the moment in the step that accepts the execution. */
  readonly toStep?: (executionId: string) => StoredStep
}

/** The moment of a schedule was settled by somebody else: nothing is started. */
export class MomentSettled extends Error {}

export interface SubmitOptions {
  /** It waits for its turn in its session, instead of SESSION_BUSY. */
  readonly follows?: boolean | undefined
  readonly scheduled?: Scheduled | undefined
  /** Its attachments were taken before, and the request names them by their digests. */
  readonly contents?: Contents | undefined
  /** Below what its spans stand. */
  readonly trace?: TraceCarrier | undefined
}

/** What is fixed of an execution when it is accepted. */
interface PlannedRecord {
  readonly record: NewRecord
  readonly firstTask?: NewRecord | undefined
  /** The bytes of its attachments. */
  readonly contents: Contents
}

interface PlanOptions extends SubmitOptions {
  readonly idempotencyKey?: string | undefined
}

/**
 * What would be accepted, with the rights of its caller.
 * @throws ExecutorError as submitExecution does before anything is stored
 */
export async function planRecord(
  services: DomainServices,
  asked: ExecuteRequest,
  caller: Caller,
  { idempotencyKey, follows, scheduled, contents: given, trace }: PlanOptions = {},
): Promise<PlannedRecord> {
  const { config, store } = services
  const { request, contents } = given ? { request: asked, contents: given } : takeAttachments(asked, config)
  const run = await requireRunnable(request, services, caller)
  await requireSandbox(services, request)
  // What it goes on with has named them, and they may be gone by now.
  if (follows !== true) await requireWebhooks(services, request, caller)
  await requireKeeping(services)
  const createdAt = await fromStore(store.recentNow())
  const id = mintUuid(createdAt)
  const session = run?.session && { ...toWantedSession(run.session, request.workspace, config), follows }
  const workspace = session ? undefined : await nameFor(services, caller, request, id)
  const priority = request.priority ?? 'normal'
  const estimate =
    run &&
    (await estimateFor(services, run, {
      owner: caller.id,
      workspace: workspace?.lock,
      isWanted: request.timeoutSeconds === 'auto',
    }))
  // A list keeps others out of a fresh workspace, too: somebody might go on with the conversation of a task meanwhile.
  // Those of a schedule that wait for each other hold one name, where they have no workspace in common.
  const alone = (scheduled?.waits === true && scheduled.scheduleId) || (request.tasks && workspace?.name)
  const lock = workspace && (workspace.lock ?? (alone || undefined))
  const deadline = run && toDeadline(run, createdAt)
  const record: NewRecord = {
    id,
    owner: caller.id,
    request,
    requestDigest: digestRequest(request),
    priority,
    createdAt,
    session,
    workspace: workspace?.name,
    metadata: request.metadata ?? {},
    simulated: config.simulatorUrl !== undefined,
    ...estimate,
    wantedBudget: run && planBudget(run, caller, config),
    model: run?.model,
    trace,
    // Of a list for its later tasks, of a run for the day on which it goes on.
    dailyBudget: request.tasks || run?.onBudgetExceeded === 'pause' ? caller.dailyBudget : undefined,
    kind: request.tasks ? 'task_list' : 'run',
    taskCount: request.tasks?.length,
    workspaceLock: lock,
    queueDeadline: follows === true ? undefined : deadline,
    queueTimeoutMs: follows === true && deadline !== undefined ? deadline - createdAt : undefined,
    idempotencyKey,
    scheduleId: scheduled?.scheduleId,
    planned: scheduled?.toStep?.(id),
  }
  const grant = await grantRights(services, record, { isAdmin: caller.scopes.has('admin') })
  const firstTask = request.tasks && (await newTask(services, record, 0, createdAt))
  return { record: { ...record, grant }, firstTask, contents }
}

/**
 * Accepts an execution: the stored record is the acceptance. An enqueue that fails, or a crash before it, is repaired
 * by the sweep.
 * @throws ExecutorError COMMAND_NOT_ALLOWED, INVALID_REQUEST, FORBIDDEN, WORKSPACE_NOT_FOUND, SESSION_NOT_FOUND,
 * SESSION_BUSY,
 * WEBHOOK_NOT_FOUND, UNAUTHENTICATED (the token was revoked meanwhile), IDEMPOTENCY_CONFLICT,
 * EXECUTION_NOT_FOUND, QUEUE_FULL, BUDGET_EXCEEDED, SANDBOX_UNAVAILABLE, STORE_UNAVAILABLE; MomentSettled
 */
export function submitExecution(
  services: DomainServices,
  request: ExecuteRequest,
  caller: Caller,
  idempotencyKey?: string,
  options: SubmitOptions = {},
): Promise<Submission> {
  return traceSubmission(services, options.trace, (below) =>
    submit(services, request, caller, { ...options, idempotencyKey, trace: below }),
  )
}

async function submit(
  services: DomainServices,
  request: ExecuteRequest,
  caller: Caller,
  options: PlanOptions,
): Promise<Submission> {
  const { config, store } = services
  const planned = await planRecord(services, request, caller, options)
  const { record, firstTask, contents } = planned
  const { id, session } = record
  if (contents.size > 0) await fromStore(store.putAttachmentsAside(id, contents))
  const answer = await fromStore(store.create(record, config.maxQueue, firstTask))
  // Else they would stay for an hour.
  if (contents.size > 0 && answer.kind !== 'created' && answer.kind !== 'waiting')
    await store.discardAttachments(id).catch(() => undefined)
  switch (answer.kind) {
    case 'full':
      throw new ExecutorError('QUEUE_FULL', {
        detail: `${config.maxQueue} executions are waiting already; try again later.`,
        retryAfterSeconds: 5,
      })
    case 'withdrawn':
      throw withdrawn()
    case 'settled':
      throw new MomentSettled()
    case 'over':
      throw toBudgetError(answer.refusal, caller.name)
    case 'conflict':
      throw new ExecutorError('IDEMPOTENCY_CONFLICT', {
        detail: 'This Idempotency-Key was used with another request; use a new key for a new request.',
      })
    case 'replayed':
      return { execution: await getReplayed(services, answer.id, caller), replayed: true }
    case 'refused':
      throw session ? toSessionError(answer.refusal, session) : notOwned(answer.refusal.detail)
    case 'created':
      await enqueue(services, firstTask?.id ?? id, record.priority)
      break
    case 'waiting':
      break
  }
  const execution =
    'record' in answer && answer.record
      ? await showExecution(services, answer.record)
      : await getExecution(services, id, caller)
  return { execution, replayed: false }
}

async function enqueue({ queue, logger }: DomainServices, executionId: string, priority: Priority): Promise<void> {
  await queue.enqueue({ executionId, claim: 1 }, priority).catch((err: unknown) => {
    logger.warn({ executionId, err }, 'stored but not yet queued; the sweep will do it')
  })
}
