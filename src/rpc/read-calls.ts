import { ExecutorError, toInvalidRequest } from '../protocol/errors.js'
import { BATCH_LIMIT } from '../protocol/limits.js'
import { RpcId, RpcRequest } from '../protocol/rpc.js'

export type CallParams = Readonly<Record<string, unknown>> | readonly unknown[]

export type Call =
  | {
      readonly kind: 'request'
      readonly id: RpcId
      readonly method: string
      readonly params: CallParams
    }
  | {
      readonly kind: 'notification'
      readonly method: string
      readonly params: CallParams
    }
  | { readonly kind: 'invalid'; readonly id: RpcId; readonly error: ExecutorError }

export interface Message {
  readonly isBatch: boolean
  readonly calls: readonly Call[]
}

const invalid = (id: RpcId, detail: string): Call => ({
  kind: 'invalid',
  id,
  error: new ExecutorError('INVALID_ENVELOPE', { detail }),
})

/**
 * One text frame as JSON-RPC 2.0 reads it: a call or a batch of them; what is wrong with it is a call as well, to be
 * answered with its error.
 */
export function readCalls(text: string): Message {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return single({ kind: 'invalid', id: null, error: new ExecutorError('PARSE_ERROR') })
  }
  if (!Array.isArray(message)) return single(readCall(message))
  if (message.length === 0) return single(invalid(null, 'A batch must hold at least one request.'))
  if (message.length > BATCH_LIMIT)
    return single(invalid(null, `A batch must not hold more than ${BATCH_LIMIT} requests.`))
  return { isBatch: true, calls: message.map(readCall) }
}

const single = (call: Call): Message => ({ isBatch: false, calls: [call] })

function readCall(value: unknown): Call {
  const parsed = RpcRequest.safeParse(value)
  if (!parsed.success) {
    const id = typeof value === 'object' && value !== null && 'id' in value ? RpcId.safeParse(value.id) : undefined
    const detail =
      'A request is an object {"jsonrpc": "2.0", "method": string, "params"?: object, "id"?: string, number or null}.'
    return invalid(id?.success ? id.data : null, detail)
  }
  const { id, method, params = {} } = parsed.data
  return id === undefined ? { kind: 'notification', method, params } : { kind: 'request', id, method, params }
}

/** @throws ExecutorError INVALID_REQUEST: every method here takes its params by name. */
export function requireNamed(params: CallParams): Readonly<Record<string, unknown>> {
  // Array.isArray does not narrow a readonly array away.
  if (Array.isArray(params))
    throw toInvalidRequest([{ path: 'params', message: 'params must be given by name, as an object' }])
  return params as Readonly<Record<string, unknown>>
}
