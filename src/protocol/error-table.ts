interface ErrorRow {
  /** HTTP status of a REST answer. */
  readonly status: number
  /** JSON-RPC error number: the standard's own, else the HTTP status times 100 plus a count. */
  readonly rpc: number
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean
  /** The sentence that stands for the code; `detail` says what happened this time. */
  readonly title: string
}

/** Every error that a client can meet, on whichever surface. Clients branch on the code. */
export const ERROR_TABLE = {
  INVALID_REQUEST: { status: 400, rpc: -32602, retryable: false, title: 'The request is not valid.' },
  PARSE_ERROR: { status: 400, rpc: -32700, retryable: false, title: 'The text is not valid JSON.' },
  INVALID_ENVELOPE: { status: 400, rpc: -32600, retryable: false, title: 'This is not a JSON-RPC 2.0 request.' },
  METHOD_NOT_FOUND: { status: 404, rpc: -32601, retryable: false, title: 'No such method or path.' },
  INTERNAL: { status: 500, rpc: -32603, retryable: true, title: 'An internal error occurred.' },
  COMMAND_NOT_ALLOWED: { status: 400, rpc: 40001, retryable: false, title: 'This command is not allowed.' },
  UNAUTHENTICATED: { status: 401, rpc: 40101, retryable: false, title: 'A valid token is required.' },
  FORBIDDEN: { status: 403, rpc: 40301, retryable: false, title: 'The operation is not permitted.' },
  REPOSITORY_NOT_ALLOWED: {
    status: 403,
    rpc: 40302,
    retryable: false,
    title: 'This repository is not on the operator’s list.',
  },
  EXECUTION_NOT_FOUND: { status: 404, rpc: 40401, retryable: false, title: 'No such execution.' },
  SUBSCRIPTION_NOT_FOUND: {
    status: 404,
    rpc: 40402,
    retryable: false,
    title: 'This connection has no such subscription.',
  },
  SESSION_NOT_FOUND: { status: 404, rpc: 40403, retryable: false, title: 'There is no such session to resume.' },
  FILE_NOT_FOUND: { status: 404, rpc: 40404, retryable: false, title: 'The workspace has no such file.' },
  APPROVAL_NOT_FOUND: { status: 404, rpc: 40405, retryable: false, title: 'There is no such approval.' },
  SCHEDULE_NOT_FOUND: { status: 404, rpc: 40406, retryable: false, title: 'There is no such schedule.' },
  WEBHOOK_NOT_FOUND: { status: 404, rpc: 40407, retryable: false, title: 'You have no such webhook.' },
  DELIVERY_NOT_FOUND: { status: 404, rpc: 40408, retryable: false, title: 'The webhook has no such delivery.' },
  TOKEN_NOT_FOUND: { status: 404, rpc: 40409, retryable: false, title: 'There is no such token.' },
  WORKSPACE_NOT_FOUND: { status: 404, rpc: 40410, retryable: false, title: 'You have no such workspace.' },
  METHOD_NOT_ALLOWED: {
    status: 405,
    rpc: 40501,
    retryable: false,
    title: 'This path does not support that HTTP method.',
  },
  NOT_ACCEPTABLE: {
    status: 406,
    rpc: 40601,
    retryable: false,
    title: 'The response is not available in that media type.',
  },
  REQUEST_TIMEOUT: { status: 408, rpc: 40801, retryable: true, title: 'The request took too long to arrive.' },
  ALREADY_FINISHED: { status: 409, rpc: 40901, retryable: false, title: 'The execution has already finished.' },
  NOT_FINISHED: { status: 409, rpc: 40902, retryable: true, title: 'The execution has not finished yet.' },
  NOT_RUNNING: { status: 409, rpc: 40903, retryable: true, title: 'The execution is not running.' },
  SESSION_BUSY: { status: 409, rpc: 40904, retryable: true, title: 'The session is in use.' },
  APPROVAL_CLOSED: { status: 409, rpc: 40906, retryable: false, title: 'The approval is no longer pending.' },
  NAME_TAKEN: { status: 409, rpc: 40907, retryable: false, title: 'The name is in use.' },
  CURSOR_EXPIRED: {
    status: 410,
    rpc: 41001,
    retryable: false,
    title: 'The events after this cursor are no longer kept.',
  },
  FILE_NOT_KEPT: { status: 410, rpc: 41002, retryable: false, title: 'The file is no longer available.' },
  PAYLOAD_TOO_LARGE: { status: 413, rpc: 41301, retryable: false, title: 'The request is too large.' },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    rpc: 41501,
    retryable: false,
    title: 'The body must be sent as application/json.',
  },
  MISDIRECTED_REQUEST: {
    status: 421,
    rpc: 42101,
    retryable: false,
    title: 'This service does not serve that Host.',
  },
  IDEMPOTENCY_CONFLICT: {
    status: 422,
    rpc: 42201,
    retryable: false,
    title: 'This Idempotency-Key was used with another request.',
  },
  UPGRADE_REQUIRED: {
    status: 426,
    rpc: 42601,
    retryable: false,
    title: 'This path is a WebSocket: the request must ask for an upgrade.',
  },
  RATE_LIMITED: { status: 429, rpc: 42901, retryable: true, title: 'Too many requests.' },
  QUEUE_FULL: { status: 429, rpc: 42902, retryable: true, title: 'The queue is full.' },
  SUBSCRIPTION_LIMIT: {
    status: 429,
    rpc: 42903,
    retryable: false,
    title: 'This connection has reached its subscription limit.',
  },
  // 429, not 402: the same request is taken when the day is over, which Retry-After says; nothing is to be paid to us.
  BUDGET_EXCEEDED: {
    status: 429,
    rpc: 42904,
    retryable: true,
    title: 'The daily budget of this token is not sufficient.',
  },
  HEADERS_TOO_LARGE: { status: 431, rpc: 43101, retryable: false, title: 'The header fields are too large.' },
  STORE_UNAVAILABLE: { status: 503, rpc: 50301, retryable: true, title: 'The store is unavailable.' },
  SHUTTING_DOWN: { status: 503, rpc: 50302, retryable: true, title: 'This process is shutting down.' },
  SANDBOX_UNAVAILABLE: { status: 503, rpc: 50303, retryable: true, title: 'No worker provides that sandbox level.' },
} as const satisfies Record<string, ErrorRow>

/** Nothing sends these today; clients that know them need no change on the day when something does. */
export const RESERVED_CODES = ['CURSOR_EXPIRED', 'SHUTTING_DOWN'] as const
/** What can be thrown. */
export type ErrorCode = Exclude<keyof typeof ERROR_TABLE, (typeof RESERVED_CODES)[number]>
