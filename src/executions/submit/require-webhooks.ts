import { fromStore } from '../../platform/redis.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError } from '../../protocol/errors.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { DomainServices } from '../services.js'

/** Those that are named must be the caller's own. @throws ExecutorError WEBHOOK_NOT_FOUND */
export async function requireWebhooks(
  { ownsWebhook }: Pick<DomainServices, 'ownsWebhook'>,
  { webhooks = [], tasks = [] }: ExecuteRequest,
  caller: Caller,
): Promise<void> {
  const ofTasks = tasks.flatMap((task) => (typeof task === 'string' ? [] : (task.webhooks ?? [])))
  for (const id of new Set([...webhooks, ...ofTasks])) {
    if (await fromStore(ownsWebhook(id, caller.id))) continue
    throw new ExecutorError('WEBHOOK_NOT_FOUND', { detail: `You have no webhook ${JSON.stringify(id)}.` })
  }
}
