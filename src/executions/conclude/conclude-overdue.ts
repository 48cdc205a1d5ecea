import type { Outcome } from '../../protocol/execution.js'
import { concludeExecution } from './conclude-execution.js'
import type { DomainServices } from '../services.js'

const QUEUE_TIMEOUT: Outcome = {
  status: 'failed',
  code: 'QUEUE_TIMEOUT',
  message: 'It waited in the queue longer than queueTimeoutSeconds and was not started.',
}
const QUEUE_TIMEOUT_BETWEEN: Outcome = {
  status: 'failed',
  code: 'QUEUE_TIMEOUT',
  message: 'It waited for its next attempt longer than queueTimeoutSeconds. Its effects until then are kept.',
}

/** One that waited too long, if nobody has claimed it; its outcome, undefined when it was not concluded here. */
export async function concludeOverdue(services: DomainServices, id: string): Promise<Outcome | undefined> {
  const record = await services.store.get(id)
  if (!record) return undefined
  const { attempt, usage } = record
  const outcome = attempt === 0 ? QUEUE_TIMEOUT : QUEUE_TIMEOUT_BETWEEN
  return (await concludeExecution(services, id, { kind: 'queued' }, { outcome, attempt, usage })) ? outcome : undefined
}
