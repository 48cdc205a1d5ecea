import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { listReceiptKeys, readReceipt, verifyGiven } from '../src/executions/read/read-receipt.js'
import { MARKDOWN } from '../src/protocol/operations.js'
import { endLine, negotiate } from './answers.js'
import { answerOf, mediaOf, routeOf } from './route-of.js'

const tags = ['receipts']

/**
 * The signed records of finished executions, the keys that signed them, and a check of what somebody holds to be one.
 */
export async function receiptRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('execution.receipt', {
      tags,
      summary: 'The signed record of a finished execution',
      description:
        'Canonical JSON (RFC 8785), signed with Ed25519, byte for byte (no trailing newline); `Accept: ' +
        'text/markdown` returns a readable form. Every finished execution has one, whatever its outcome. ' +
        '`cc-executor verify` checks it offline.',
      response: {
        200: answerOf('execution.receipt', 'The receipt.'),
      },
    }),
    handler: async (request, reply) => {
      const media = negotiate(request, reply, mediaOf('execution.receipt'))
      const text = await readReceipt(
        services,
        request.params.id,
        request.caller,
        media === MARKDOWN ? 'markdown' : 'json',
      )
      // Of JSON the bytes whose SHA-256 stands in a list's receipt: no new spelling of them, and no newline after them.
      // Safe to bypass the declared answer, of which this is the text.
      return reply
        .type(`${media}; charset=utf-8`)
        .serializer(String)
        .send((media === MARKDOWN ? endLine(text) : text) as never)
    },
  })

  app.route({
    ...routeOf('receipt.keys', {
      tags,
      summary: 'The public keys that sign receipts',
      description: 'A JWKS; replaced keys remain in it.',
      response: { 200: answerOf('receipt.keys', 'The keys.') },
    }),
    handler: async () => listReceiptKeys(services),
  })

  app.route({
    ...routeOf('receipt.verify', {
      tags,
      summary: 'Check a receipt',
      description:
        'Checks form, signature and key and, if `events` are given, their hash chain and the answer. ' +
        'Mismatches are listed; the status is 200 either way. `cc-executor verify` has no limit of size.',
      response: {
        200: answerOf('receipt.verify', 'The result of the check.'),
      },
    }),
    handler: async (request) => verifyGiven(services, request.body),
  })
}
