import type { Outcome } from '../protocol/execution.js'
import { concludeExecution } from './conclude-execution.js'
import { enqueueWoken } from './enqueue-woken.js'
import type { DomainServices } from './services.js'

export const SWEEP_INTERVAL_MS = 2_000
/** How often a claimed execution whose CLI was never let go is queued again. */
export const LOST_START_LIMIT = 2
const BATCH = 100
/** A submission between its two steps is not mistaken for a lost one. */
const SETTLE_MS = 3_000

const WORKER_LOST: Outcome = {
  status: 'failed',
  code: 'WORKER_LOST',
  message: 'The worker that ran this execution died or lost its connection. What the run did until then is not known; look at its workspace and events before running it again.',
}

export const QUEUE_TIMEOUT: Outcome = { status: 'failed', code: 'QUEUE_TIMEOUT', message: 'It waited in the queue longer than queueTimeoutSeconds and was not started.' }

/**
 * Repairs what a crash left half done; every step is safe to run twice. One process at a time does it.
 * The head of the queue is enough to find lost jobs: one that is stuck moves to the head as the others leave.
 */
export async function sweepExecutions(services: DomainServices): Promise<void> {
  if (!(await services.store.tryLock('sweep', SWEEP_INTERVAL_MS / 2))) return
  await concludeAbandoned(services)
  await concludeOverdue(services)
  await enqueueLost(services)
  await unparkFree(services)
  await services.store.trimIndexes(BATCH)
}

async function concludeAbandoned(services: DomainServices): Promise<void> {
  const { store, logger } = services
  for (const id of await store.listAbandoned(BATCH)) {
    const requeued = await store.requeue(id, undefined, LOST_START_LIMIT)
    if (requeued.kind === 'requeued') {
      logger.warn({ executionId: id }, 'its worker was lost before the start; queued again')
      await enqueueWoken(services, requeued.woken)
      continue
    }
    const record = await store.get(id)
    if (!record) continue
    const durationMs = record.startedAt === undefined ? 0 : Date.now() - record.startedAt
    await concludeExecution(services, id, { kind: 'abandoned' }, { outcome: WORKER_LOST, attempt: record.attempt, usage: { ...record.usage, durationMs } })
  }
}

async function concludeOverdue(services: DomainServices): Promise<void> {
  for (const id of await services.store.listOverdue(BATCH)) await concludeExecution(services, id, { kind: 'queued' }, { outcome: QUEUE_TIMEOUT, attempt: 0 })
}

async function enqueueLost(services: DomainServices): Promise<void> {
  const { store, queue, logger } = services
  const now = Date.now()
  for (const record of await store.getMany(await store.listWaiting(BATCH))) {
    if (record.state !== 'queued' || now - record.createdAt < SETTLE_MS) continue
    if (await queue.isOnItsWay({ executionId: record.id, claim: record.claim })) continue
    const claim = await store.reclaim(record.id, record.claim)
    if (claim === undefined) continue
    logger.warn({ executionId: record.id }, 'its job was lost; queued again')
    await queue.enqueue({ executionId: record.id, claim }, record.priority)
  }
}

async function unparkFree(services: DomainServices): Promise<void> {
  for (const id of await services.store.listParked(BATCH)) {
    const woken = await services.store.unpark(id)
    if (woken) await enqueueWoken(services, woken)
  }
}
