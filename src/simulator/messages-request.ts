/** The request of the Messages API as far as the simulator looks at it: parsed once here, trusted afterwards. */
import { isRecord } from './json.js'

export interface MessagesRequest {
  readonly model: string
  readonly stream: boolean
  readonly maxTokens: number
  readonly system: readonly string[]
  readonly messages: readonly RequestMessage[]
  /** Tools which the caller runs itself; the API's own, as web_search, are only counted. */
  readonly callableTools: number
  readonly serverTools: number
  /** The JSON schema that the answer's text must have (`output_config.format`). */
  readonly answerSchema?: Record<string, unknown>
  /** JSON mode: what the CLI's own tool StructuredOutput takes. */
  readonly structuredSchema?: Record<string, unknown>
  /** What tells one conversation from another: Claude Code puts its session id in here. */
  readonly userId: string
}

export interface RequestMessage {
  readonly role: string
  readonly blocks: readonly RequestBlock[]
}

export type RequestBlock =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'toolResult'; readonly text: string; readonly failed: boolean }
  | { readonly kind: 'media'; readonly type: 'image' | 'document'; readonly mediaType: string; readonly data: string }
  | { readonly kind: 'other' }

/** The API's own words for a request that it cannot accept. */
export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest'
}

/** @throws InvalidRequest */
export function decodeMessagesRequest(body: string): MessagesRequest {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (error) {
    throw new InvalidRequest('The request body is not valid JSON', { cause: error })
  }
  if (!isRecord(value)) throw new InvalidRequest('The request body must be an object')
  if (typeof value['model'] !== 'string') throw new InvalidRequest('model: Field required')
  if (!Array.isArray(value['messages'])) throw new InvalidRequest('messages: Field required')
  const tools = toRecords(value['tools'])
  const serverTools = tools.filter((tool) => tool['input_schema'] === undefined).length
  const outputConfig = toRecord(value['output_config'])
  const schema = toRecord(outputConfig['format'])['schema']
  const structured = tools.find((tool) => tool['name'] === 'StructuredOutput')?.['input_schema']
  const userId = toRecord(value['metadata'])['user_id']
  return {
    model: value['model'],
    stream: value['stream'] === true,
    maxTokens: typeof value['max_tokens'] === 'number' ? value['max_tokens'] : Number.MAX_SAFE_INTEGER,
    system: toTexts(value['system']),
    messages: toRecords(value['messages']).map((message) => ({
      role: typeof message['role'] === 'string' ? message['role'] : '',
      blocks: toBlocks(message['content']),
    })),
    callableTools: tools.length - serverTools,
    serverTools,
    answerSchema: isRecord(schema) ? schema : undefined,
    structuredSchema: isRecord(structured) ? structured : undefined,
    userId: typeof userId === 'string' ? userId : '',
  }
}

function toBlocks(content: unknown): RequestBlock[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }]
  return toRecords(content).map((block): RequestBlock => {
    if (block['type'] === 'text' && typeof block['text'] === 'string') return { kind: 'text', text: block['text'] }
    if (block['type'] === 'tool_result')
      return { kind: 'toolResult', text: toTexts(block['content']).join('\n'), failed: block['is_error'] === true }
    const source = toRecord(block['source'])
    const { media_type: mediaType, data } = source
    if ((block['type'] === 'image' || block['type'] === 'document') && source['type'] === 'base64')
      return { kind: 'media', type: block['type'], mediaType: String(mediaType), data: String(data) }
    return { kind: 'other' }
  })
}

/** Texts come as a string or as blocks, everywhere in this API. */
function toTexts(content: unknown): string[] {
  if (typeof content === 'string') return [content]
  return toRecords(content).flatMap((block) => (typeof block['text'] === 'string' ? [block['text']] : []))
}

function toRecords(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

function toRecord(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}
