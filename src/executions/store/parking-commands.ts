import { serializeWithoutSeq } from '../../events/stored-event.js'
import type { ParkReason } from '../../protocol/execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toParkReason } from '../records/execution-state.js'
import { decodeGoOn, decodeSetBudget } from './decode-replies.js'
import type { GoingOn } from './people-scripts.js'
import { execute, type StoreContext } from './store-context.js'
import type { GoOn, GoOnAnswer, SeenParked, SetBudget, SetBudgetAnswer } from './parking-transitions.js'

/** How a parked execution goes on, and what anybody decides of its limits. Parking itself is a `retry`. */
export interface ParkingCommands {
  /** waiting_* → queued, once. */
  goOn(seen: SeenParked, next: GoOn): Promise<GoOnAnswer>
  /** As far as it stands as it was read. */
  setBudget(record: ExecutionRecord, change: SetBudget): Promise<SetBudgetAnswer>
  /** Parked executions whose time has come: they go on by themselves, or end. */
  listRested(reason: ParkReason, count: number): Promise<string[]>
}

/** How many are looked at for one that has nothing to wait for any more. */
const SAMPLED = 100

export const toUnparked = (
  { state, attempt }: Pick<SeenParked, 'state' | 'attempt'>,
  { by, at, note, queueDeadline }: Pick<GoOn, 'by' | 'at' | 'note' | 'queueDeadline'>,
): GoingOn => ({
  event: serializeWithoutSeq({ type: 'execution.unparked', data: { reason: toParkReason(state), by } }, at, attempt),
  fields: { unparkNote: note },
  queueDeadline: queueDeadline?.getTime(),
})

export function createParkingCommands({ redis, root, run, now }: StoreContext): ParkingCommands {
  /** Some of those that are parked for approvals, of which none is pending: an older version has closed it. */
  async function sampleDecided(): Promise<string[]> {
    const ids = await redis.zrandmember(`${root}:resting:approval`, SAMPLED)
    const pipeline = redis.pipeline()
    for (const id of ids) pipeline.hexists(`${root}:execution:${id}`, 'openApprovals')
    const waits = ids.length > 0 ? await execute(pipeline) : []
    return ids.filter((_id, index) => waits[index] === 0)
  }
  return {
    async goOn({ id, state, claim, attempt }, next) {
      const { wantedBudget, nextDay, events = [], at } = next
      return decodeGoOn(
        id,
        await run('ccGoOn', {
          id,
          state,
          claim: String(claim),
          ...toUnparked({ state, attempt }, next),
          events: events.map((event) => serializeWithoutSeq(event, at, attempt)),
          wantedBudget: wantedBudget && JSON.stringify(wantedBudget),
          nextDay: nextDay?.getTime(),
        }),
      )
    },
    async setBudget({ id, state, attempt, budgetChanges = [] }, change) {
      const { budget, by, at, dailyBudget, wantedBudget, isEnough, queueDeadline } = change
      const unparks = state === 'waiting_budget' && isEnough
      return decodeSetBudget(
        id,
        await run('ccSetBudget', {
          id,
          state,
          revision: String(budgetChanges.length),
          changes: JSON.stringify([...budgetChanges, { ...budget, at: at.toISOString(), by }]),
          fields: { dailyBudget: dailyBudget && JSON.stringify(dailyBudget) },
          event: serializeWithoutSeq({ type: 'execution.budget_changed', data: { ...budget, by } }, at, attempt),
          wantedBudget: JSON.stringify(wantedBudget),
          unparked: unparks ? toUnparked({ state, attempt }, { by, at, queueDeadline }) : undefined,
        }),
      )
    },
    async listRested(reason, count) {
      const due = await redis.zrangebyscore(`${root}:resting:${reason}`, '-inf', await now(), 'LIMIT', 0, count)
      return reason === 'approval' ? [...new Set([...due, ...(await sampleDecided())])] : due
    },
  }
}
