/**
 * A loopback server that speaks the Anthropic Messages API from scripts, so that the real `claude` CLI runs without an
 * account: point `ANTHROPIC_BASE_URL` to its url. Any credential will do, but for a token of
 * `logins` that has ended.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { toApiError, type ApiError } from './api-error.js'
import { isSideRequest, readConversation, type Conversation } from './conversation.js'
import { FailureMemory } from './failure-memory.js'
import { LoginDesk, type Logins } from './logins.js'
import { decodeMessagesRequest, InvalidRequest, type MessagesRequest } from './messages-request.js'
import { fillPlaceholders } from './placeholders.js'
import { playReply, toTokens } from './play-reply.js'
import { RequestLog, type SimulatedRequest } from './request-log.js'
import { toReplies, type Reply } from './replies.js'
import { findScript, ScriptError, type Script } from './script.js'
import { sendApiError, sendJson, sendWholeReply, streamReply } from './send-reply.js'
import { answerPrompt, answerSideRequest, SCRIPT_FINISHED } from './unscripted.js'

export type { Logins, SimulatedRequest }

export interface Simulator {
  /** As `http://127.0.0.1:41234`. */
  readonly url: string
  /** The newest 500, in the order in which they came. */
  readonly requests: readonly SimulatedRequest[]
  /** Logins that end, and where they are renewed (`/v1/oauth/token`). */
  readonly logins: Logins
  /** Ends every connection at once; idempotent. */
  close(): Promise<void>
}

export interface SimulatorOptions {
  readonly host?: string
  /** 0, the default, takes any free one. */
  readonly port?: number
  /** Used where the prompt brings none. */
  readonly script?: Script
}

// The API's own limit.
const MAX_BODY_BYTES = 32 * 1024 * 1024

interface Room {
  readonly log: RequestLog
  readonly failures: FailureMemory
  readonly logins: LoginDesk
  readonly script: Script | undefined
}

export async function openSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', port = 0, script } = options
  const room: Room = { log: new RequestLog(), failures: new FailureMemory(), logins: new LoginDesk(), script }
  // No keep-alive timeout: a CLI that comes back after a long tool would race with the close, and show it as a retry.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    // 'close' comes after every end of an answer, also when the client went away or close() took its socket.
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    // A socket that breaks while we write is the client's right; 'close' follows.
    response.on('error', () => {})
    answer(room, request, response, gone.signal).catch((error: unknown) => {
      if (gone.signal.aborted) return
      if (response.headersSent) response.destroy()
      else sendApiError(response, toAnswer(error))
    })
  })
  server.listen(port, host)
  await once(server, 'listening')

  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the simulator listens on no port')
  let closed: Promise<void> | undefined
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    requests: room.log.entries,
    logins: room.logins,
    close: () =>
      (closed ??= new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })),
  }
}

async function answer(
  room: Room,
  request: IncomingMessage,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  const entry = room.log.add(request)
  const path = (request.url ?? '/').split('?', 1)[0]
  const body = await readBody(request)
  const isMessages = path === '/v1/messages'
  if (request.method === 'POST' && path === '/v1/oauth/token') return room.logins.renew(body, response)
  if (!room.logins.admits(request.headers)) return sendApiError(response, toApiError(401))
  if (request.method === 'POST' && isMessages) return answerMessages(room, { request, entry }, response, body, gone)
  if (request.method === 'POST' && path === '/v1/messages/count_tokens') {
    decodeMessagesRequest(body)
    return sendJson(response, 200, { input_tokens: toTokens(Buffer.byteLength(body)) })
  }
  if (isMessages || path === '/v1/messages/count_tokens') return sendApiError(response, toApiError(405))
  // The CLI's probe, which looks whether anybody is there.
  if (request.method === 'HEAD') return void response.writeHead(200).end()
  if (request.method === 'GET' && path === '/') return sendJson(response, 200, { simulator: true })
  return sendApiError(response, toApiError(404))
}

async function answerMessages(
  room: Room,
  { request, entry }: { readonly request: IncomingMessage; readonly entry: SimulatedRequest },
  response: ServerResponse,
  body: string,
  gone: AbortSignal,
): Promise<void> {
  const decoded = decodeMessagesRequest(body)
  const conversation = readConversation(decoded)
  const side = isSideRequest(decoded)
  room.log.describe(entry, {
    model: decoded.model,
    prompt: conversation.prompt,
    system: decoded.system,
    messages: decoded.messages,
    side,
  })
  const reply = side ? answerSideRequest(decoded) : chooseReply(conversation, decoded, room.script)
  const failsAt = room.failures.noteRequest(reply, conversation, {
    userId: decoded.userId,
    clientVersion: entry.clientVersion,
    isBy: (end) =>
      [request.headers['x-api-key'], request.headers.authorization].some((proof) => String(proof ?? '').endsWith(end)),
  })
  const beats = playReply(reply, {
    model: decoded.model,
    inputTokens: toTokens(Buffer.byteLength(body)),
    clientVersion: entry.clientVersion,
    failsAt,
  })
  return decoded.stream ? streamReply(beats, response, gone) : sendWholeReply(beats, response, gone)
}

/** @throws ScriptError for a bad script in the newest prompt */
function chooseReply(conversation: Conversation, request: MessagesRequest, fallback: Script | undefined): Reply {
  const script = findScript(conversation.prompt) ?? fallback
  if (script === undefined) return answerPrompt(conversation, request)
  return toReplies(fillPlaceholders(script, conversation))[conversation.position] ?? SCRIPT_FINISHED
}

/** @throws TooLarge; or what the request throws when its client goes away */
async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    // Without an encoding a request yields buffers only; the types do not know.
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    // Beyond the bound the rest is read and dropped: leaving the loop would destroy the socket, and the answer with it.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  if (bytes > MAX_BODY_BYTES) throw new TooLarge()
  return Buffer.concat(chunks).toString('utf8')
}

class TooLarge extends Error {}

function toAnswer(error: unknown): ApiError {
  if (error instanceof TooLarge) return toApiError(413)
  if (error instanceof InvalidRequest) return toApiError(400, { message: error.message })
  if (error instanceof ScriptError)
    return toApiError(400, { message: `The script in the prompt is not valid: ${error.message}` })
  return toApiError(500, { message: `The simulator failed: ${error instanceof Error ? error.message : String(error)}` })
}
