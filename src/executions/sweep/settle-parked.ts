import type { Outcome, ParkReason } from '../../protocol/execution.js'
import { concludeExecution } from '../conclude/conclude-execution.js'
import { nextDay } from '../conclude/plan-parking.js'
import { unparkExecution } from '../conclude/unpark-execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { isParked, toParkReason } from '../records/execution-state.js'
import { planRest } from '../records/plan-rest.js'
import { runOf } from '../../claude/command/run-request.js'
import type { DomainServices } from '../services.js'

/** As an event names what lets an execution go on when the day turns. */
const BY_DAY = 'daily budget'

/** What becomes of an execution that nobody has decided on in time, by what it waits for. */
const EXPIRED: Partial<Record<ParkReason, (record: ExecutionRecord) => Outcome>> = {
  budget: (record) => ({
    status: 'failed',
    code: 'BUDGET_EXCEEDED',
    message:
      `Its budget was not raised within ${runOf(record).budgetTimeoutSeconds} s (budgetTimeoutSeconds). Its effects ` +
      'until then are kept.',
  }),
}

/** A parked execution whose time has come: it goes on by itself, or it ends. */
export async function settleParked(services: DomainServices, id: string): Promise<void> {
  const { store, config } = services
  const record = await store.get(id)
  if (!record || !isParked(record.state)) return
  const now = await store.now()
  const { state, claim, attempt, usage, notBefore, parkedUntil, dailyBudget } = record
  const reason = toParkReason(state)
  if (notBefore !== undefined && notBefore <= now) {
    const answer = await unparkExecution(services, record, {
      by: BY_DAY,
      wantedBudget: reason === 'budget' ? planRest(record, dailyBudget, config, { isRest: true }) : undefined,
      nextDay: nextDay(new Date(now)),
    })
    if (answer.kind !== 'over') return
  }
  const toOutcome = EXPIRED[reason]
  if (parkedUntil === undefined || parkedUntil > now || !toOutcome) return
  await concludeExecution(
    services,
    id,
    { kind: 'queued', state, claim },
    { outcome: toOutcome(record), attempt, usage },
  )
}
