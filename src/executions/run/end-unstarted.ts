import { sleep } from '../../platform/abort-signals.js'
import type { Outcome } from '../../protocol/execution.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import { planRetry } from '../conclude/plan-retry.js'
import { runOf } from '../../claude/command/run-request.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { LOST_START_LIMIT, SCARCE_START_LIMIT } from '../records/lost-start-limit.js'
import { clearTemporary, type RunFolders } from '../workspaces/prepare-workspace.js'
import { concludeCancelled, concludeUnstarted, retryClaim } from './conclude-claim.js'
import type { HeldClaim } from './held-claim.js'
import { planAtLimit } from './plan-next-attempt.js'
import type { Unstarted } from './prepared-run.js'
import type { RunReport } from './run-report.js'
import { failed } from './start-failures.js'

/** After this time other runs may have ended, or another worker may have more resources. */
const SCARCE_WAIT_MS = 2_500

/** What becomes of a claim under which no CLI could be started. */
export function endUnstarted(claim: HeldClaim, record: ExecutionRecord, unstarted: Unstarted): Promise<RunReport> {
  switch (unstarted.kind) {
    case 'parked':
      return passOver('its workspace is in use under another name; it is queued again when the workspace is free')
    case 'stopped':
      if (claim.leaving === 'lost') return passOver('the claim was lost before the start')
      return claim.leaving === 'stopping' ? handBack(claim, unstarted.folders) : concludeCancelled(claim)
    case 'scarce':
      return startLater(claim, unstarted)
    case 'elsewhere':
      return requeue(
        claim,
        unstarted.folders,
        'its login was refused; another credential takes its place',
        SCARCE_START_LIMIT,
        unstarted.outcome,
      )
    case 'delayed':
      return delay(claim, record, unstarted)
    case 'refused':
      return refuse(claim, record, unstarted.outcome)
  }
}

const passOver = async (why: string): Promise<RunReport> => ({ kind: 'passed_over', why })

/** The worker stops before the CLI was let go: the execution goes back to the queue. */
export const handBack = (claim: HeldClaim, folders: RunFolders): Promise<RunReport> =>
  requeue(
    claim,
    folders,
    'the worker is stopping',
    LOST_START_LIMIT,
    failed('WORKER_LOST', 'Its workers were stopped repeatedly before it could start.'),
  )

/** Its place is kept for a moment, so that what runs can end; then this worker or another one tries again. */
async function startLater(
  claim: HeldClaim,
  { folders, why }: Extract<Unstarted, { kind: 'scarce' }>,
): Promise<RunReport> {
  const { executionId, services, context } = claim
  services.logger.warn({ executionId, why }, 'a start failed for lack of resources')
  await sleep(SCARCE_WAIT_MS, context.signal)
  return requeue(
    claim,
    folders,
    'it could not be started for lack of resources',
    SCARCE_START_LIMIT,
    failed(
      'CLAUDE_EXITED',
      `The CLI could not be started, ${SCARCE_START_LIMIT + 1} times, for lack of resources: ${why}`,
    ),
  )
}

/** To the queue, at once; `exhausted`: its end where that has happened `limit` times already. */
async function requeue(
  claim: HeldClaim,
  folders: RunFolders,
  why: string,
  limit: number,
  exhausted: Outcome,
): Promise<RunReport> {
  await clearTemporary(folders).catch(() => undefined)
  const answer = await claim.services.store.requeue(claim.executionId, claim.fence, limit)
  if (answer.kind === 'cancelled') return concludeCancelled(claim)
  if (answer.kind === 'exhausted') return concludeUnstarted(claim, exhausted)
  if (answer.kind === 'requeued') await enqueueReady(claim.services, answer.ready)
  return { kind: 'passed_over', why }
}

/** To the queue, as after a transient failure of an attempt, while starts are left. */
async function delay(
  claim: HeldClaim,
  record: ExecutionRecord,
  { folders, outcome }: Extract<Unstarted, { kind: 'delayed' }>,
): Promise<RunReport> {
  const { executionId, fence, services, earlierUsage: usage } = claim
  const { store, config } = services
  await clearTemporary(folders).catch(() => undefined)
  // Asking for the login takes time: a cancel that came meanwhile counts before the failure.
  const requests = await claim.persist(() => store.renew(executionId, fence, config.lockSeconds * 1_000))
  if (requests?.cancel) return concludeCancelled(claim)
  const { spared } = record
  const failedStarts = record.failedStarts + 1
  const attempts = { made: claim.attempt - 1, spared }
  const now = new Date(await claim.persist(() => store.now()))
  const tries = { made: attempts.made + failedStarts, spared }
  const plan = planRetry({ kind: 'transient' }, outcome, tries, runOf(record), now)
  if (!plan) return refuse(claim, record, outcome)
  const { queueTimeoutSeconds } = record.request
  return retryUnmoved(
    claim,
    { plan, attempts, failedStarts, usage, queueTimeoutSeconds },
    outcome.message ?? 'it cannot start yet',
  )
}

/** Where the limits of the execution have changed meanwhile, it is queued again and sees them then. */
async function retryUnmoved(...[claim, options, why]: Parameters<typeof retryClaim>): Promise<RunReport> {
  const answer = await retryClaim(claim, options, why)
  if (answer.kind !== 'moved') return answer
  const { parked: _parked, notBefore: _notBefore, ...plan } = options.plan
  const again = await retryClaim(claim, { ...options, plan }, why)
  return again.kind === 'moved' ? { kind: 'passed_over', why: 'its limits kept changing' } : again
}

/** What was spent before leaves nothing for another attempt: it is parked, where that was asked for. */
async function parkAtBudget(
  claim: HeldClaim,
  record: ExecutionRecord,
  outcome: Outcome,
): Promise<RunReport | undefined> {
  const { earlierUsage: usage } = claim
  const planned = await planAtLimit(claim, record, runOf(record), { outcome, usage })
  if (!planned) return undefined
  // It has not been made.
  const plan = { ...planned, isSpared: false }
  const attempts = { made: claim.attempt - 1, spared: record.spared }
  const { queueTimeoutSeconds } = record.request
  return retryUnmoved(claim, { plan, attempts, usage, queueTimeoutSeconds, ranMs: record.ranMs }, planned.message)
}

async function refuse(claim: HeldClaim, record: ExecutionRecord, outcome: Outcome): Promise<RunReport> {
  // A record that was refused proves nothing: no program of the operator's runs for it.
  if (outcome.code === 'FORBIDDEN')
    claim.services.logger.error({ executionId: record.id, why: outcome.message }, 'a record was refused')
  else {
    const parked = outcome.code === 'BUDGET_EXCEEDED' ? await parkAtBudget(claim, record, outcome) : undefined
    if (parked) return parked
    await claim.hooks.afterFailedStart(record, outcome)
  }
  return concludeUnstarted(claim, outcome)
}
