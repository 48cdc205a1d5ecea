import { addUsage, type Outcome, type Usage } from '../../protocol/execution.js'
import type { Ending } from '../store/transitions.js'
import { clearTemporary } from '../workspaces/prepare-workspace.js'
import { concludeClaim, retryClaim } from './conclude-claim.js'
import { toDurationSample } from './duration-sample.js'
import type { HeldClaim } from './held-claim.js'
import { keepFiles } from './keep-files.js'
import { maskTranscripts } from './mask-transcripts.js'
import type { RetryPlan } from '../conclude/plan-retry.js'
import { settleParked } from '../conclude/settle-parked.js'
import { planAtLimit, planNextAttempt, type NextAttempt } from './plan-next-attempt.js'
import type { AttemptReport } from './attempt-options.js'
import type { RunReport } from './run-report.js'
import type { StartedAttempt } from './start-attempt.js'

/** An attempt is over: another one follows, or this was the end. */
export async function settleAttempt(
  claim: HeldClaim,
  started: StartedAttempt,
  report: AttemptReport,
): Promise<RunReport> {
  const { prepared, attempt, journal } = started
  prepared.reach.settle()
  await maskTranscripts(claim.services, prepared)
  const usage = addUsage(claim.earlierUsage, report.usage)
  const next = await planNextAttempt(claim, prepared, report)
  const { outcome } = next
  // Without it the receipt says that it knows of the last attempt only.
  if (next.plan)
    await prepared.evidence
      .keep()
      .catch((err: unknown) =>
        claim.services.logger.warn(
          { executionId: claim.executionId, err },
          'the workspace as it was before the run was not kept',
        ),
      )
  const verified = next.plan ? undefined : await verifyRun(claim, started, report, { outcome, usage })
  await journal.close()
  // Before others begin: the next attempt has the same folders, and whoever is told of the end may look at them.
  await clearTemporary(prepared.folders).catch(() => undefined)
  if (next.plan) return continueLater(claim, started, report, { ...next, plan: next.plan, usage })
  const ended = verified ?? { outcome }
  const concluded = await concludeClaim(
    claim,
    {
      ...ended,
      usage,
      attempt: claim.attempt,
      durationSample: toDurationSample(prepared, report, ended.outcome),
      model: attempt.observation.model,
    },
    prepared.mask,
  )
  // The sweep removes it where this worker dies before.
  await prepared.evidence.forget().catch(() => undefined)
  return concluded
}

/** Sends it back to the queue, or parks it: a change of its limits that came meanwhile is another plan. */
async function continueLater(
  claim: HeldClaim,
  { prepared }: StartedAttempt,
  report: AttemptReport,
  { outcome, plan, attempts, usage }: NextAttempt & { readonly plan: RetryPlan; readonly usage: Usage },
): Promise<RunReport> {
  const { run, record } = prepared
  const { queueTimeoutSeconds } = run
  const options = { attempts, usage, queueTimeoutSeconds, ranMs: report.activeMs }
  for (let current = plan; ;) {
    const what = current.parked ? 'it is parked' : 'another attempt follows'
    const answer = await retryClaim(claim, { ...options, plan: current }, `${what}: ${current.reason}`)
    // Who decided before it was parked could not continue it.
    if (current.parked?.reason === 'approval') await settleIfDecided(claim, current.parked.approvalId)
    if (answer.kind !== 'moved') return answer
    current = (await planAtLimit(claim, record, run, { outcome, usage })) ?? plan
  }
}

async function settleIfDecided({ services, executionId }: HeldClaim, approvalId = ''): Promise<void> {
  const [approval] = await services.store.getApprovals([approvalId])
  if (approval && approval.status !== 'pending') await settleParked(services, executionId)
}

/** What the run did is held against what it says, and the operator's hooks run; not on a worker that must go. */
async function verifyRun(
  claim: HeldClaim,
  { prepared, attempt, journal }: StartedAttempt,
  report: AttemptReport,
  { outcome: seen, usage }: { readonly outcome: Outcome; readonly usage: Usage },
): Promise<Pick<Ending, 'outcome' | 'files'> | undefined> {
  if (claim.leaving) return undefined
  const { services, fence, marker, lease, hooks } = claim
  const { record, sessionId, folders, repository, mask } = prepared
  const verified = await prepared.evidence.verify({
    prepared,
    attempt,
    report,
    outcome: seen,
    containment: services.containment,
    marker,
    onProcess: (child) => lease.attach(() => child.heartbeat()),
    keepFiles: async (left) => {
      await keepFiles(services, record, { fence, attempt: claim.attempt }, left)
      await repository?.commit(mask)
    },
  })
  const kept = (await prepared.worktree?.conclude(verified.outcome)) ?? verified.outcome
  const outcome = repository ? await repository.conclude(kept) : kept
  await hooks.afterRun(record, { outcome, usage, sessionId, workspace: folders.workspace }, journal)
  return { ...verified, outcome }
}
