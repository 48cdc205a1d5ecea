/** What a test may ask about afterwards. A credential's value is never kept, only how it came. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { RequestBlock, RequestMessage } from './messages-request.js'

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
  /**
   * Every text of the conversation as it was sent, `role: text` each, cut to its first 2,000 characters; the last 200
   * of them.
   */
  readonly said?: readonly string[]
  /** Images and documents of the conversation, each `role: type mediaType sha256`; the last 200 of them. */
  readonly attached?: readonly string[]
  /** The texts of the system prompt, the last 4,000 characters of each: there stands what a caller appends. */
  readonly system?: readonly string[]
  /** The version of the CLI that asked, where it says one. */
  readonly clientVersion?: string
  /** A request beside the conversation, as for a title. */
  readonly side?: boolean
}

// The oldest fall out.
const MAX_REQUESTS = 500
const MAX_PROMPT_CHARACTERS = 2_000
const MAX_SAID = 200
const MAX_SYSTEM_CHARACTERS = 4_000

export class RequestLog {
  readonly entries: SimulatedRequest[] = []

  add(request: IncomingMessage): SimulatedRequest {
    const entry: SimulatedRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      credentials: toCredentials(request),
      receivedAt: new Date().toISOString(),
      ...toClientVersion(request.headers['user-agent']),
    }
    this.entries.push(entry)
    if (this.entries.length > MAX_REQUESTS) this.entries.shift()
    return entry
  }

  describe(
    entry: SimulatedRequest,
    asked: {
      readonly model: string
      readonly prompt: string
      readonly system: readonly string[]
      readonly messages: readonly RequestMessage[]
      readonly side: boolean
    },
  ): void {
    const { messages, prompt, system, ...rest } = asked
    const said = messages.flatMap(({ role, blocks }) =>
      blocks.flatMap((block) => ('text' in block ? [`${role}: ${block.text.slice(0, MAX_PROMPT_CHARACTERS)}`] : [])),
    )
    const attached = messages.flatMap(({ role, blocks }) =>
      blocks.flatMap((block) => (block.kind === 'media' ? [`${role}: ${describeMedia(block)}`] : [])),
    )
    Object.assign(entry, {
      ...rest,
      prompt: prompt.slice(0, MAX_PROMPT_CHARACTERS),
      said: said.slice(-MAX_SAID),
      attached: attached.slice(-MAX_SAID),
      system: system.map((text) => text.slice(-MAX_SYSTEM_CHARACTERS)),
    })
  }
}

function describeMedia({ type, mediaType, data }: Extract<RequestBlock, { kind: 'media' }>): string {
  const bytes = Buffer.from(data, 'base64')
  return `${type} ${mediaType} ${createHash('sha256').update(bytes).digest('hex')}`
}

/** As in `claude-cli/2.1.332 (external, sdk-cli)`. */
function toClientVersion(userAgent: string | undefined): { clientVersion?: string } {
  const clientVersion = /^claude-cli\/(\d+\.\d+\.\d+)/.exec(userAgent ?? '')?.[1]
  return clientVersion === undefined ? {} : { clientVersion }
}

function toCredentials(request: IncomingMessage): string[] {
  const { authorization } = request.headers
  return [
    ...(request.headers['x-api-key'] === undefined ? [] : ['x-api-key']),
    ...(authorization === undefined
      ? []
      : [`authorization: ${/^(Bearer|Basic)\s/i.exec(authorization)?.[1] ?? 'other'}`]),
  ]
}
