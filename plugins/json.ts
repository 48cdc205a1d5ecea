import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchemaCompiler,
  FastifyServerOptions,
} from 'fastify'
import plugin from 'fastify-plugin'
import type { z } from 'zod'
import { ExecutorError, parseInput } from '../src/protocol/errors.js'
import { MERGE_PATCH } from '../src/protocol/rest-input.js'
import { createTurns, LARGE_BODY_BYTES } from './large-bodies.js'

const BYTE_ORDER_MARK = '\ufeff'

/** As a TextDecoder that is fatal, at a third of its cost. */
function decode(body: Buffer): string {
  if (!isUtf8(body)) throw new TypeError('not UTF-8')
  const text = body.toString()
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text
}

function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined
  try {
    return JSON.parse(decode(body))
  } catch (cause) {
    throw new ExecutorError(
      'PARSE_ERROR',
      {
        detail:
          cause instanceof SyntaxError
            ? `The body is not valid JSON: ${cause.message}`
            : 'The body is not valid UTF-8.',
      },
      { cause },
    )
  }
}

/** Nothing is unpacked here, and JSON is UTF-8: what says that it is something else is not guessed at. */
function requirePlain(headers: IncomingHttpHeaders): void {
  if (headers['content-type'] === 'application/json' && headers['content-encoding'] === undefined) return
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (coding !== 'identity')
    throw new ExecutorError('UNSUPPORTED_MEDIA_TYPE', {
      detail: `Content-Encoding: ${coding} is not supported; send the body uncompressed.`,
    })
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(headers['content-type'] ?? '')?.[1] ?? 'utf-8'
  if (!/^utf-?8$/i.test(charset))
    throw new ExecutorError('UNSUPPORTED_MEDIA_TYPE', {
      detail: `Content-Type: JSON is sent as UTF-8, not as ${charset}.`,
    })
}

/** curl says of a body that it is a form, unless it is told. */
export const JSON_ONLY =
  "Content-Type: the body must be sent as application/json; with curl: -H 'Content-Type: application/json'."

/** A prompt of a shell stands below an answer, not behind it. */
const toJsonText = (data: unknown): string => `${JSON.stringify(data)}\n`

type Compilers = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>

const compileSchema: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data) => {
    try {
      // Fastify says null where there is no body at all; to a schema that is `undefined`, which an optional body may
      // be.
      return { value: parseInput(schema, httpPart === 'body' ? (data ?? undefined) : data) }
    } catch (error) {
      // Safe: parseInput throws nothing but ExecutorError.
      return { error: error as ExecutorError }
    }
  }

/**
 * For the application itself: where it is told of no others it loads Fastify's own first, which takes a tenth of the
 * start of an API, and then uses them for nothing.
 */
export const COMPILERS = {
  buildValidator: () => compileSchema,
  buildSerializer: () => () => toJsonText,
  // Safe: declared as what compiles a schema for Ajv; a route's is zod's.
} as unknown as Compilers

/**
 * JSON is the only body there is; it is checked by zod without any coercion, and answers are trusted to their types.
 */
export const jsonPlugin = plugin(
  async function json(app: FastifyInstance) {
    app.removeAllContentTypeParsers()
    const takeTurn = createTurns()
    const replies = new WeakMap<FastifyRequest, FastifyReply>()
    app.addHook('preParsing', (request, reply, _payload, done) => {
      const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers
      // In chunks it may be of any length.
      if (coding !== undefined || Number(length) > LARGE_BODY_BYTES) replies.set(request, reply)
      done()
    })
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer' },
      async (request: FastifyRequest, body: Buffer) => {
        requirePlain(request.headers)
        if (body.length > LARGE_BODY_BYTES) await takeTurn(replies.get(request))
        return parseJson(body)
      },
    )
    // A change may be called what it is, RFC 7396.
    app.addContentTypeParser(
      MERGE_PATCH,
      { parseAs: 'buffer' },
      async ({ headers, method }: FastifyRequest, body: Buffer) => {
        if (method !== 'PATCH') throw new ExecutorError('UNSUPPORTED_MEDIA_TYPE', { detail: JSON_ONLY })
        requirePlain(headers)
        return parseJson(body)
      },
    )
    // No body needs no type: `curl -d ''` and others send one all the same.
    app.addContentTypeParser('*', async ({ headers }: FastifyRequest) => {
      if (headers['content-length'] !== '0')
        throw new ExecutorError('UNSUPPORTED_MEDIA_TYPE', {
          detail: JSON_ONLY,
        })
    })
    // For routes without a schema of their answer, such as /openapi.json.
    app.setReplySerializer(toJsonText)
  },
  { name: 'json', dependencies: ['errors'] },
)
