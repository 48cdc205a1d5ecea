import type { NewEvent } from '../protocol/events.js'
import { escapeLineBreaks, hasLineBreak } from '../protocol/json-line.js'
import type { Line } from './event-batch.js'

/**
 * An event as it lies in the log and goes out to clients: its bytes, serialised once by the writer.
 * Readers learn its seq and type from the fixed beginning `{"seq":N,"type":"T",` without parsing the rest.
 */
export interface StoredEvent {
  readonly seq: number
  readonly type: string
  /** One JSON object in UTF-8, without a line break. */
  readonly bytes: Buffer
}

const NEWLINE = 0x0a
const QUOTE = 0x22
const SEQ_START = '{"seq":'.length
const TYPE_START = ',"type":"'.length

/** A blank before a message says that line breaks in it were escaped here, and not by the CLI. */
const toMessage = (raw: string): string => (hasLineBreak(raw) ? ` ${escapeLineBreaks(raw)}` : raw)

const MESSAGE_START_TEXT = '"data":{"message":'
const MESSAGE_START = Buffer.from(MESSAGE_START_TEXT)
const MESSAGE_END = '}}'
const BLANK = 0x20

/** Of a `claude.message`: the line as the CLI wrote it. */
export function cutMessage({ bytes }: StoredEvent): Buffer {
  // What stands before the message in an event holds no such mark.
  const message = bytes.subarray(bytes.indexOf(MESSAGE_START) + MESSAGE_START.length, bytes.length - MESSAGE_END.length)
  if (message[0] !== BLANK) return message
  const raw = message
    .toString('utf8', 1)
    .replaceAll(/(?<!\\)((?:\\\\)*)\\u(0085|2028|2029)/g, (_, before: string, code: string) =>
      before.concat(String.fromCharCode(Number.parseInt(code, 16))),
    )
  return Buffer.from(raw)
}

const serializeData = (event: NewEvent): string =>
  'rawMessage' in event ? `{"message":${toMessage(event.rawMessage)}}` : escapeLineBreaks(JSON.stringify(event.data))

/** Everything of an event after its seq: what scripts complete by themselves. */
export function serializeWithoutSeq(event: NewEvent, at: Date, attempt: number): string {
  return `"type":"${event.type}","at":"${at.toISOString()}","attempt":${attempt},"data":${serializeData(event)}}`
}

let writtenMs = Number.NaN
let writtenAt = ''

/** Many events are written in the same millisecond, and its text costs as much as the rest of their heads. */
function toTimestamp(milliseconds: number): string {
  if (milliseconds !== writtenMs) {
    writtenMs = milliseconds
    writtenAt = new Date(milliseconds).toISOString()
  }
  return writtenAt
}

/** An event as its writer adds it to a batch: a message of the CLI whose bytes are known keeps them. */
export function toLine(seq: number, event: NewEvent, atMs: number, attempt: number): Line {
  const head = `{"seq":${seq},"type":"${event.type}","at":"${toTimestamp(atMs)}","attempt":${attempt},`
  return 'rawMessage' in event && event.bytes !== undefined
    ? { text: head + MESSAGE_START_TEXT, message: event.bytes, end: MESSAGE_END }
    : { text: `${head}"data":${serializeData(event)}}`, end: '', marks: event.type.startsWith('message.') }
}

/** Nothing follows it in a log. */
export const TERMINAL_TYPE = 'execution.finished'
export const isTerminalEvent = (event: StoredEvent): boolean => event.type === TERMINAL_TYPE

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39

/** The seq of the event that begins there. */
export function readSeq(lines: Buffer, start: number): number {
  let seq = 0
  for (let at = start + SEQ_START; isDigit(lines[at]); at += 1) seq = seq * 10 + (lines[at] ?? 0) - 0x30
  return seq
}

/** The type of the event that begins there. */
export function readType(lines: Buffer, start: number): string {
  let at = start + SEQ_START
  while (isDigit(lines[at])) at += 1
  const typeStart = at + TYPE_START
  return lines.toString('latin1', typeStart, lines.indexOf(QUOTE, typeStart))
}

const toStoredEvent = (bytes: Buffer): StoredEvent => ({ seq: readSeq(bytes, 0), type: readType(bytes, 0), bytes })

/** Cuts a stored batch, one event a line, without copying. */
export function splitBatch(batch: Buffer): StoredEvent[] {
  const events: StoredEvent[] = []
  for (let start = 0; start < batch.length;) {
    const newline = batch.indexOf(NEWLINE, start)
    const end = newline === -1 ? batch.length : newline
    events.push(toStoredEvent(batch.subarray(start, end)))
    start = end + 1
  }
  return events
}
