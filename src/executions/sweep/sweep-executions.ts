import type { Outcome } from '../../protocol/execution.js'
import { cancelUnheld } from '../control/cancel-queued.js'
import { settleTaskList } from '../control/cancel-task-list.js'
import { concludeExecution, concludeOrphan } from '../conclude/conclude-execution.js'
import { settleOwed } from '../conclude/follow-ups.js'
import { expireApprovals } from './expire-approvals.js'
import { eachInTurn } from './each-in-turn.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import { runOf } from '../../claude/command/run-request.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { readLostUsage } from './lost-usage.js'
import { planContinuation } from '../conclude/plan-retry.js'
import { settleParked } from '../conclude/settle-parked.js'
import { retainExecutions } from './retain-executions.js'
import { retryExecution } from '../conclude/retry-execution.js'
import type { DomainServices } from '../services.js'
import { LOST_START_LIMIT } from '../records/lost-start-limit.js'
import { concludeOverdue } from '../conclude/conclude-overdue.js'

export const SWEEP_INTERVAL_MS = 2_000
const BATCH = 100
/** A submission between its two steps is not mistaken for a lost one, nor a task list between two tasks. */
const SETTLE_MS = 3_000

const WORKER_LOST: Outcome = {
  status: 'failed',
  code: 'WORKER_LOST',
  message:
    'The worker that ran this execution died or lost its connection. It is unknown what the run did ' +
    'until then; check its workspace and events before running it again.',
}

/**
 * Repairs what a crash left half done; every step is safe to run twice. One process at a time does it.
 * The head of the queue is enough to find lost jobs: one that is stuck moves to the head as the others leave.
 */
export async function sweepExecutions(services: DomainServices): Promise<void> {
  const { store, logger } = services
  await store.syncClock()
  // Nothing else of the sweep depends on settings that may be others in another process.
  const isFirst = await store.tryLock('sweep', SWEEP_INTERVAL_MS / 2)
  if (!isFirst) return retainExecutions(services)
  // Without Redis every turn would last until its deadline, and a process that stops waits for the round.
  const isRedisThere = (): Promise<unknown> => store.now()
  const settle = async (
    ids: readonly string[],
    act: (services: DomainServices, id: string) => Promise<unknown>,
  ): Promise<void> =>
    eachInTurn(
      ids,
      (id) =>
        act(services, id).catch((err: unknown) => {
          logger.warn({ executionId: id, err }, 'an execution could not be settled; the sweep will retry')
          throw err
        }),
      isRedisThere,
    )
  await eachInTurn(
    [
      async () => settle(await listAbandoned(services), settleAbandoned),
      async () => settle(await store.listOverdue(BATCH), concludeOverdue),
      async () => settle(await store.listUnsettled(SETTLE_MS, BATCH), settleTaskList),
      () => expireApprovals(services, BATCH),
      async () => settle(await store.listRested('budget', BATCH), settleParked),
      async () => settle(await store.listRested('approval', BATCH), settleParked),
      () => wakeDue(services),
      () => enqueueLost(services),
      () => unparkFree(services),
      async () => settle(await store.listFollowing(BATCH), settleFollowing),
      async () => eachInTurn(await store.listOwed(BATCH), (owed) => settleOwed(services, owed), isRedisThere),
      () => retainExecutions(services),
      () => store.trimIndexes(BATCH),
      () => store.trimApprovals(BATCH),
    ],
    (step) => step(),
    isRedisThere,
  )
}

async function listAbandoned({ store, logger, config }: DomainServices): Promise<readonly string[]> {
  const { ids, jumpedMs } = await store.listAbandoned(BATCH, config.lockSeconds * 1_000)
  if (jumpedMs !== 0)
    logger.warn({ jumpedMs }, 'the clock of Redis has jumped, or Redis stood still; every lease starts again')
  return ids
}

async function settleAbandoned(services: DomainServices, id: string): Promise<void> {
  const { store, logger } = services
  const requeued = await store.requeue(id, undefined, LOST_START_LIMIT)
  if (requeued.kind === 'requeued') {
    logger.warn({ executionId: id }, 'its worker was lost before the start; queued again')
    await enqueueReady(services, requeued.ready)
    return
  }
  const record = await store.get(id)
  if (!record) return
  if (requeued.kind === 'cancelled') await cancelUnheld(services, record, { kind: 'abandoned' }, requeued)
  // The worker died that ran what comes after a list.
  else if (record.kind === 'task_list') await settleTaskList(services, id)
  else await settleLost(services, record)
}

/**
 * Its worker is gone, and so are its processes: the lease outlives them. Another attempt goes on where that was asked
 * for.
 */
async function settleLost(services: DomainServices, record: ExecutionRecord): Promise<void> {
  const { store } = services
  const { id, state, attempt, spared, failedStarts, startedAt } = record
  const run = runOf(record)
  const attempts = { made: attempt, spared }
  // One that was lost again and again before its start has no attempt to go on from.
  const hasStarted = state !== 'starting'
  const lostUsage = hasStarted ? await readLostUsage(services.log, record) : record.usage
  const usage =
    hasStarted && attempt === 1 && startedAt !== undefined
      ? { ...lostUsage, durationMs: Math.max(0, (await store.now()) - startedAt) }
      : lostUsage
  const plan = hasStarted
    ? planContinuation(
        'WORKER_LOST',
        'The worker died or lost its connection; another one continues the session.',
        { made: attempt + failedStarts, spared },
        run,
      )
    : undefined
  if (plan)
    await retryExecution(services, id, {
      fence: undefined,
      plan,
      attempts,
      usage,
      queueTimeoutSeconds: run.queueTimeoutSeconds,
    })
  else await concludeExecution(services, id, { kind: 'abandoned' }, { outcome: WORKER_LOST, attempt, usage })
}

/**
 * Executions whose next attempt was not to begin before a time. Jobs lead to them only from then on, so none can be
 * lost or come early.
 */
async function wakeDue(services: DomainServices): Promise<void> {
  for (let count = 0; count < BATCH; count += 1) {
    const ready = await services.store.wakeDue()
    if (!ready) return
    await enqueueReady(services, ready)
  }
}

/**
 * A job counts for whoever is due when it arrives, so what matters is how many there are: one for each that could be
 * taken now. Where some are missing, those get one that have none of their own.
 */
async function enqueueLost(services: DomainServices): Promise<void> {
  const { store, queue, logger } = services
  const now = await store.now()
  const { due, active, ids } = await store.listDue(BATCH)
  let missing = due === 0 ? 0 : due + active - (await queue.countJobs())
  if (missing <= 0) return
  for (const record of await store.getMany(ids)) {
    // The clock may have been set back since then.
    if (record.state !== 'queued' || Math.abs(now - record.createdAt) < SETTLE_MS) continue
    if (await queue.isOnItsWay({ executionId: record.id, claim: record.claim })) continue
    const claim = await store.reclaim(record.id, record.claim)
    if (claim === undefined) continue
    missing -= 1
    logger.warn({ executionId: record.id }, 'its job was lost; queued again')
    await queue.enqueue({ executionId: record.id, claim }, record.priority)
    if (missing === 0) return
  }
}

async function unparkFree(services: DomainServices): Promise<void> {
  for (const id of await services.store.listParked(BATCH)) {
    const ready = await services.store.unpark(id)
    if (ready) await enqueueReady(services, ready)
  }
}

/** Whoever ended the execution before it died in between, or a fork of its session has begun. */
async function settleFollowing(services: DomainServices, id: string): Promise<void> {
  const turn = await services.store.takeOver(id)
  if (turn === 'orphan') await concludeOrphan(services, id)
  else if (turn) await enqueueReady(services, turn)
}
