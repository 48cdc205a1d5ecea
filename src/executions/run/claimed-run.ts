import { prepareRun } from './prepare-run.js'
import type { PreparedRun } from './prepared-run.js'
import { concludeCancelled } from './conclude-claim.js'
import { endUnstarted, handBack } from './end-unstarted.js'
import { HeldClaim, type GrantedClaim } from './held-claim.js'
import type { RunContext, RunReport } from './run-report.js'
import type { RunServices } from '../claim/run-services.js'
import { beginRunSpan, endRunSpan, traceQueueWait } from './run-spans.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { settleAttempt } from './settle-attempt.js'
import { startAttempt } from './start-attempt.js'
import { clearTemporary } from '../workspaces/prepare-workspace.js'

/**
 * One claim from its start to its end; everything in it is done under one fence.
 *
 *     claimed  → prepared    folders, hooks, and a CLI that is not let go yet   prepare-run.ts
 *     claimed  → over        it cannot start, or not here, or not now           end-unstarted.ts
 *     prepared → started     the record says so                                 start-attempt.ts
 *     prepared → over        cancelled, or the worker stops
 *     started  → settled     the CLI is let go and followed to its end          run-attempt.ts
 *     settled  → over        another attempt follows, or the end is written     settle-attempt.ts
 */
export async function runClaimed(
  services: RunServices,
  executionId: string,
  granted: GrantedClaim,
  context: RunContext,
): Promise<RunReport> {
  const claim = new HeldClaim(services, executionId, granted, context)
  try {
    const record = await services.store.get(executionId)
    if (!record) return { kind: 'passed_over', why: 'deleted' }
    claim.earlierUsage = record.usage
    await beginSpans(claim, record)
    const prepared = await prepareRun(claim, record)
    return prepared.kind === 'prepared'
      ? await runPrepared(claim, prepared)
      : await endUnstarted(claim, record, prepared)
  } finally {
    claim.span?.end({ attributes: { 'cc_executor.run.incomplete': true } })
    await claim.close()
  }
}

async function beginSpans(claim: HeldClaim, record: ExecutionRecord): Promise<void> {
  const { tracing, store } = claim.services
  if (!tracing || !record.trace) return
  traceQueueWait(tracing, record, await store.recentNow())
  claim.span = beginRunSpan(tracing, record, claim.attempt)
}

async function runPrepared(claim: HeldClaim, prepared: PreparedRun): Promise<RunReport> {
  const { child, folders, evidence, leaveGate } = prepared
  const { logger } = claim.services
  // Its warden waits for GO no longer without a heartbeat than later on, and the store may keep us waiting.
  claim.lease.attach(() => child.heartbeat())
  try {
    if (claim.context.signal.aborted) {
      // Before others may begin: their attempt has the same folders.
      await child.killAll()
      return await handBack(claim, folders)
    }
    const started = await startAttempt(claim, prepared)
    if (started.kind === 'cancelled') return await concludeCancelled(claim)
    if (started.kind === 'stale') return { kind: 'passed_over', why: 'the claim was lost before the start' }
    const report = await started.attempt.run()
    endRunSpan(claim.span, report, started)
    return await settleAttempt(claim, started, report)
  } finally {
    leaveGate()
    evidence.close()
    await child
      .killAll()
      .catch((err: unknown) => logger.error({ executionId: claim.executionId, err }, 'processes of a run are left'))
    await clearTemporary(folders).catch(() => undefined)
  }
}
