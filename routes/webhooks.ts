import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  getWebhook,
  listDeliveries,
  listWebhooks,
  redeliver,
  rotateSecret,
  testWebhook,
  type WebhookServices,
} from '../src/webhooks/manage-webhooks.js'
import { readIdempotencyKey } from './idempotency-key.js'
import { answerOf, routeOf } from './route-of.js'

export interface WebhookRoutesOptions {
  readonly webhooks: WebhookServices
  readonly basePath: string
  /** There is something to send. */
  readonly look: () => void
}

const tags = ['webhooks']

/** Who is told of what happens: webhooks by Standard Webhooks, and the log of their deliveries. */
export async function webhookRoutes(
  fastify: FastifyInstance,
  { webhooks, basePath, look }: WebhookRoutesOptions,
): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()

  app.route({
    ...routeOf('webhook.create', {
      tags,
      summary: 'Make a webhook',
      description:
        'Answers with its `secret`, which is not shown again. It receives events of the executions of your token, ' +
        'with `allTokens` (scope admin) of all tokens. With `Idempotency-Key` a repeated request makes no second webhook: ' +
        'it returns the first, without its secret.',
      response: {
        200: answerOf('webhook.get', 'The Idempotency-Key was known (Idempotent-Replayed: true): without the secret.'),
        201: answerOf('webhook.create', 'Made.'),
      },
    }),
    handler: async (request, reply) => {
      const made = await createWebhook(webhooks, request.body, request.caller, readIdempotencyKey(request))
      reply.header('location', `${basePath}/webhooks/${made.id}`)
      if (!('secret' in made)) return reply.code(200).header('idempotent-replayed', 'true').send(made)
      return reply.code(201).send(made)
    },
  })

  app.route({
    ...routeOf('webhook.list', {
      tags,
      summary: 'List webhooks',
      description: 'Yours, with the scope admin those of all tokens; newest first.',
      response: { 200: answerOf('webhook.list', 'A page.') },
    }),
    handler: async (request) => listWebhooks(webhooks, request.caller, request.query),
  })

  app.route({
    ...routeOf('webhook.get', {
      tags,
      summary: 'One webhook',
      description: 'Without its secret.',
      response: { 200: answerOf('webhook.get', 'The webhook.') },
    }),
    handler: async (request) => getWebhook(webhooks, request.params.id, request.caller),
  })

  app.route({
    ...routeOf('webhook.change', {
      tags,
      summary: 'Change a webhook',
      description:
        'With `enabled: false` it receives nothing more, and pending deliveries fail; `enabled: true` also brings back ' +
        'one that was disabled because nothing was accepted.',
      response: { 200: answerOf('webhook.change', 'As it is now.') },
    }),
    handler: async (request) => changeWebhook(webhooks, request.params.id, request.body, request.caller),
  })

  app.route({
    ...routeOf('webhook.delete', {
      tags,
      summary: 'Delete a webhook',
      description: 'With its deliveries; what is not delivered yet never is.',
      response: { 204: z.null().meta({ description: 'Deleted.' }) },
    }),
    handler: async (request, reply) => {
      await deleteWebhook(webhooks, request.params.id, request.caller)
      return reply.code(204).send(null)
    },
  })

  app.route({
    ...routeOf('webhook.rotate', {
      tags,
      summary: 'A new secret',
      description: 'It is not shown again. For 24 hours the previous one signs beside it.',
      response: { 200: answerOf('webhook.rotate', 'With the new secret.') },
    }),
    handler: async (request) => rotateSecret(webhooks, request.params.id, request.caller),
  })

  app.route({
    ...routeOf('webhook.test', {
      tags,
      summary: 'Send a test',
      description: 'A delivery of the type `webhook.test`, tried once; its attempt shows what came of it.',
      response: { 202: answerOf('webhook.test', 'The delivery.') },
    }),
    handler: async (request, reply) => {
      const delivery = await testWebhook(webhooks, request.params.id, request.caller)
      look()
      return reply.code(202).send(delivery)
    },
  })

  app.route({
    ...routeOf('webhook.deliveries', {
      tags,
      summary: 'Deliveries of a webhook',
      description:
        'Newest first, with their attempts. Those that have ended are kept for 7 days, the last 1,000 of them.',
      response: { 200: answerOf('webhook.deliveries', 'A page.') },
    }),
    handler: async (request) => listDeliveries(webhooks, request.params.id, request.caller, request.query),
  })

  app.route({
    ...routeOf('webhook.redeliver', {
      tags,
      summary: 'Send a delivery again',
      description: 'With the same `webhook-id`, and retried like a new one. One that is pending is due at once.',
      response: { 202: answerOf('webhook.redeliver', 'The delivery.') },
    }),
    handler: async (request, reply) => {
      const { id, deliveryId } = request.params
      const delivery = await redeliver(webhooks, id, deliveryId, request.caller)
      look()
      return reply.code(202).send(delivery)
    },
  })
}
