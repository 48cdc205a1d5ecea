import { ERROR_TABLE } from '../protocol/error-table.js'
import type { FieldError } from '../protocol/errors.js'
import type { Outcome } from '../protocol/execution.js'

/** The HTTP status of a service that cannot do it now. */
export const SERVICE_UNAVAILABLE = 503

export interface ClientErrorFields {
  /** The protocol's, the outcome's (of `result`), or the client's own: UNREACHABLE, BAD_ANSWER, CLIENT_CLOSED. */
  readonly code: string
  /** HTTP status of the code; 0 where nothing was answered. */
  readonly status: number
  /** What happened this time, for people. */
  readonly detail: string
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean
  readonly errors?: readonly FieldError[]
  readonly requestId?: string
  readonly retryAfterSeconds?: number
  /** Of an execution that did not succeed, where its result was asked for. */
  readonly outcome?: Outcome
}

/** The only error that this room throws for a failed call. Branch on the code. */
export class ClientError extends Error implements ClientErrorFields {
  override readonly name = 'ClientError'
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly retryable: boolean
  declare readonly errors?: readonly FieldError[]
  declare readonly requestId?: string
  declare readonly retryAfterSeconds?: number
  declare readonly outcome?: Outcome

  constructor(fields: ClientErrorFields, options?: ErrorOptions) {
    super(fields.detail, options)
    const { code, status, detail, retryable, ...optional } = fields
    this.code = code
    this.status = status
    this.detail = detail
    this.retryable = retryable
    Object.assign(this, optional)
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its name cannot be looked up',
  TimeoutError: 'it did not answer in time',
}

/** The innermost code: fetch hides it in `cause`. */
function toReason(cause: unknown): string {
  if (typeof cause === 'string') return cause
  if (!(cause instanceof Error)) return 'it does not answer'
  const { code, name, message } = cause as Error & { readonly code?: unknown }
  if (code === undefined && cause.cause !== undefined) return toReason(cause.cause)
  const key = typeof code === 'string' ? code : name
  return CAUSES[key]
    ? `${CAUSES[key]}${typeof code === 'string' ? ` (${code})` : ''}`
    : typeof code === 'string'
      ? code
      : message
}

/** One sentence for whoever forgot to start it, or named another address. */
export function toUnreachable(url: string, cause: unknown): ClientError {
  return new ClientError(
    {
      code: 'UNREACHABLE',
      status: 0,
      retryable: true,
      detail: `CC Executor cannot be reached at ${url}: ${toReason(cause)}. Start it, or check the address.`,
    },
    { cause },
  )
}

export const toClosed = (): ClientError =>
  new ClientError({ code: 'CLIENT_CLOSED', status: 0, retryable: false, detail: 'This client has been closed.' })

export function toBadAnswer(url: string, what: string, status = 0): ClientError {
  // A proxy's own 502 to 504 pass with the service behind it.
  const retryable = status >= 502 && status <= 504
  return new ClientError({
    code: 'BAD_ANSWER',
    status,
    retryable,
    detail: `${what} came from ${url}, which CC Executor does not send: is something else at that address?`,
  })
}

/** REST's `application/problem+json`. */
export function decodeProblem(url: string, status: number, text: string, retryAfter?: string | null): ClientError {
  // Safe: each field that is used is looked at below.
  const problem = parseJson(text) as
    Partial<Record<'code' | 'detail' | 'retryable' | 'requestId' | 'errors' | 'outcome', unknown>> | undefined
  if (typeof problem?.code !== 'string') return toBadAnswer(url, `An answer ${status}`, status)
  const { code, detail, retryable, requestId, errors, outcome } = problem
  const seconds = Number(retryAfter ?? Number.NaN)
  return new ClientError({
    code,
    status,
    detail: typeof detail === 'string' ? detail : code,
    retryable: retryable === true,
    // Safe: the service's own shapes, published by the protocol.
    errors: Array.isArray(errors) ? (errors as FieldError[]) : undefined,
    requestId: typeof requestId === 'string' ? requestId : undefined,
    retryAfterSeconds: Number.isFinite(seconds) ? seconds : undefined,
    outcome: typeof outcome === 'object' && outcome !== null ? (outcome as Outcome) : undefined,
  })
}

/** The `error` of a JSON-RPC answer. */
export function decodeRpcError(error: { readonly message?: string; readonly data?: unknown }): ClientError {
  // Safe: the service's own shape, RpcErrorData; a missing field is met below.
  const data = (error.data ?? {}) as {
    code?: string
    retryable?: boolean
    requestId?: string
    errors?: FieldError[]
    retryAfterSeconds?: number
  }
  const { code = 'INTERNAL', retryable = false, requestId, errors, retryAfterSeconds } = data
  const status = Object.hasOwn(ERROR_TABLE, code) ? ERROR_TABLE[code as keyof typeof ERROR_TABLE].status : 0
  return new ClientError({
    code,
    status,
    detail: error.message ?? code,
    retryable,
    requestId,
    errors,
    retryAfterSeconds,
  })
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
