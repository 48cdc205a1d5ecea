import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { z } from 'zod'
import { ERROR_TABLE, ExecutorError, Problem, type ErrorCode } from '../src/protocol/errors.js'

type StatusOf<Code extends ErrorCode> = (typeof ERROR_TABLE)[Code]['status']
interface ProblemAnswer {
  readonly description: string
  readonly content: { readonly 'application/problem+json': { readonly schema: typeof Problem } }
}

/** What a reader is told beside the title of a code. */
const NOTES: { readonly [Code in ErrorCode]?: string } = {
  INVALID_REQUEST: '`errors` names the fields.',
  EXECUTION_NOT_FOUND: 'Or it belongs to another token.',
  FORBIDDEN: 'The token’s scopes do not cover it, or the operator has not allowed it.',
  FILE_NOT_KEPT: '`detail` says why.',
  BUDGET_EXCEEDED: '`budget` has the details.',
}

/**
 * The errors that an operation answers, by status: each description lists the codes, and a test produces every one of
 * them.
 */
export function problems<Code extends ErrorCode>(
  ...codes: readonly Code[]
): { readonly [Status in StatusOf<Code>]: ProblemAnswer } {
  const answers: Record<number, ProblemAnswer> = {}
  for (const code of codes) {
    const { status, title } = ERROR_TABLE[code]
    const sentence = [`\`${code}\`: ${title}`, NOTES[code]].filter((part) => part !== undefined).join(' ')
    answers[status] = {
      description: [answers[status]?.description, sentence].filter((part) => part !== undefined).join(' '),
      content: { 'application/problem+json': { schema: Problem } },
    }
  }
  return answers
}

/** Every request with a token that reads or writes the store. */
export const GUARDED = ['UNAUTHENTICATED', 'FORBIDDEN', 'STORE_UNAVAILABLE'] as const
/** The same about one execution. */
export const OF_ONE = [...GUARDED, 'EXECUTION_NOT_FOUND'] as const
/** What can be wrong with a JSON body. */
export const WITH_BODY = ['INVALID_REQUEST', 'PARSE_ERROR', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const

/** How answers are described to OpenAPI. */
export const jsonResponse = <Schema extends z.ZodType>(description: string, schema: Schema) => ({
  description,
  content: { 'application/json': { schema } },
})
/** The same, and what `Accept` gets in its place: text of these media types. */
export const jsonOrResponse = <Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  ...media: readonly string[]
) => {
  const texts = Object.fromEntries(media.map((type) => [type, { schema: z.string() }]))
  return { description, content: { 'application/json': { schema }, ...texts } }
}

/** Aborted when the client goes away, or has gone already: its connection tells that only once. */
export function whileConnected({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  if (raw.destroyed) gone.abort()
  raw.once('close', () => gone.abort())
  return gone.signal
}

/**
 * A parameter of `Accept` other than q, its value perhaps in quotes. None of our types has any, and clients send the
 * charset of what they read: `application/json;charset=utf-8` must not be a 406.
 */
const OTHER_PARAMETER = /;(?!\s*q=)[^;,"]*(?:"(?:\\.|[^"\\])*"[^;,"]*)*/gi

/** Caches are told that the answer depends on `Accept`. CORS has put `Origin` there already. */
const varyByAccept = (reply: FastifyReply): FastifyReply =>
  reply.header('vary', [reply.getHeader('vary'), 'Accept'].flat().filter(Boolean).join(', '))

/**
 * Whether a person at a shell reads the answer: curl, wget or HTTPie, and no program that named the type it wants. All
 * others get texts to the byte: `Accept` alone does not tell them apart, since fetch sends the same range as curl.
 */
export function isForShell(request: FastifyRequest, reply: FastifyReply, type: string): boolean {
  varyByAccept(reply)
  const { accept = '', 'user-agent': agent = '' } = request.headers
  const namesType = accept.split(',').some((part) => part.split(';')[0]?.trim().toLowerCase() === type)
  return /^(?:curl|wget|httpie)\//i.test(agent) && !namesType
}

/** A text for people ends its last line, so that a prompt of a shell stands below it; an empty one has none. */
export const endLine = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`)

/** The best of what is offered, or NOT_ACCEPTABLE. */
export function negotiate(request: FastifyRequest, reply: FastifyReply, offered: string[]): string {
  varyByAccept(reply)
  // An empty header asks for nothing in particular.
  const accept = request.headers.accept?.replaceAll(OTHER_PARAMETER, '').trim() || '*/*'
  const chosen = new Negotiator({ headers: { accept } }).mediaType(offered)
  if (chosen === undefined)
    throw new ExecutorError('NOT_ACCEPTABLE', { detail: `Accept: this is available as ${offered.join(', ')}.` })
  return chosen
}
