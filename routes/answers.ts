import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { ExecutorError } from '../src/protocol/errors.js'

/**
 * Aborted when the client goes away, or has gone already: its connection tells that only once. And when its token ends,
 * so that whatever is held open or sent bit by bit ends with it.
 */
export function whileConnected({ raw, request }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  if (raw.destroyed) gone.abort()
  raw.once('close', () => gone.abort())
  raw.once(
    'close',
    request.access.onEnd(() => gone.abort()),
  )
  return gone.signal
}

/**
 * A parameter of `Accept` other than q, its value perhaps in quotes. None of our types has any, and clients send the
 * charset of what they read: `application/json;charset=utf-8` must not be a 406.
 */
const OTHER_PARAMETER = /;(?!\s*q=)[^;,"]*(?:"(?:\\.|[^"\\])*"[^;,"]*)*/gi

/** Caches are told that the answer depends on `Accept`. CORS has put `Origin` there already. */
function varyByAccept(reply: FastifyReply): FastifyReply {
  const before = reply.getHeader('vary')
  return reply.header('vary', before === undefined ? 'Accept' : [before, 'Accept'].flat().filter(Boolean).join(', '))
}

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
export function negotiate(request: FastifyRequest, reply: FastifyReply, offered: readonly string[]): string {
  varyByAccept(reply)
  // An empty header asks for nothing in particular.
  const accept = request.headers.accept?.replaceAll(OTHER_PARAMETER, '').trim() || '*/*'
  const [first] = offered
  if (accept === '*/*' && first !== undefined) return first
  const chosen = new Negotiator({ headers: { accept } }).mediaType([...offered])
  if (chosen === undefined)
    throw new ExecutorError('NOT_ACCEPTABLE', { detail: `Accept: this is available as ${offered.join(', ')}.` })
  return chosen
}
