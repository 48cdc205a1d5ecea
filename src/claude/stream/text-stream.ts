import type { NewEvent } from '../../protocol/events.js'
import { toText } from '../json-shape.js'
import { PARTIAL_TEXT_LIMIT } from './observation.js'

interface Message {
  readonly id: string | undefined
  readonly index: number
  /** What its deltas (since the last reset) add up to. */
  streamed: string
  /** What the `assistant` lines, which are the authority, have confirmed of it. */
  settled: string
  /** Announced by message_start and not ended by message_stop. */
  open: boolean
  /** Too long to be compared, or a line of it was dropped: its deltas stand as they came. */
  unverifiable: boolean
}

export interface TextStream {
  start(id: string | undefined): NewEvent[]
  append(text: string): NewEvent[]
  /** A finished text block of the message `id`. */
  settle(id: string | undefined, text: string): NewEvent[]
  stop(): NewEvent[]
  /** The turn is over: whatever is still open stays as it is. */
  endTurn(): void
  /** A line was dropped unread, maybe a part of this message. */
  doubt(): void
  /** Of the current message, since its last reset. */
  readonly text: string
}

/**
 * The assistant's text as `text.delta` and `text.reset` events, so that for each message the deltas since its last
 * reset add up to its text.
 *
 * States of the current message: none → open (message_start) → stopped (message_stop, or an `assistant` line for
 * messages that were not streamed). The CLI retries a cut stream without a word (transcript 10): no message_stop
 * comes, but a message of another id. It takes the place of the open one: the same index, a reset if there was text.
 * Deltas are provisional, so each text block is compared when its `assistant` line arrives; what is missing is
 * appended, and what differs starts anew.
 */
export function createTextStream(firstMessage = 0): TextStream {
  let current: Message | undefined

  function begin(id: string | undefined, open: boolean): NewEvent[] {
    const replaced = current?.open === true ? current : undefined
    const isVoid = replaced !== undefined && (replaced.streamed !== '' || replaced.unverifiable)
    current = {
      id,
      index: replaced?.index ?? (current === undefined ? firstMessage : current.index + 1),
      streamed: '',
      settled: '',
      open,
      unverifiable: false,
    }
    return isVoid ? [{ type: 'text.reset', data: { message: current.index } }] : []
  }

  function append(message: Message, text: string): NewEvent[] {
    if (text === '') return []
    if (message.streamed.length + text.length > PARTIAL_TEXT_LIMIT) message.unverifiable = true
    else message.streamed += text
    return [{ type: 'text.delta', data: { message: message.index, text } }]
  }

  function correct(message: Message, expected: string): NewEvent[] {
    if (message.unverifiable || message.streamed.startsWith(expected)) return []
    if (expected.startsWith(message.streamed)) return append(message, expected.slice(message.streamed.length))
    message.streamed = ''
    return [{ type: 'text.reset', data: { message: message.index } }, ...append(message, expected)]
  }

  return {
    start(id) {
      return begin(id, true)
    },
    append(text) {
      const events = current === undefined ? begin(undefined, true) : []
      return current === undefined ? events : [...events, ...append(current, text)]
    },
    settle(id, text) {
      const events = current === undefined || current.id !== id ? begin(id, false) : []
      if (current === undefined) return events
      if (current.settled.length + text.length > PARTIAL_TEXT_LIMIT) current.unverifiable = true
      else current.settled += text
      return [...events, ...correct(current, current.settled)]
    },
    stop() {
      if (current === undefined || !current.open) return []
      current.open = false
      if (current.unverifiable || current.streamed === current.settled) return []
      const { settled } = current
      current.streamed = ''
      return [{ type: 'text.reset', data: { message: current.index } }, ...append(current, settled)]
    },
    endTurn() {
      if (current !== undefined) current.open = false
    },
    doubt() {
      if (current !== undefined) current.unverifiable = true
    },
    get text() {
      return current?.streamed ?? ''
    },
  }
}

/** Joins neighbouring deltas of the same message: fewer and larger events, the same text. */
export function coalesceDeltas(events: readonly NewEvent[]): NewEvent[] {
  const joined: NewEvent[] = []
  for (const event of events) {
    const last = joined.at(-1)
    if (event.type === 'text.delta' && last?.type === 'text.delta' && last.data.message === event.data.message) {
      joined[joined.length - 1] = {
        type: 'text.delta',
        data: { message: last.data.message, text: last.data.text + event.data.text },
      }
    } else {
      joined.push(event)
    }
  }
  return joined
}

/** The text of a message's content, block by block. */
export function textsOf(content: readonly Record<string, unknown>[]): string[] {
  return content.flatMap((block) => (block['type'] === 'text' ? (toText(block['text']) ?? []) : []))
}
