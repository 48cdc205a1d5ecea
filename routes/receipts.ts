import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { listReceiptKeys, readReceipt, verifyGiven } from '../src/executions/read/read-receipt.js'
import { KeySet, Receipt, ReceiptReport, VerifyRequest } from '../src/protocol/receipt.js'
import { endLine, GUARDED, jsonResponse, negotiate, OF_ONE, problems, WITH_BODY } from './answers.js'
import { Params } from './queries.js'

const tags = ['receipts']
const MARKDOWN = 'text/markdown'

/**
 * The signed records of finished executions, the keys that signed them, and a check of what somebody holds to be one.
 */
export async function receiptRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.get(
    '/executions/:id/receipt',
    {
      schema: {
        tags,
        operationId: 'getReceipt',
        summary: 'The signed record of a finished execution',
        description:
          'Canonical JSON (RFC 8785), signed with Ed25519, byte for byte (no trailing newline); `Accept: ' +
          'text/markdown` returns a readable form. Every finished execution has one, whatever its outcome. ' +
          '`cc-executor verify` checks it offline.',
        params: Params,
        response: {
          200: {
            description: 'The receipt.',
            content: { 'application/json': { schema: Receipt }, [MARKDOWN]: { schema: z.string() } },
          },
          ...problems(...OF_ONE, 'NOT_FINISHED', 'NOT_ACCEPTABLE'),
        },
      },
    },
    async (request, reply) => {
      const media = negotiate(request, reply, ['application/json', MARKDOWN])
      const text = await readReceipt(
        services,
        request.params.id,
        request.caller,
        media === MARKDOWN ? 'markdown' : 'json',
      )
      // Of JSON the bytes whose SHA-256 stands in a list's receipt: no new spelling of them, and no newline after them.
      return reply
        .type(`${media}; charset=utf-8`)
        .serializer(String)
        .send(media === MARKDOWN ? endLine(text) : text)
    },
  )

  app.get(
    '/receipts/keys',
    {
      schema: {
        tags,
        operationId: 'getReceiptKeys',
        summary: 'The public keys that sign receipts',
        description: 'A JWKS; replaced keys remain in it.',
        response: { 200: jsonResponse('The keys.', KeySet), ...problems(...GUARDED) },
      },
    },
    async () => listReceiptKeys(services),
  )

  app.post(
    '/receipts/verify',
    {
      schema: {
        tags,
        operationId: 'verifyReceipt',
        summary: 'Check a receipt',
        description:
          'Checks form, signature and key and, if `events` are given, their hash chain and the answer. ' +
          'Mismatches are listed; the status is 200 either way. `cc-executor verify` has no limit of size.',
        body: VerifyRequest,
        response: {
          200: jsonResponse('The result of the check.', ReceiptReport),
          ...problems(...GUARDED, ...WITH_BODY),
        },
      },
    },
    async (request) => verifyGiven(services, request.body),
  )
}
