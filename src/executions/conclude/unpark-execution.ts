import { fromStore } from '../../platform/redis.js'
import type { NewEvent } from '../../protocol/events.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { isParked } from '../records/execution-state.js'
import type { WantedRest } from '../records/plan-rest.js'
import { runOf } from '../../claude/command/run-request.js'
import type { DomainServices } from '../services.js'
import type { GoOnAnswer } from '../store/parking-transitions.js'
import { enqueueReady } from './enqueue-ready.js'

export interface Unparking {
  /** Who has decided: the name of a token, or the part of the service. */
  readonly by: string
  /** What the next attempt is told of the decision; absent: only that the session continues. */
  readonly note?: string
  /** Of what was decided, where the log does not tell it yet. */
  readonly events?: readonly NewEvent[]
  /** Of one that had reserved nothing: what it may spend from now on. */
  readonly wantedBudget?: WantedRest
  /** Where the day has nothing left for it, it stays parked until then. */
  readonly nextDay?: Date
}

/** When one that goes on now has waited too long in the queue. */
export const toQueueDeadline = (record: ExecutionRecord, now: Date): Date | undefined => {
  const { queueTimeoutSeconds } = runOf(record)
  return queueTimeoutSeconds === undefined ? undefined : new Date(now.getTime() + queueTimeoutSeconds * 1_000)
}

/**
 * A parked execution, as it was read, goes on: its next attempt waits for its turn as any other. Of two that do this at
 * once, or beside a cancel or the end of its time, the first counts.
 */
export async function unparkExecution(
  services: DomainServices,
  record: ExecutionRecord,
  unparking: Unparking,
): Promise<GoOnAnswer> {
  const { id, state, claim, attempt } = record
  if (!isParked(state)) return { kind: 'refused', state }
  const at = new Date(await fromStore(services.store.now()))
  const queueDeadline = toQueueDeadline(record, at)
  const answer = await fromStore(
    services.store.goOn({ id, state, claim, attempt }, { ...unparking, at, queueDeadline }),
  )
  if (answer.kind !== 'unparked') return answer
  services.logger.info({ executionId: id, by: unparking.by }, 'unparked')
  await enqueueReady(services, answer.ready)
  return answer
}
