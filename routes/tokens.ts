import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { callWaiting } from '../src/executions/control/call-waiting.js'
import { requireExecution } from '../src/executions/read/find-execution.js'
import { ExecutorError } from '../src/protocol/errors.js'
import type { Token } from '../src/protocol/tokens.js'
import {
  changeToken,
  createToken,
  getToken,
  issueTicket,
  listTokens,
  revokeToken,
} from '../src/tokens/manage-tokens.js'
import { readIdempotencyKey } from './idempotency-key.js'
import { answerOf, routeOf } from './route-of.js'

export interface TokenRoutesOptions {
  /** The operator's own. undefined: open, nobody is asked for a token. */
  readonly configured: readonly Token[] | undefined
}

const tags = ['tokens']

/** Who may call: tokens with a term and limits, and tickets for browsers. */
export async function tokenRoutes(fastify: FastifyInstance, options: TokenRoutesOptions): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app
  const { tokens } = services
  const configured = options.configured ?? []
  const located = (id: string): string => `${services.config.basePath}/tokens/${id}`

  app.route({
    ...routeOf('token.create', {
      tags,
      summary: 'Create a token',
      description:
        'Answers with its `secret`, which is not shown again. With `executionId` it may only watch that execution of ' +
        'yours, and is deleted with it. With `Idempotency-Key` a repeated request creates no second token: it returns the ' +
        'first, without its secret.',
      response: {
        200: answerOf('token.get', 'The Idempotency-Key was known (Idempotent-Replayed: true): without the secret.'),
        201: answerOf('token.create', 'Created; valid immediately in every API process.'),
      },
    }),
    handler: async (request, reply) => {
      // Where nobody is asked for a token, one with limits would only seem to limit something.
      if (options.configured === undefined)
        throw new ExecutorError('FORBIDDEN', { detail: 'This service runs open: tokens are not checked here.' })
      const { executionId } = request.body
      if (executionId !== undefined) await requireExecution(services, executionId, request.caller)
      const made = await createToken(tokens, request.body, request.caller, readIdempotencyKey(request))
      reply.header('location', located(made.id))
      if (!('secret' in made)) return reply.code(200).header('idempotent-replayed', 'true').send(made)
      return reply.code(201).send(made)
    },
  })

  app.route({
    ...routeOf('token.list', {
      tags,
      summary: 'List tokens',
      description:
        'Those of the configuration on the first page, then those made here, newest first; expired ones for at least ' +
        'a week. Secrets are not shown.',
      response: { 200: answerOf('token.list', 'A page.') },
    }),
    handler: async (request) => listTokens(tokens, configured, request.query),
  })

  app.route({
    ...routeOf('token.get', {
      tags,
      summary: 'One token',
      description: 'Without its secret.',
      response: { 200: answerOf('token.get', 'The token.') },
    }),
    handler: async (request) => getToken(tokens, configured, request.params.id),
  })

  app.route({
    ...routeOf('token.change', {
      tags,
      summary: 'Change a token',
      description:
        'Takes effect immediately, also for open connections: when a scope is removed, the WebSockets (1008) and ' +
        'streams of the token end. Configured tokens can only be changed in the configuration.',
      response: { 200: answerOf('token.change', 'As it is now.') },
    }),
    handler: async (request) => {
      const { params, body } = request
      const changed = await changeToken(tokens, configured, params.id, body)
      if (body.maxConcurrent !== undefined) await callWaiting(services, params.id)
      return changed
    },
  })

  app.route({
    ...routeOf('token.revoke', {
      tags,
      summary: 'Revoke a token',
      description:
        'Takes effect immediately: its requests are rejected, and its WebSockets (1008) and streams end in every ' +
        'API process. Its executions run to their end; no other token can see them.',
      response: { 204: z.null().meta({ description: 'Revoked.' }) },
    }),
    handler: async (request, reply) => {
      await revokeToken(tokens, configured, request.params.id)
      return reply.code(204).send(null)
    },
  })

  app.route({
    ...routeOf('ticket.create', {
      tags,
      summary: 'A ticket for a browser’s WebSocket or EventSource',
      description:
        'Valid once, for 30 seconds, as `?ticket=` in the address of `/ws` or of an event stream. A token itself ' +
        'must never be part of an address.',
      response: { 201: answerOf('ticket.create', 'The ticket.') },
    }),
    handler: async (request, reply) => {
      const { caller } = request
      const executionId = request.body?.executionId ?? caller.executionId
      if (executionId !== undefined) await requireExecution(services, executionId, caller)
      return reply.code(201).send(await issueTicket(tokens, caller, executionId))
    },
  })
}
