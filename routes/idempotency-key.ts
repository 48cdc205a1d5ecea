import type { FastifyRequest } from 'fastify'
import { toInvalidRequest } from '../src/protocol/errors.js'
import { IDEMPOTENCY_KEY_LIMIT } from '../src/protocol/limits.js'

/** @throws ExecutorError INVALID_REQUEST */
export function readIdempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key !== 'string' || key === '' || key.length > IDEMPOTENCY_KEY_LIMIT) {
    throw toInvalidRequest([{ path: 'Idempotency-Key', message: `must be 1 to ${IDEMPOTENCY_KEY_LIMIT} characters` }])
  }
  return key
}
