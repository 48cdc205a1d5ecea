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
  readonly body: { readonly type: 'error'; readonly error: { readonly type: string; readonly message: string } }
}

export interface ApiErrorDetails {
  readonly message?: string | undefined
  /** Seconds. */
  readonly retryAfter?: number | undefined
  /** Seconds since 1970: when the limit of a subscription is over. */
  readonly resetsAt?: number | undefined
}

export function toApiError(status: number, { message, retryAfter, resetsAt }: ApiErrorDetails = {}): ApiError {
  const known = TYPES[status] ?? { type: 'api_error', message: 'Internal server error' }
  return {
    status,
    headers: {
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
      ...(resetsAt !== undefined && {
        'anthropic-ratelimit-unified-status': 'rejected',
        'anthropic-ratelimit-unified-reset': String(resetsAt),
        'anthropic-ratelimit-unified-representative-claim': 'five_hour',
      }),
    },
    body: { type: 'error', error: { type: known.type, message: message ?? known.message } },
  }
}
