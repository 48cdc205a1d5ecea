import { isAscii, isUtf8 } from 'node:buffer'
import { NO_SECRETS, type SecretMask } from '../../platform/secret-mask.js'
import { isTextDelta } from './delta-mask.js'
import { toRecord } from '../json-shape.js'

export type Decoded =
  | {
      readonly kind: 'message'
      readonly type: string
      readonly message: Record<string, unknown>
      readonly raw: string
      /** The same, where it is ASCII. */
      readonly bytes: Buffer | undefined
    }
  /** Not stream-json: no JSON, no object, no type, or not even UTF-8 (then decoded with replacement characters). */
  | { readonly kind: 'text'; readonly text: string }

/**
 * With its secrets masked, those of text deltas excepted. Never throws: the CLI, its hooks and whatever it starts may
 * write anything.
 */
export function decodeClaudeLine(bytes: Buffer, mask: SecretMask = NO_SECRETS): Decoded {
  const plain = isAscii(bytes)
  const raw = bytes.toString(plain ? 'latin1' : 'utf8')
  // A byte order or replacement trick must not let damaged bytes pass as a message whose bytes are promised to be the
  // CLI's.
  if (!plain && !isUtf8(bytes)) return { kind: 'text', text: mask.text(raw) }
  let parsed: unknown
  try {
    parsed = JSON.parse(raw)
  } catch {
    return { kind: 'text', text: mask.text(raw) }
  }
  const message = toRecord(parsed)
  // Deltas are looked at together: what one of them holds may be the beginning of a longer secret.
  if (!isTextDelta(message) && mask.holds(raw)) return decodeClaudeLine(Buffer.from(mask.line(raw)))
  const type = message?.['type']
  return message !== undefined && typeof type === 'string'
    ? { kind: 'message', type, message, raw, bytes: plain ? bytes : undefined }
    : { kind: 'text', text: raw }
}
