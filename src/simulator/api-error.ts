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
  readonly retryAfter?: number
  /** The same JSON as an HTTP body and as a server-sent event. */
  readonly body: { readonly type: 'error'; readonly error: { readonly type: string; readonly message: string } }
}

export function toApiError(status: number, message?: string, retryAfter?: number): ApiError {
  const known = TYPES[status] ?? { type: 'api_error', message: 'Internal server error' }
  return {
    status,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    body: { type: 'error', error: { type: known.type, message: message ?? known.message } },
  }
}
