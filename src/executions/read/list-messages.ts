import { fromStore } from '../../platform/redis.js'
import type { Caller } from '../../protocol/caller.js'
import { isTerminal } from '../../protocol/execution.js'
import type { Message, MessageList } from '../../protocol/messages.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toMessage, type StoredMessage } from '../records/stored-message.js'
import type { ReadServices } from '../services.js'
import type { MessageCommands } from '../store/message-commands.js'
import { requireOwn } from './find-execution.js'

type Services = ReadServices & { readonly store: Pick<MessageCommands, 'listMessages' | 'dropMessages'> }

/** The messages to an execution, in the order of acceptance. @throws ExecutorError EXECUTION_NOT_FOUND */
export async function listMessages(services: Services, id: string, caller: Caller): Promise<MessageList> {
  await requireOwn(services, id, caller)
  let { messages } = await fromStore(services.store.listMessages(id))
  if (messages.some(isOpen) && (await fromStore(dropLeft(services, id))))
    ({ messages } = await fromStore(services.store.listMessages(id)))
  return { messages: await showMessages(services, id, messages) }
}

const isOpen = ({ delivery, fate }: StoredMessage): boolean => delivery === 'steer' && fate === undefined

/**
 * A worker of an older version, which knew of no messages, may have ended the execution: nothing but this tells what
 * became of them.
 */
async function dropLeft({ store }: Services, id: string): Promise<boolean> {
  const record = await store.get(id)
  if (!record || !isTerminal(record.state)) return false
  const { state, attempt } = record
  const reason = state === 'succeeded' ? 'ended' : state
  const answer = await store.dropMessages({
    id,
    right: 'ended',
    fence: undefined,
    at: new Date(await store.now()),
    attempt,
    reason,
  })
  return answer === 'dropped'
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
