import type { NewEvent } from '../../protocol/events.js'
import { decodeClaudeLine } from './decode-claude-line.js'

/** `own` gives the message as it was before its secrets were masked: for answers to the CLI, never to be told. */
export type OnControl = (message: Record<string, unknown>, own: () => Record<string, unknown>) => NewEvent[]

/** What the CLI says of the way that it talks with us. With the ids of lines a newer one tells their life, too. */
const CONTROL_TYPES = new Set([
  'control_request',
  'control_response',
  'control_cancel_request',
  'keep_alive',
  'command_lifecycle',
])

export const isControl = (type: string): boolean => CONTROL_TYPES.has(type)

/** A user's line of ours, which the CLI repeats. */
export const isReplay = (message: Readonly<Record<string, unknown>> | undefined): boolean =>
  message?.['type'] === 'user' && message['isReplay'] === true

/** `message` as it may be told, of the line `bytes`. */
export function passControl(
  message: Record<string, unknown>,
  bytes: Buffer,
  onControl: OnControl | undefined,
): NewEvent[] {
  const own = (): Record<string, unknown> => {
    const plain = decodeClaudeLine(bytes)
    return plain.kind === 'message' ? plain.message : message
  }
  return onControl?.(message, own) ?? []
}
