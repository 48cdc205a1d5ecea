import type { SecretMask } from '../../platform/secret-mask.js'
import { toRecord, toText } from '../json-shape.js'

type Message = Record<string, unknown>

/** Where the text of a delta stands, by its kind. */
const TEXT_FIELDS: Readonly<Record<string, string>> = {
  text_delta: 'text',
  thinking_delta: 'thinking',
  input_json_delta: 'partial_json',
}
const ENDS = new Set(['stream_event', 'assistant', 'user', 'result'])

const SENT_CHARACTERS = 8

interface Held {
  /** Its last delta, and what of it has not been passed on. */
  readonly message: Message
  readonly text: string
}

interface Block {
  readonly parent: unknown
  readonly index: unknown
  readonly field: string
  readonly key: string
}

export interface DeltaMask {
  /** What may be passed on now: the same message where nothing had to be changed. */
  pass(type: string, message: Message): Message[]
  /** What was held back and will not be continued. */
  end(): Message[]
}

const textFieldOf = (event: Message | undefined): string | undefined =>
  TEXT_FIELDS[toText(toRecord(event?.['delta'])?.['type']) ?? '']

/** Its text may be continued by the next one. */
export const isTextDelta = (message: Message | undefined): boolean =>
  message?.['type'] === 'stream_event' && textFieldOf(toRecord(message['event'])) !== undefined

function withText(message: Message, field: string, text: string): Message {
  const event = toRecord(message['event']) ?? {}
  return { ...message, event: { ...event, delta: { ...toRecord(event['delta']), [field]: text } } }
}

/**
 * A secret may be cut anywhere by the deltas of a stream: the end of a delta that may be a secret's beginning is held
 * back until the next delta of its block shows what it is, or its block is over.
 */
export function createDeltaMask(mask: SecretMask): DeltaMask {
  const held = new Map<string, Held>()
  /** The end of what was passed on of each block that goes on. */
  const sent = new Map<string, string>()

  /** The block of the last delta: nearly every delta goes on where the last one ended. */
  let last: Block | undefined

  function toKey(parent: unknown, index: unknown, field: string): string {
    if (last?.parent !== parent || last?.index !== index || last?.field !== field)
      last = { parent, index, field, key: `${toText(parent) ?? ''}\n${String(index)}\n${field}` }
    return last.key
  }

  function release(of: string): Message[] {
    const released: Message[] = []
    for (const [key, { message, text }] of held) {
      if (!key.startsWith(of)) continue
      held.delete(key)
      released.push(withText(message, textFieldOf(toRecord(message['event'])) ?? 'text', mask.text(text)))
    }
    return released
  }

  return {
    pass(type, message) {
      const event = toRecord(message['event'])
      const delta = toRecord(event?.['delta'])
      const field = textFieldOf(event)
      const text = field === undefined ? undefined : toText(delta?.[field])
      if (type !== 'stream_event' || field === undefined || text === undefined) {
        if (!ENDS.has(type)) return [message]
        sent.clear()
        if (held.size === 0) return [message]
        return [...release(`${toText(message['parent_tool_use_id']) ?? ''}\n`), message]
      }
      const key = toKey(message['parent_tool_use_id'], event?.['index'], field)
      const whole = held.size === 0 ? text : (held.get(key)?.text ?? '') + text
      const pending = mask.pendingLength(whole, sent.get(key))
      if (pending > 0) held.set(key, { message, text: whole.slice(whole.length - pending) })
      else if (held.size > 0) held.delete(key)
      const passing = pending === 0 ? whole : whole.slice(0, whole.length - pending)
      if (passing !== '') sent.set(key, passing.slice(-SENT_CHARACTERS))
      const passed = mask.text(passing)
      return passed === text ? [message] : [withText(message, field, passed)]
    },
    end: () => release(''),
  }
}
