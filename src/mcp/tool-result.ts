import type { CallToolResult } from '@modelcontextprotocol/server'
import { ClientError } from '../client/client-error.js'
import { toWireError } from '../protocol/errors.js'
import type { ToolError } from '../protocol/tools.js'

/** What a tool answers: for programs, and for whoever reads. */
export interface ToolAnswer {
  readonly structured: Record<string, unknown>
  readonly text: string
}

export const toResult = ({ structured, text }: ToolAnswer): CallToolResult => ({
  content: [{ type: 'text', text }],
  structuredContent: structured,
})

export function toToolError(error: unknown): ToolError {
  if (error instanceof ClientError) {
    const { code, detail, retryable, requestId, errors, retryAfterSeconds } = error
    return {
      code,
      detail,
      retryable,
      requestId,
      errors: errors && [...errors],
      retryAfterSeconds,
    }
  }
  const { code, detail, retryable, errors, retryAfterSeconds } = toWireError(error)
  return {
    code,
    detail,
    retryable,
    errors: errors && [...errors],
    retryAfterSeconds,
  }
}

/** A failed call as its caller sees it: the code and what to do first, since many clients show the text alone. */
export function toErrorResult(structured: ToolError): CallToolResult {
  return {
    isError: true,
    content: [
      {
        type: 'text',
        text:
          `${structured.code}: ` +
          `${structured.detail}${structured.retryable ? '\nRetrying the same call later may succeed.' : ''}`,
      },
    ],
    structuredContent: structured,
  }
}
