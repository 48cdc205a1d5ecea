import { runClaimed } from './claimed-run.js'
import type { RunContext, RunReport } from './run-report.js'
import type { RunServices } from '../claim/run-services.js'
import { toOffers } from '../claim/credential-pool.js'
import { concludeOverdue } from '../conclude/conclude-overdue.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'

/**
 * Takes an execution from the queue to its end: claim, prepare, start, run, conclude. The job's own, or the one that is
 * due before it.
 */
export async function runExecution(
  services: RunServices,
  job: { executionId: string; claim: number },
  context: RunContext,
): Promise<RunReport> {
  const { store, config, workerId, credentials, logger } = services
  const { executionId } = job
  const leaseMs = config.lockSeconds * 1_000
  credentials.refresh(logger)
  const offered = credentials.offer()
  const claim = await store.claim(executionId, job.claim, workerId, leaseMs, toOffers(offered))
  if ('ready' in claim) await enqueueReady(services, ...claim.ready)
  switch (claim.kind) {
    case 'refused':
      return { kind: 'passed_over', why: `not to be claimed: ${claim.state}` }
    case 'parked':
      return { kind: 'passed_over', why: 'its workspace is in use; it is queued again when the workspace is free' }
    case 'blocked':
    case 'unsuited':
      return claim
    case 'expired': {
      const outcome = await concludeOverdue(services, claim.executionId)
      return outcome ? { kind: 'finished', outcome } : { kind: 'passed_over', why: 'another process concluded it' }
    }
    case 'claimed': {
      const credential = offered.find(({ name }) => name === claim.credential)
      if (!credential) throw new Error('the claim was taken with a credential that was not offered')
      return runClaimed(services, claim.executionId, { ...claim, credential }, context)
    }
  }
}
