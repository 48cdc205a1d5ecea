import { definedFields } from '../protocol/defined-fields.js'
import type { Message, MessageList, MessageRequest } from '../protocol/messages.js'
import type { Rest } from './rest.js'

/** What is said to executions. */
export interface MessageCalls {
  /** With a key it may be sent again: it is one message. */
  send(
    executionId: string,
    message: MessageRequest,
    options?: { readonly idempotencyKey?: string; readonly signal?: AbortSignal },
  ): Promise<Message>
  /** All to one execution, in the order of acceptance. */
  messages(executionId: string, options?: { readonly signal?: AbortSignal }): Promise<Message[]>
}

export function createMessageCalls(rest: Rest): MessageCalls {
  const at = (executionId: string): string => `/executions/${encodeURIComponent(executionId)}/messages`
  // Safe: the service answers as the operations table says.
  return {
    async send(executionId, message, { idempotencyKey, signal } = {}) {
      const headers = definedFields({ 'idempotency-key': idempotencyKey })
      return (await rest.json({ method: 'POST', path: at(executionId), headers, body: message, signal })) as Message
    },
    async messages(executionId, { signal } = {}) {
      return ((await rest.json({ path: at(executionId), signal })) as MessageList).messages
    },
  }
}
