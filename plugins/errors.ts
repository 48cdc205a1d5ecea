import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { JSON_ONLY } from './json.js'
import { mintUuid } from '../src/platform/mint-uuid.js'
import { ExecutorError, toInvalidRequest, toProblem, toWireError } from '../src/protocol/errors.js'

/** An answer is one caller's, at one moment: a shared cache would hand it to others, and outlive the service. */
const NO_STORE = 'no-store'
/** How to come in, which every 401 says. */
export const CHALLENGE = 'Bearer realm="cc-executor"'

const isClientError = ({ statusCode = 500 }: FastifyError): boolean => statusCode >= 400 && statusCode < 500

/** What Fastify itself refuses, in our words. */
function toExecutorError(error: FastifyError | ExecutorError): unknown {
  if (error instanceof ExecutorError) return error
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_TYPE':
      return new ExecutorError('UNSUPPORTED_MEDIA_TYPE', {
        detail: JSON_ONLY,
      })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ExecutorError('PAYLOAD_TOO_LARGE', { detail: 'The body is larger than 8 MiB.' })
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return toInvalidRequest([{ path: '', message: 'Content-Length does not match the body' }])
    case 'FST_ERR_BAD_URL':
      return toInvalidRequest([{ path: '', message: 'the path is not a valid URL' }])
    default:
      // A plugin of Fastify that refuses what was asked for, such as a file name with a NUL: the fault is not ours.
      return isClientError(error) ? toInvalidRequest([{ path: '', message: 'the request cannot be processed' }]) : error
  }
}

/** For what Fastify refuses before a route is found, and therefore before any hook. */
export function sendFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void sendProblem(toExecutorError(error), request, reply)
}

/** What Node's parser refuses, in our words. */
function toParserError(code: string | undefined): ExecutorError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ExecutorError('REQUEST_TIMEOUT', { detail: 'The request was not complete within 30 s.' })
    case 'HPE_HEADER_OVERFLOW':
      return new ExecutorError('HEADERS_TOO_LARGE', { detail: 'The header fields are larger than 16 KiB.' })
    default:
      return toInvalidRequest([{ path: '', message: 'this is not a valid HTTP/1.1 request' }])
  }
}

/**
 * For what Node's HTTP parser refuses: there is no request and no reply yet, only a stream. That is a socket as a rule,
 * and from Node 26 on another Duplex where an upgrade came with a body.
 */
export function answerMalformed(error: { code?: string }, socket: Duplex): void {
  // Not public, and Node's own handler looks at it: in the middle of an answer, a second one would become a part of it.
  const { _httpMessage: inFlight } = socket as Duplex & { _httpMessage?: { headersSent: boolean } | null }
  if (error.code === 'ECONNRESET' || !socket.writable || inFlight?.headersSent === true) return void socket.destroy()
  const problem = toProblem(toParserError(error.code), mintUuid(Date.now()))
  const body = `${JSON.stringify(problem)}\n`
  const head =
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: ` +
    `application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: ` +
    `close\r\ncache-control: ${NO_STORE}\r\n\r\n`
  socket.end(head + body, () => socket.destroy())
}

function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const wire = toWireError(error)
  if (wire.code === 'INTERNAL') request.log.error({ err: error, requestId: request.id }, 'request failed')
  if (wire.retryAfterSeconds !== undefined) reply.header('retry-after', wire.retryAfterSeconds)
  if (wire.code === 'UNAUTHENTICATED') reply.header('www-authenticate', CHALLENGE)
  // What reaches no hook of ours gets it here.
  return reply
    .header('cache-control', NO_STORE)
    .code(wire.status)
    .type('application/problem+json')
    .serializer((problem: unknown) => `${JSON.stringify(problem)}\n`)
    .send(toProblem(error, request.id))
}

/**
 * Fastify would close the connection at once, and most clients still write then: they would see it break instead of the
 * answer. So the rest is read and dropped, within the time that every request has.
 */
function letFinish({ raw }: FastifyRequest, reply: FastifyReply): void {
  reply.removeHeader('connection')
  raw.resume()
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** `/executions/:id` as an expression for paths; a trailing `*` takes everything. */
const toPattern = (url: string): RegExp =>
  new RegExp(
    `^${url
      .split('/')
      .map((part) => (part.startsWith(':') ? '[^/]+' : part === '*' ? '.*' : escape(part)))
      .join('/')}$`,
  )

/**
 * Every error leaves as RFC 9457 problem details; a known path with the wrong method is 405 and names the right ones.
 */
export const errorsPlugin = plugin(
  async function errors(app: FastifyInstance) {
    const routes: Array<{ pattern: RegExp; methods: string[] }> = []
    app.addHook('onRoute', ({ url, method }) => {
      // CORS answers preflights on every path; that makes none of them a known one.
      if (url !== '*') routes.push({ pattern: toPattern(url), methods: [method].flat() })
    })
    // A route that knows better sets its own.
    app.addHook('onRequest', (_request, reply, done) => {
      reply.header('cache-control', NO_STORE)
      done()
    })
    // Node would answer an unknown expectation with an empty 417; a server may ignore it (RFC 9110, section 10.1.1).
    app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
    // Before a body is looked at: where there is nothing, no media type is wrong and no body too large.
    app.addHook('preParsing', (request, reply, _payload, done) => {
      done(request.is404 ? toNotFound(request, reply) : null)
    })
    app.setErrorHandler<FastifyError | ExecutorError>((error, request, reply) => {
      if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') letFinish(request, reply)
      return sendProblem(toExecutorError(error), request, reply)
    })
    // Reached only where something else than the router finds nothing.
    app.setNotFoundHandler((request, reply) => sendProblem(toNotFound(request, reply), request, reply))

    function toNotFound(request: FastifyRequest, reply: FastifyReply): ExecutorError {
      // As routes are found, with or without a slash at the end.
      const path = request.url.split('?')[0]?.replace(/(?<=.)\/$/, '') ?? ''
      const methods = new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap((route) => route.methods))
      // A route that took this method and found nothing there, a file for instance, is no wrong method.
      if (methods.size === 0 || methods.has(request.method))
        return new ExecutorError('METHOD_NOT_FOUND', {
          detail: `There is no path ${path}; GET /docs lists the available paths.`,
        })
      reply.header('allow', [...methods].sort().join(', '))
      return new ExecutorError('METHOD_NOT_ALLOWED', {
        detail: `${path} answers to ${[...methods].sort().join(', ')}.`,
      })
    }
  },
  { name: 'errors' },
)
