import { createHash } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { toRunRequest, type RunRequest } from '../claude/run-request.js'
import { fromStore } from '../platform/redis.js'
import { ExecutorError } from '../protocol/errors.js'
import type { ExecuteRequest } from '../protocol/execute-request.js'
import type { Execution } from '../protocol/execution.js'
import { requireUsableSchema } from './answer-schema.js'
import { estimateFor } from './estimate-run.js'
import { getExecution } from './find-execution.js'
import { toSessionError, toSessionWish } from './join-session.js'
import { planBudget, toBudgetError } from './plan-budget.js'
import type { Caller, DomainServices } from './services.js'
import { nameWorkspace } from './workspace-name.js'

export interface Submission {
  readonly execution: Execution
  /** The Idempotency-Key was known: this is the execution of the first time. */
  readonly replayed: boolean
}

/** Object keys in order, so that two spellings of one request have one digest. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => [key, sortKeys(member)]))
}

let sequence = 0
/** Ids of one time stand in the order in which this process made them. */
function mintId(createdAt: number): string {
  sequence = (sequence + 1) >>> 0
  return uuidv7({ msecs: createdAt, seq: sequence })
}

export const digestRequest = (request: ExecuteRequest): string => createHash('sha256').update(JSON.stringify(sortKeys(request))).digest('hex')

function checkPermissions(run: RunRequest, services: DomainServices, caller: Caller): void {
  if (run.permissionMode === 'bypassPermissions' && !services.config.allowBypassPermissions) {
    throw new ExecutorError('FORBIDDEN', {
      detail: 'permissionMode: bypassPermissions is switched off here; the operator switches it on with CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS=true.',
      errors: [{ path: 'permissionMode', message: 'switched off by CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS' }],
    })
  }
  if (run.verify?.commands && !caller.scopes.has('admin') && !services.config.allowVerifyCommands) {
    throw new ExecutorError('FORBIDDEN', {
      detail: 'verify.commands: running commands of one’s own needs a token with the admin scope, or CC_EXECUTOR_ALLOW_VERIFY_COMMANDS=true.',
      errors: [{ path: 'verify.commands', message: 'needs the admin scope' }],
    })
  }
  const startsPrograms = Object.entries(run.mcpServers ?? {}).find(([, server]) => 'command' in server)
  if (startsPrograms && !caller.scopes.has('admin')) {
    throw new ExecutorError('FORBIDDEN', {
      detail: `mcpServers.${startsPrograms[0]}: starting a program needs a token with the admin scope.`,
      errors: [{ path: `mcpServers.${startsPrograms[0]}`, message: 'needs the admin scope' }],
    })
  }
}

/**
 * Accepts an execution: the stored record is the acceptance. An enqueue that fails, or a crash before it, is repaired by the sweep.
 * @throws ExecutorError COMMAND_NOT_ALLOWED, INVALID_REQUEST, FORBIDDEN, SESSION_NOT_FOUND, SESSION_BUSY, IDEMPOTENCY_CONFLICT, QUEUE_FULL, BUDGET_EXCEEDED, STORE_UNAVAILABLE
 */
export async function submitExecution(services: DomainServices, request: ExecuteRequest, caller: Caller, idempotencyKey?: string): Promise<Submission> {
  const { config, store, queue, logger } = services
  const run = toRunRequest(request)
  requireUsableSchema(run)
  checkPermissions(run, services, caller)
  const createdAt = await fromStore(store.now())
  const id = mintId(createdAt)
  const session = run.session && toSessionWish(run.session, request.workspace)
  const workspace = session ? undefined : nameWorkspace(request.workspace, id, config)
  const priority = request.priority ?? 'normal'
  const { fingerprints, timeoutEstimate } = await estimateFor(services, run, { owner: caller.name, workspace: workspace?.lock, isWanted: request.timeoutSeconds === 'auto' })
  const answer = await fromStore(
    store.create(
      {
        id,
        owner: caller.name,
        request,
        requestDigest: digestRequest(request),
        priority,
        createdAt,
        ...(session && { session }),
        ...(workspace && { workspace: workspace.name }),
        metadata: request.metadata ?? {},
        simulated: config.simulatorUrl !== undefined,
        fingerprints,
        wantedBudget: planBudget(run, caller, config),
        ...(run.model !== undefined && { model: run.model }),
        ...(timeoutEstimate && { timeoutEstimate }),
        ...(workspace?.lock !== undefined && { workspaceLock: workspace.lock }),
        ...(run.queueTimeoutSeconds !== undefined && { queueDeadline: createdAt + run.queueTimeoutSeconds * 1_000 }),
        ...(idempotencyKey !== undefined && { idempotencyKey }),
      },
      config.maxQueue,
    ),
  )
  switch (answer.kind) {
    case 'full':
      throw new ExecutorError('QUEUE_FULL', { detail: `${config.maxQueue} executions are waiting already; try again later.`, retryAfterSeconds: 5 })
    case 'over':
      throw toBudgetError(answer.refusal, caller.name)
    case 'conflict':
      throw new ExecutorError('IDEMPOTENCY_CONFLICT', { detail: 'This Idempotency-Key was used with another request; use a new key for a new request.' })
    case 'replayed':
      return { execution: await getExecution(services, answer.id, caller), replayed: true }
    case 'refused':
      throw session ? toSessionError(answer.refusal, session) : new Error('A submission without a session was refused one.')
    case 'created':
      break
  }
  await queue.enqueue({ executionId: id, claim: 1 }, priority).catch((error: unknown) => {
    logger.warn({ executionId: id, error: String(error) }, 'stored but not yet queued; the sweep will do it')
  })
  return { execution: await getExecution(services, id, caller), replayed: false }
}
