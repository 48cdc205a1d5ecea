import { ExecutorError, toWireError, type ErrorCode } from '../../protocol/errors.js'
import type { Logger } from '../../platform/logger.js'
import type { RpcError } from '../../protocol/rpc.js'

/** The numbers that clients of the original know. */
export const ORIGINAL_ERRORS = {
  invalidParams: -32602,
  internal: -32603,
  limit: -32001,
  commandNotAllowed: -32002,
  noProcess: -32003,
  timeout: -32004,
} as const

/** Codes of ours by the original's number; whatever is not here is -32603. */
const NUMBERS: Partial<Record<ErrorCode, number>> = {
  PARSE_ERROR: -32700,
  INVALID_ENVELOPE: -32600,
  METHOD_NOT_FOUND: -32601,
  INVALID_REQUEST: ORIGINAL_ERRORS.invalidParams,
  PAYLOAD_TOO_LARGE: ORIGINAL_ERRORS.invalidParams,
  QUEUE_FULL: ORIGINAL_ERRORS.limit,
  RATE_LIMITED: ORIGINAL_ERRORS.limit,
  SUBSCRIPTION_LIMIT: ORIGINAL_ERRORS.limit,
  COMMAND_NOT_ALLOWED: ORIGINAL_ERRORS.commandNotAllowed,
  FORBIDDEN: ORIGINAL_ERRORS.commandNotAllowed,
  SESSION_NOT_FOUND: ORIGINAL_ERRORS.invalidParams,
  WORKSPACE_NOT_FOUND: ORIGINAL_ERRORS.invalidParams,
  SESSION_BUSY: ORIGINAL_ERRORS.invalidParams,
  EXECUTION_NOT_FOUND: ORIGINAL_ERRORS.noProcess,
  NOT_RUNNING: ORIGINAL_ERRORS.noProcess,
  ALREADY_FINISHED: ORIGINAL_ERRORS.noProcess,
}

/** Something that only this dialect says. */
export class OriginalError extends Error {
  readonly number: number

  constructor(number: number, message: string) {
    super(message)
    this.name = 'OriginalError'
    this.number = number
  }
}

export function toOriginalError(error: unknown, requestId: string, logger: Logger): RpcError {
  if (error instanceof OriginalError) return { code: error.number, message: error.message }
  const { code, retryable, detail, errors, errorCount } = toWireError(error)
  if (!(error instanceof ExecutorError)) logger.error({ requestId, err: error }, 'a request failed')
  return {
    code: NUMBERS[code] ?? ORIGINAL_ERRORS.internal,
    message: detail,
    data: { code, retryable, requestId, errors, errorCount },
  }
}
