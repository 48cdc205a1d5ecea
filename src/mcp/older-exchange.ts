import {
  WebStandardStreamableHTTPServerTransport,
  type JSONRPCMessage,
  type McpServer,
} from '@modelcontextprotocol/server'
import type { Elicit } from './ask-client.js'
import type { PostedAnswers } from './posted-answers.js'

export interface OlderExchange {
  /** What the client asked is not waited for any more; its stream ends without an answer, as the protocol wants it. */
  cancel(notification: JSONRPCMessage): void
  serve(request: Request, body: unknown): Promise<Response>
  close(): void
}

export interface OlderExchangeOptions {
  readonly createServer: (elicit: Elicit) => McpServer
  readonly answers: PostedAnswers
  readonly callerId: string
  readonly takesForms: boolean
}

/** One POST of a revision before 2026: a server for this request alone, which asks on the stream of its answer. */
export function openOlderExchange({
  createServer,
  answers,
  callerId,
  takesForms,
}: OlderExchangeOptions): OlderExchange {
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined })

  /** The SDK's own way numbers requests from 0 in each server, and a client has several at once. */
  const elicit: Elicit = async (form, approval, { mcpReq: { id: relatedRequestId } }, signal) => {
    if (!takesForms || signal.aborted) return undefined
    const id = answers.mintId(approval.id)
    const answer = answers.expect(id, callerId, signal)
    const say = (message: Pick<JSONRPCMessage & { method: string }, 'method'> & { params: object; id?: string }) =>
      // Whoever has gone is asked nothing; the signal ends the waiting.
      transport.send({ jsonrpc: '2.0', ...message } as JSONRPCMessage, { relatedRequestId }).catch(() => undefined)
    await say({ id, method: 'elicitation/create', params: form })
    const answered = await answer
    if (signal.aborted)
      await say({ method: 'notifications/cancelled', params: { requestId: id, reason: 'No longer needed.' } })
    return answered
  }

  const server = createServer(elicit)
  const close = (): void => void server.close().catch(() => undefined)
  return {
    close,
    cancel(notification) {
      transport.onmessage?.(notification)
      close()
    },
    async serve(request, body) {
      await server.connect(transport)
      request.signal.addEventListener('abort', close, { once: true })
      return transport.handleRequest(request, { parsedBody: body })
    },
  }
}
