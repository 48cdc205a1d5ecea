/** A message of the CLI's stream-json, of which only what is used is named; all of it may be missing. */
export interface CliMessage {
  readonly type?: string
  readonly parent_tool_use_id?: string | null
  readonly message?: { readonly content?: unknown }
  readonly tool_use_result?: unknown
}
interface Block {
  readonly type?: string
  readonly text?: string
  readonly thinking?: string
  readonly id?: string
  readonly name?: string
  readonly input?: Readonly<Record<string, unknown>>
  readonly tool_use_id?: string
  readonly content?: unknown
  readonly is_error?: boolean
}

export const toBlocks = (content: unknown): readonly Block[] =>
  Array.isArray(content) ? (content as Block[]) : typeof content === 'string' ? [{ type: 'text', text: content }] : []

export const toText = (content: unknown): string =>
  typeof content === 'string'
    ? content
    : toBlocks(content)
        .map((block) => block.text ?? (block.type === 'image' ? '(an image)' : ''))
        .join('\n')

export const parseInput = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : { input: value }
  } catch {
    // Shortened by the service: the whole message brings the rest.
    return { input: text }
  }
}
