import { NO_USAGE, type Outcome, type Usage } from '../protocol/execution.js'
import { enqueueWoken } from './enqueue-woken.js'
import type { ConcludeAnswer, Conclusion } from './execution-store.js'
import type { DomainServices } from './services.js'

/** By what right somebody concludes: as the holder of the fence, for one that nobody claimed, or for a holder that died. */
export type Standing = { readonly kind: 'holder'; readonly fence: string } | { readonly kind: 'queued' } | { readonly kind: 'abandoned' }

export interface Ending {
  readonly outcome: Outcome
  readonly usage?: Usage
  readonly attempt: number
}

/**
 * The only writer of a terminal state: status, outcome and `execution.finished` in one atomic step, which also revokes the fence.
 * A second conclusion is a no-op and answers false.
 */
export async function concludeExecution(services: DomainServices, id: string, standing: Standing, ending: Ending): Promise<boolean> {
  const conclusion: Conclusion = { outcome: ending.outcome, usage: ending.usage ?? NO_USAGE, finishedAt: new Date(), attempt: ending.attempt }
  const answer = await store(services, id, standing, conclusion)
  if (answer.kind !== 'concluded') return false
  const { status, code, exitCode } = ending.outcome
  services.logger.info({ executionId: id, attempt: ending.attempt, status, code, exitCode, durationMs: conclusion.usage.durationMs }, 'execution finished')
  if (answer.woken) await enqueueWoken(services, answer.woken)
  return true
}

function store({ store }: DomainServices, id: string, standing: Standing, conclusion: Conclusion): Promise<ConcludeAnswer> {
  switch (standing.kind) {
    case 'holder':
      return store.conclude(id, standing.fence, conclusion)
    case 'queued':
      return store.concludeQueued(id, conclusion)
    case 'abandoned':
      return store.concludeAbandoned(id, conclusion)
  }
}
