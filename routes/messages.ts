import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { sendMessage } from '../src/executions/control/send-message.js'
import { listMessages } from '../src/executions/read/list-messages.js'
import { definedFields } from '../src/protocol/defined-fields.js'
import { Message } from '../src/protocol/messages.js'
import { readIdempotencyKey } from './idempotency-key.js'
import { answerOf, routeOf } from './route-of.js'

const tags = ['executions']

/** What is said to an execution while it is queued, runs or rests. */
export function messageRoutes(fastify: FastifyInstance): void {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('message.send', {
      tags,
      summary: 'Send a message to an execution',
      description:
        'Answers 202 as soon as the message is stored. A running execution reads it after its next tool call, or ' +
        'as its next turn; one that waits reads it when it runs. The event `message.delivered` or ' +
        '`message.dropped` reports the result. With `Idempotency-Key` a repeated request returns the same ' +
        'message.',
      response: {
        200: answerOf('message.send', 'The Idempotency-Key was known (Idempotent-Replayed: true).'),
        202: { description: 'Accepted.', content: { 'application/json': { schema: Message } } },
      },
    }),
    handler: async (request, reply) => {
      const { message, replayed } = await sendMessage(
        services,
        request.params.id,
        request.body,
        request.caller,
        readIdempotencyKey(request),
      )
      reply.headers(
        definedFields({
          location: `${services.config.basePath}/executions/${message.executionId}/messages`,
          'idempotent-replayed': replayed ? 'true' : undefined,
        }),
      )
      return reply.code(replayed ? 200 : 202).send(message)
    },
  })

  app.route({
    ...routeOf('message.list', {
      tags,
      summary: 'The messages to an execution',
      description: 'All of them, in the order of acceptance.',
      response: { 200: answerOf('message.list', 'The messages.') },
    }),
    handler: async (request) => listMessages(services, request.params.id, request.caller),
  })
}
