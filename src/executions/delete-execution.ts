import { ExecutorError } from '../protocol/errors.js'
import { fromStore } from '../platform/redis.js'
import { requireExecution } from './find-execution.js'
import type { Caller, DomainServices } from './services.js'

/** Forgets a finished execution: record, events, its Idempotency-Key; the workers remove its fresh workspace. @throws ExecutorError NOT_FINISHED */
export async function deleteExecution(services: DomainServices, id: string, caller: Caller): Promise<void> {
  const { store } = services
  await requireExecution(services, id, caller)
  const answer = await fromStore(store.delete(id, caller.name))
  if (answer.kind === 'refused') {
    if (answer.state === 'missing') throw new ExecutorError('EXECUTION_NOT_FOUND')
    throw new ExecutorError('NOT_FINISHED', { detail: `The execution is ${answer.state}; cancel it first, or wait for its end.` })
  }
  await forgetTraces(services, id, answer.claim)
}

/** What lies outside the records of an execution that is gone: its jobs, and the folders on the workers' hosts. */
export async function forgetTraces({ queue, control, logger }: DomainServices, id: string, claims: number): Promise<void> {
  for (let claim = 1; claim <= claims; claim += 1) await queue.remove({ executionId: id, claim })
  await control({ kind: 'deleted', executionId: id }).catch((error: unknown) => logger.debug({ executionId: id, error: String(error) }, 'nudge not sent'))
}
