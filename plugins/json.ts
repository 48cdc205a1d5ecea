import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { z } from 'zod'
import { ExecutorError, parseInput } from '../src/protocol/errors.js'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined
  try {
    return JSON.parse(decoder.decode(body))
  } catch (cause) {
    throw new ExecutorError('PARSE_ERROR', { detail: cause instanceof SyntaxError ? `The body is not valid JSON: ${cause.message}` : 'The body is not valid UTF-8.' }, { cause })
  }
}

/** JSON is the only body there is; it is checked by zod without any coercion, and answers are trusted to their types. */
export const jsonPlugin = plugin(
  async function json(app: FastifyInstance) {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) => parseJson(body))
    app.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (data) => {
      try {
        // Fastify says null where there is no body at all; to a schema that is `undefined`, which an optional body may be.
        return { value: parseInput(schema, httpPart === 'body' ? (data ?? undefined) : data) }
      } catch (error) {
        // Safe: parseInput throws nothing but ExecutorError.
        return { error: error as ExecutorError }
      }
    })
    app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  },
  { name: 'json', dependencies: ['errors'] },
)
