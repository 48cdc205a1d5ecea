import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import type { z } from 'zod'
import { ExecutorError, Problem } from '../src/protocol/errors.js'

/** How answers are described to OpenAPI. */
export const problem = (description: string) => ({ description, content: { 'application/problem+json': { schema: Problem } } })
export const json = <Schema extends z.ZodType>(description: string, schema: Schema) => ({ description, content: { 'application/json': { schema } } })
export const unknown = { 401: problem('No valid token.'), 404: problem('There is no such execution, or it is not yours.') }

/** Aborted when the client goes away, or has gone already: its connection tells that only once. */
export function whileConnected({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  if (raw.destroyed) gone.abort()
  raw.once('close', () => gone.abort())
  return gone.signal
}

/** The best of what is offered, or NOT_ACCEPTABLE. */
export function negotiate(request: FastifyRequest, offered: string[]): string {
  // An empty header asks for nothing in particular.
  const accept = request.headers.accept?.trim() || '*/*'
  const chosen = new Negotiator({ headers: { accept } }).mediaType(offered)
  if (chosen === undefined) throw new ExecutorError('NOT_ACCEPTABLE', { detail: `Accept: this can be had as ${offered.join(', ')}.` })
  return chosen
}
