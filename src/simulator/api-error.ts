/** The API's errors: an HTTP status and a JSON body with a type. */

const TYPES: Readonly<Record<number, { readonly type: string; readonly message: string }>> = {
  400: { type: 'invalid_request_error', message: 'Invalid request' },
  401: { type: 'authentication_error', message: 'invalid x-api-key' },
  403: { type: 'permission_error', message: 'Your API key does not have permission to use the specified resource.' },
  404: { type: 'not_found_error', message: 'Not found' },
  405: { type: 'invalid_request_error', message: 'Method Not Allowed' },
  413: { type: 'request_too_large', message: 'Request exceeds the maximum size' },
  429: { type: 'rate_limit_error', message: 'This request would exceed your rate limit.' },
  500: { type: 'api_error', message: 'Internal server error' },
  529: { type: 'overloaded_error', message: 'Overloaded' },
}

export interface ApiError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The same JSON as an HTTP body and as a server-sent event. */
  readonly body: {
    readonly type: 'error'
    readonly error: {
      readonly type: string
      readonly message: string
      readonly details?: Readonly<Record<string, string>>
    }
  }
}

export interface ApiErrorDetails {
  readonly message?: string | undefined
  /** Seconds. */
  readonly retryAfter?: number | undefined
  /** The CLI is older than this, which the model wants. */
  readonly minimumVersion?: string | undefined
  readonly clientVersion?: string | undefined
  /** Seconds since 1970: when the limit of a subscription is over. */
  readonly resetsAt?: number | undefined
}

export function toApiError(
  status: number,
  { message, retryAfter, resetsAt, minimumVersion, clientVersion }: ApiErrorDetails = {},
): ApiError {
  const known = TYPES[status] ?? { type: 'api_error', message: 'Internal server error' }
  const headers: Record<string, string> = {}
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter)
  if (resetsAt !== undefined) {
    headers['anthropic-ratelimit-unified-status'] = 'rejected'
    headers['anthropic-ratelimit-unified-reset'] = String(resetsAt)
    headers['anthropic-ratelimit-unified-representative-claim'] = 'five_hour'
  }
  return {
    status,
    headers,
    body: {
      type: 'error',
      error: {
        type: known.type,
        message: message ?? (minimumVersion === undefined ? known.message : describeAge(minimumVersion, clientVersion)),
        details: minimumVersion === undefined ? undefined : { error_code: 'claude_code_version_too_old' },
      },
    },
  }
}

/** Word for word as the API says it (public reports of September 2026, e.g. decolua/9router#4259). */
function describeAge(minimum: string, client = '0.0.0'): string {
  const advice = "Run 'claude update', or update the Claude desktop app, then try again."
  return `Claude Code ${client} does not support this model; version ${minimum} or newer is required. ${advice}`
}
