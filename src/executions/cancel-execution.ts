import { ExecutorError } from '../protocol/errors.js'
import type { NewEvent } from '../protocol/events.js'
import { isTerminal, type Execution, type Outcome } from '../protocol/execution.js'
import { fromStore } from '../platform/redis.js'
import { concludeExecution } from './conclude-execution.js'
import { toExecution, type ExecutionRecord } from './execution-record.js'
import { requireExecution } from './find-execution.js'
import type { Caller, DomainServices } from './services.js'

/** How often a wish is tried again when the execution changed its state in between: queued → starting → running. */
const TRIES = 5

/** Ends an execution. A queued one is concluded here; for a running one the wish is recorded and its worker told. Idempotent. */
export async function cancelExecution(services: DomainServices, id: string, caller: Caller, reason?: string): Promise<Execution> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const record = await requireExecution(services, id, caller)
    if (isTerminal(record.state)) return toExecution(record)
    if (await tryCancel(services, record, caller, reason)) break
  }
  return toExecution(await requireExecution(services, id, caller))
}

async function tryCancel(services: DomainServices, record: ExecutionRecord, caller: Caller, reason: string | undefined): Promise<boolean> {
  const { store, queue } = services
  const { id } = record
  if (record.state !== 'queued') {
    const answer = await fromStore(store.wish(id, { kind: 'cancel' }, caller.name, reason))
    if (answer.kind === 'refused') return false
    await nudge(services, id)
    return true
  }
  const by = { by: caller.name, ...(reason !== undefined && { reason }) }
  const { attempt, usage } = record
  const outcome: Outcome = { status: 'cancelled', code: 'CANCELLED', message: attempt === 0 ? 'Cancelled before it started.' : 'Cancelled while it waited for its next attempt.' }
  const cause: NewEvent = { type: 'execution.cancel_requested', data: by }
  if (!(await fromStore(concludeExecution(services, id, { kind: 'queued' }, { outcome, attempt, usage, cause })))) return false
  await queue.remove({ executionId: id, claim: record.claim })
  return true
}

/** Pauses or resumes a running execution. Idempotent. @throws ExecutorError ALREADY_FINISHED, NOT_RUNNING */
export async function pauseExecution(services: DomainServices, id: string, caller: Caller, wanted: boolean, reason?: string): Promise<Execution> {
  await requireExecution(services, id, caller)
  const answer = await fromStore(services.store.wish(id, { kind: 'pause', wanted }, caller.name, reason))
  if (answer.kind === 'refused') {
    if (isTerminal(answer.state)) throw new ExecutorError('ALREADY_FINISHED', { detail: `The execution has already finished: ${answer.state}.` })
    throw new ExecutorError('NOT_RUNNING', { detail: 'The execution has not started yet; only a running one can be paused or resumed.' })
  }
  await nudge(services, id)
  return toExecution(await requireExecution(services, id, caller))
}

/** A nudge that fails costs time only: the worker reads the wish with its next renewal. */
async function nudge({ control, logger }: DomainServices, executionId: string): Promise<void> {
  await control({ kind: 'wish', executionId }).catch((error: unknown) => logger.debug({ executionId, error: String(error) }, 'nudge not sent'))
}
