import { addUsage } from '../../protocol/execution.js'
import type { Outcome } from '../../protocol/execution.js'
import type { Ending } from '../store/transitions.js'
import { clearTemporary } from '../workspaces/prepare-workspace.js'
import { concludeClaim, retryClaim } from './conclude-claim.js'
import { toDurationSample } from './duration-sample.js'
import type { HeldClaim } from './held-claim.js'
import { keepFiles } from './keep-files.js'
import { maskTranscripts } from './mask-transcripts.js'
import { planNextAttempt } from './plan-next-attempt.js'
import type { AttemptReport } from './run-attempt.js'
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
  const { outcome, plan, attempts } = await planNextAttempt(claim, prepared, report)
  const verified = plan ? undefined : await verifyRun(claim, started, report, { outcome, usage })
  await journal.close()
  // Before others begin: the next attempt has the same folders, and whoever is told of the end may look at them.
  await clearTemporary(prepared.folders).catch(() => undefined)
  if (plan) {
    const { queueTimeoutSeconds } = prepared.run
    return retryClaim(claim, { plan, attempts, usage, queueTimeoutSeconds }, `another attempt follows: ${plan.reason}`)
  }
  const ended = verified ?? { outcome }
  return concludeClaim(
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
}

/** What the run did is held against what it says, and the operator's hooks run; not on a worker that must go. */
async function verifyRun(
  claim: HeldClaim,
  { prepared, attempt, journal }: StartedAttempt,
  report: AttemptReport,
  { outcome, usage }: { readonly outcome: Outcome; readonly usage: Required<Ending>['usage'] },
): Promise<Pick<Ending, 'outcome' | 'files'> | undefined> {
  if (claim.leaving) return undefined
  const { services, fence, marker, lease, hooks } = claim
  const { record, sessionId, folders } = prepared
  const verified = await prepared.evidence.verify({
    prepared,
    attempt,
    report,
    outcome,
    containment: services.containment,
    marker,
    onProcess: (child) => lease.attach(() => child.heartbeat()),
    keepFiles: (left) => keepFiles(services, record, { fence, attempt: claim.attempt }, left),
  })
  await hooks.afterRun(record, { outcome: verified.outcome, usage, sessionId, workspace: folders.workspace }, journal)
  return verified
}
