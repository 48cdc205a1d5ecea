/** What a test may ask about afterwards. A credential's value is never kept, only how it came. */
import type { IncomingMessage } from 'node:http'

export interface SimulatedRequest {
  readonly method: string
  readonly path: string
  /** As `x-api-key`, `authorization: Bearer`. */
  readonly credentials: readonly string[]
  readonly receivedAt: string
  /** What a message request asks, as soon as it is read; absent for any other and for a bad one. */
  readonly model?: string
  /** The newest prompt, its first 2,000 characters. */
  readonly prompt?: string
  /** A request beside the conversation, as for a title. */
  readonly side?: boolean
}

// The oldest fall out.
const MAX_REQUESTS = 500
const MAX_PROMPT_CHARACTERS = 2_000

export class RequestLog {
  readonly entries: SimulatedRequest[] = []

  add(request: IncomingMessage): SimulatedRequest {
    const entry: SimulatedRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      credentials: toCredentials(request),
      receivedAt: new Date().toISOString(),
    }
    this.entries.push(entry)
    if (this.entries.length > MAX_REQUESTS) this.entries.shift()
    return entry
  }

  describe(entry: SimulatedRequest, asked: { readonly model: string; readonly prompt: string; readonly side: boolean }): void {
    Object.assign(entry, { ...asked, prompt: asked.prompt.slice(0, MAX_PROMPT_CHARACTERS) })
  }
}

function toCredentials(request: IncomingMessage): string[] {
  const { authorization } = request.headers
  return [
    ...(request.headers['x-api-key'] === undefined ? [] : ['x-api-key']),
    ...(authorization === undefined ? [] : [`authorization: ${/^(Bearer|Basic)\s/i.exec(authorization)?.[1] ?? 'other'}`]),
  ]
}
