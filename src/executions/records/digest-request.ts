import { sha256 } from '../../platform/hash.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'

/** Object keys in order, so that two spellings of one request have one digest. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sortKeys(member)]),
  )
}

export const digestRequest = (request: ExecuteRequest): string => sha256(JSON.stringify(sortKeys(request)))
