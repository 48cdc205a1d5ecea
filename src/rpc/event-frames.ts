import { eventsOf, type Chunk } from '../events/chunk.js'
import { eventNotificationParts } from '../protocol/rpc.js'
import { shortenEvent } from './shorten-event.js'

/** A final frame of text; the server's are not masked (RFC 6455, 5.2). */
const FINAL_TEXT = 0x81
const LENGTH_OF_16_BITS = 126
const LENGTH_OF_64_BITS = 127
const LONGEST_OF_16_BITS = 0xffff
const NEWLINE = 0x0a

/** Which events a subscription is sent, and how long they may be. */
export interface Selection {
  readonly types?: ReadonlySet<string> | undefined
  readonly maxEventBytes: number
}

/**
 * The notifications of a chunk as WebSocket frames, one for each event, in one piece of memory: a message of its own
 * for each event and subscriber cost seven times as much with a thousand of them.
 */
export function toEventFrames(chunk: Chunk, subscriptionId: string, executionId: string, selection: Selection): Buffer {
  const parts = eventNotificationParts(subscriptionId, executionId)
  const before = Buffer.from(parts.before)
  const after = Buffer.from(parts.after)
  const { lines, ends } = select(chunk, selection)
  let size = 0
  for (let index = 0, start = 0; index < ends.length; index += 1) {
    const end = ends[index] ?? 0
    size += sizeOf(before.length + end - start + after.length)
    start = end + 1
  }
  const frames = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (let index = 0, start = 0; index < ends.length; index += 1) {
    const end = ends[index] ?? 0
    at = writeHeader(frames, at, before.length + end - start + after.length)
    at += before.copy(frames, at)
    at += lines.copy(frames, at, start, end)
    at += after.copy(frames, at)
    start = end + 1
  }
  return frames
}

const sizeOf = (length: number): number => length + headerOf(length)

const headerOf = (length: number): number => (length < LENGTH_OF_16_BITS ? 2 : length > LONGEST_OF_16_BITS ? 10 : 4)

function writeHeader(frames: Buffer, at: number, length: number): number {
  frames[at] = FINAL_TEXT
  if (length < LENGTH_OF_16_BITS) frames[at + 1] = length
  else if (length > LONGEST_OF_16_BITS) {
    frames[at + 1] = LENGTH_OF_64_BITS
    frames.writeBigUInt64BE(BigInt(length), at + 2)
  } else {
    frames[at + 1] = LENGTH_OF_16_BITS
    frames.writeUInt16BE(length, at + 2)
  }
  return at + headerOf(length)
}

/** The events that are wanted, one a line, and where each line ends. */
function select(chunk: Chunk, { types, maxEventBytes }: Selection): { lines: Buffer; ends: number[] } {
  if (types === undefined && chunk.bytes.length <= maxEventBytes)
    return { lines: chunk.bytes, ends: endsOf(chunk.bytes) }
  const wanted = eventsOf(chunk)
    .filter(({ type }) => types?.has(type) ?? true)
    .map(({ bytes }) => (bytes.length <= maxEventBytes ? bytes : shortenEvent(bytes, maxEventBytes)))
  const lines = Buffer.from(wanted.join('\n'))
  return { lines, ends: wanted.length === 0 ? [] : endsOf(lines) }
}

function endsOf(lines: Buffer): number[] {
  const ends: number[] = []
  for (let end = lines.indexOf(NEWLINE); end !== -1; end = lines.indexOf(NEWLINE, end + 1)) ends.push(end)
  ends.push(lines.length)
  return ends
}
