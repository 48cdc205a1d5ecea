import { isUtf8 } from 'node:buffer'
import { toRecord } from '../json-shape.js'

export type Decoded =
  | { readonly kind: 'message'; readonly type: string; readonly message: Record<string, unknown>; readonly raw: string }
  /** Not stream-json: no JSON, no object, no type, or not even UTF-8 (then decoded with replacement characters). */
  | { readonly kind: 'text'; readonly text: string }

/** Never throws: the CLI, its hooks and whatever it starts may write anything. */
export function decodeClaudeLine(bytes: Buffer): Decoded {
  const raw = bytes.toString('utf8')
  // A byte order or replacement trick must not let damaged bytes pass as a message whose bytes are promised to be the
  // CLI's.
  if (!isUtf8(bytes)) return { kind: 'text', text: raw }
  let parsed: unknown
  try {
    parsed = JSON.parse(raw)
  } catch {
    return { kind: 'text', text: raw }
  }
  const message = toRecord(parsed)
  const type = message?.['type']
  return message !== undefined && typeof type === 'string'
    ? { kind: 'message', type, message, raw }
    : { kind: 'text', text: raw }
}
