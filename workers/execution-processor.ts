import { DelayedError, UnrecoverableError, WaitingError, type Job } from 'bullmq'
import { runExecution } from '../src/executions/run/run-execution.js'
import type { RunServices } from '../src/executions/claim/run-services.js'
import type { ExecutionJob } from '../src/queue/execution-queue.js'

/** So long after a worker that cannot take it a job is offered again, to whoever asks first. */
const UNSUITED_MS = 500

/** What a BullMQ dashboard shows as the job's return value. */
interface JobResult {
  readonly status: string
  readonly detail?: string
}

/**
 * The processor of BullMQ's worker. The record decides what a job means; the job is told how it went,
 * so that dashboards show progress, return value and failure reason.
 */
export function createProcessor(services: RunServices, stop: AbortSignal, onBlocked: (waitMs: number) => void) {
  return async function processExecution(job: Job<ExecutionJob>, token?: string): Promise<JobResult> {
    const report = await runExecution(services, job.data, {
      signal: stop,
      // For dashboards only: a lost update is no loss.
      onProgress: (progress) => void job.updateProgress({ ...progress }).catch(() => undefined),
    }).catch((error: unknown) => {
      // Its end, which the sweep writes, cannot tell why.
      services.logger.error(
        { executionId: job.data.executionId, err: error },
        'its run failed; it is settled when its lease expires',
      )
      throw error
    })
    if (report.kind === 'passed_over') return { status: 'passed_over', detail: report.why }
    if (report.kind === 'blocked') {
      // First we take no more, then the job goes back to its place, for a worker with another credential.
      onBlocked(report.waitMs)
      await job.moveToWait(token)
      throw new WaitingError()
    }
    if (report.kind === 'unsuited') {
      await job.moveToDelayed(Date.now() + UNSUITED_MS, token)
      throw new DelayedError()
    }
    const { status, code, message } = report.outcome
    if (status !== 'succeeded') throw new UnrecoverableError(`${code ?? status}: ${message ?? ''}`)
    return { status }
  }
}
