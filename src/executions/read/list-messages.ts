import { fromStore } from '../../platform/redis.js'
import type { Caller } from '../../protocol/caller.js'
import { isTerminal } from '../../protocol/execution.js'
import type { Message, MessageList } from '../../protocol/messages.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toMessage, type StoredMessage } from '../records/stored-message.js'
import type { ReadServices } from '../services.js'
import type { MessageCommands } from '../store/message-commands.js'
import { requireOwn } from './find-execution.js'

type Services = ReadServices & { readonly store: Pick<MessageCommands, 'listMessages'> }

/** The messages to an execution, in the order of acceptance. @throws ExecutorError EXECUTION_NOT_FOUND */
export async function listMessages(services: Services, id: string, caller: Caller): Promise<MessageList> {
  await requireOwn(services, id, caller)
  const { messages } = await fromStore(services.store.listMessages(id))
  return { messages: await showMessages(services, id, messages) }
}

/** As every surface shows them. */
export async function showMessages(
  { store }: ReadServices,
  executionId: string,
  messages: readonly StoredMessage[],
): Promise<Message[]> {
  const ids = messages.flatMap(({ delivery, followUpId }) =>
    delivery === 'follow_up' && followUpId !== undefined ? followUpId : [],
  )
  const followUps = new Map((await fromStore(store.getMany(ids))).map((record) => [record.id, record]))
  return messages.map((message) => {
    const followUp = message.delivery === 'follow_up' ? followUps.get(message.followUpId ?? '') : undefined
    return { ...toMessage(executionId, message), ...toFate(followUp) }
  })
}

/** What became of a message that is an execution: it is delivered with its start. */
function toFate(followUp: ExecutionRecord | undefined): Partial<Message> {
  if (!followUp) return {}
  const { startedAt, state } = followUp
  if (startedAt !== undefined) return { status: 'delivered', deliveredAt: new Date(startedAt).toISOString() }
  return isTerminal(state) ? { status: 'dropped', reason: state } : {}
}
