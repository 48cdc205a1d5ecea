import {
  createMcpHandler,
  isInitializeRequest,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResponse,
  isLegacyRequest,
  type JSONRPCMessage,
} from '@modelcontextprotocol/server'
import { createSharedStop } from '../platform/abort-signals.js'
import { createMcpServer } from './create-mcp-server.js'
import { toHttpAnswer, type HttpAnswer } from './http-answer.js'
import { SESSION_HEADER, sessionTakesForms, toSessionId } from './http-session.js'
import { openOlderExchange, type OlderExchange } from './older-exchange.js'
import { PostedAnswers } from './posted-answers.js'
import type { ServiceAccess } from './service-access.js'

/** What waits is given so long to answer with what it knows. */
const CLOSE_DEADLINE_MS = 2_000

export interface McpRequest {
  /** Without its body. Its signal ends the waiting, and no execution. */
  readonly request: Request
  /** Parsed; undefined where there was none. */
  readonly body: unknown
  /** Whose it is: nobody's request is cancelled, and no form answered, by another. */
  readonly callerId: string
  readonly access: ServiceAccess
}

export interface McpEndpoint {
  /** Requests whose answers have not been sent to their end. */
  readonly open: number
  handle(asked: McpRequest): Promise<HttpAnswer>
  /** Calls that wait answer at once with what they know; what is still open after a moment is cut off. */
  close(): Promise<void>
}

export interface McpEndpointOptions {
  readonly version: string
  readonly onFailure: (error: unknown) => void
}

/**
 * MCP over streamable HTTP, without a state: revision 2026-07-28 has none, and of those before it nothing but what a
 * request's own stream needs is kept while that is open.
 */
export function openMcpEndpoint({ version, onFailure }: McpEndpointOptions): McpEndpoint {
  const stop = createSharedStop()
  const answers = new PostedAnswers()
  const older = new Map<string, OlderExchange>()
  const exchanges = new Set<OlderExchange>()
  const accesses = new WeakMap<Request, ServiceAccess>()
  let open = 0
  let onAllSent: (() => void) | undefined

  const modern = createMcpHandler(
    ({ requestInfo }) => {
      const access = requestInfo && accesses.get(requestInfo)
      if (!access) throw new Error('a request of nobody')
      return createMcpServer({ access, era: 'modern', version, onFailure })
    },
    // Older ones are served here. There is nothing to subscribe to, so such a stream ends when it has been confirmed.
    { legacy: 'reject' },
  )

  /** Answers and cancellations are for requests that came before; what is left is asked of a server. */
  async function takeFollowing(messages: readonly unknown[], asked: McpRequest, session: string): Promise<unknown[]> {
    const left: unknown[] = []
    for (const message of messages) {
      if (isJSONRPCResponse(message))
        // There is no answer to an answer, and who was too late sees it by the approval.
        await answers.accept(message, asked.callerId, asked.access).catch(() => undefined)
      else if (isCancellation(message)) older.get(keyOf(asked, session, message.params?.['requestId']))?.cancel(message)
      else left.push(message)
    }
    return left
  }

  async function serveOlder(asked: McpRequest, onOver: () => void): Promise<HttpAnswer> {
    const { request, body, callerId, access } = asked
    const session = request.headers.get(SESSION_HEADER) ?? ''
    const left = await takeFollowing([body].flat(), asked, session)
    if (left.length === 0 && body !== undefined && !(Array.isArray(body) && body.length === 0)) {
      onOver()
      return { status: 202, headers: {}, body: undefined }
    }
    const exchange = openOlderExchange({
      createServer: (elicit) => createMcpServer({ access, era: 'legacy', elicit, version, onFailure }),
      answers,
      callerId,
      takesForms: sessionTakesForms(session),
    })
    // Of a batch, which one revision had, nothing can be taken back by itself.
    const key = isJSONRPCRequest(body) && session !== '' ? keyOf(asked, session, body.id) : undefined
    if (key !== undefined) older.set(key, exchange)
    exchanges.add(exchange)
    const over = (): void => {
      exchange.close()
      exchanges.delete(exchange)
      if (key !== undefined && older.get(key) === exchange) older.delete(key)
      onOver()
    }
    try {
      const response = await exchange.serve(request, Array.isArray(body) ? left : body)
      if (isInitializeRequest(body) && response.ok)
        response.headers.set(SESSION_HEADER, toSessionId(body.params.capabilities))
      return await toHttpAnswer(response, over)
    } catch (error) {
      over()
      throw error
    }
  }

  async function serveModern({ request, body, access }: McpRequest, onOver: () => void): Promise<HttpAnswer> {
    accesses.set(request, access)
    return toHttpAnswer(await modern.fetch(request, { parsedBody: body }), onOver)
  }

  return {
    get open() {
      return open
    },
    async handle(given) {
      const asked = { ...given, access: { ...given.access, stopping: stop.signal } }
      const { request, body } = asked
      open += 1
      const onOver = once(() => {
        open -= 1
        if (open === 0) onAllSent?.()
      })
      try {
        return await ((await isLegacyRequest(request, body)) ? serveOlder(asked, onOver) : serveModern(asked, onOver))
      } catch (error) {
        onOver()
        throw error
      }
    },
    async close() {
      stop.abort()
      if (open > 0) {
        let timer: NodeJS.Timeout | undefined
        await new Promise<void>((resolve) => {
          onAllSent = resolve
          timer = setTimeout(resolve, CLOSE_DEADLINE_MS)
        })
        clearTimeout(timer)
      }
      for (const exchange of exchanges) exchange.close()
      await modern.close()
    },
  }
}

function once(call: () => void): () => void {
  let isCalled = false
  return () => {
    if (!isCalled) call()
    isCalled = true
  }
}

const keyOf = ({ callerId }: McpRequest, session: string, requestId: unknown): string =>
  JSON.stringify([callerId, session, requestId])

const isCancellation = (message: unknown): message is JSONRPCMessage & { params?: Record<string, unknown> } =>
  isJSONRPCNotification(message) && message.method === 'notifications/cancelled'
