import type { Outcome } from '../../protocol/execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { isParked, toParkReason, type ParkedState } from '../records/execution-state.js'
import { planRest } from '../records/plan-rest.js'
import { runOf } from '../../claude/command/run-request.js'
import type { DomainServices } from '../services.js'
import { findUnrecordedApprovals } from './closing-approvals.js'
import { concludeExecution } from './conclude-execution.js'
import { readLog } from './log-reading.js'
import { nextDay } from './plan-parking.js'
import { unparkExecution } from './unpark-execution.js'

/** As events name what lets an execution continue without a person: the day turns, nobody has decided in time. */
const BY_DAY = 'daily budget'
const BY_TIMEOUT = 'approval timeout'

type Parked = ExecutionRecord & { readonly state: ParkedState }

/**
 * A parked execution whose time has come, or whose decision is there: it continues by itself, or it ends. Safe to call
 * at any time, from anywhere; what is not due yet stays as it is.
 */
export async function settleParked(services: DomainServices, id: string): Promise<void> {
  const record = await services.store.get(id)
  if (!record) return
  const { state } = record
  if (!isParked(state)) return
  await (toParkReason(state) === 'budget' ? settleBudget : settleApproval)(services, { ...record, state })
}

async function settleBudget(services: DomainServices, record: Parked): Promise<void> {
  const { store, config } = services
  const now = await store.now()
  const { notBefore, parkedUntil, dailyBudget } = record
  if (notBefore !== undefined && notBefore <= now) {
    const answer = await unparkExecution(services, record, {
      by: BY_DAY,
      wantedBudget: planRest(record, dailyBudget, config, { isRest: true }),
      nextDay: nextDay(new Date(now)),
    })
    if (answer.kind !== 'over') return
  }
  if (parkedUntil === undefined || parkedUntil > now) return
  await conclude(services, record, {
    status: 'failed',
    code: 'BUDGET_EXCEEDED',
    message:
      `Its budget was not raised within ${runOf(record).budgetTimeoutSeconds} s (budgetTimeoutSeconds). Its effects ` +
      'until then are kept.',
  })
}

/** Whoever has decided may have died before it continued, or be of a version that knows of no parking. */
async function settleApproval(services: DomainServices, record: Parked): Promise<void> {
  const { store } = services
  for (const { id, status } of await store.listApprovalsOf(record.id))
    if (status === 'pending') await store.closeApproval(id, 'expired')
  const approvals = await store.listApprovalsOf(record.id)
  // By Redis' clock its time is not over yet.
  if (approvals.some(({ status }) => status === 'pending')) return
  const last = approvals.findLast(({ parkedAt }) => parkedAt === record.attempt)
  const { onApprovalTimeout, approvalTimeoutSeconds } = runOf(record)
  if (last?.status === 'expired' && onApprovalTimeout === 'fail')
    return conclude(services, record, tellTimeout(last.asked.tool, approvalTimeoutSeconds))
  const unrecorded = await findUnrecordedApprovals(services, record.id, await readLog(services.log, record.id))
  await unparkExecution(services, record, {
    by: last?.decidedBy ?? BY_TIMEOUT,
    events: unrecorded.map(({ event }) => event),
  })
}

export const tellTimeout = (tool: string, seconds: number) =>
  ({
    status: 'failed',
    code: 'APPROVAL_TIMEOUT',
    message:
      `Nobody decided on a call of ${tool} within ${seconds} s (approvalTimeoutSeconds), and the request treats this ` +
      'as a failure (onApprovalTimeout); what was produced until then is kept.',
  }) as const satisfies Outcome

async function conclude(services: DomainServices, record: Parked, outcome: Outcome): Promise<void> {
  const { id, state, claim, attempt, usage } = record
  await concludeExecution(services, id, { kind: 'queued', state, claim }, { outcome, attempt, usage })
}
