import { eventsOf, type Chunk } from '../src/events/chunk.js'
import { splitBatch } from '../src/events/stored-event.js'
import type { EventPage } from '../src/executions/read/read-events.js'
import { shortenEvent } from '../src/rpc/shorten-event.js'

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
const BLANK = 0x20
const COMMA = 0x2c
const ZERO = 0x30
const NINE = 0x39

/** Which events are sent, and how long they may be. */
export interface Selection {
  readonly types?: ReadonlySet<string> | undefined
  readonly maxEventBytes: number
}

/** The answer of a page: its events with their bytes as they are stored; only what is around them is new. */
export function toPageText({ lines, nextAfter, hasMore, finished }: EventPage, maxEventBytes: number): Buffer {
  const before = Buffer.from('{"events":[')
  const after = Buffer.from(`],"nextAfter":${nextAfter},"hasMore":${hasMore},"finished":${finished}}\n`)
  const parts = lines.flatMap((text) =>
    text.length <= maxEventBytes ? [text] : splitBatch(text).map(({ bytes }) => shorten(bytes, maxEventBytes)),
  )
  const text = Buffer.concat([
    before,
    ...parts.flatMap((part, index) => (index > 0 ? [COMMA_TEXT, part] : part)),
    after,
  ])
  const end = text.length - after.length
  for (let at = text.indexOf(NEWLINE); at !== -1 && at < end; at = text.indexOf(NEWLINE, at)) text[at] = COMMA
  return text
}

const COMMA_TEXT = Buffer.from(',')

const shorten = (bytes: Buffer, maxEventBytes: number): Buffer =>
  bytes.length <= maxEventBytes ? bytes : shortenEvent(bytes, maxEventBytes)

/** A chunk as unnamed Server-Sent Events, whose `id:` is the seq; empty where none is wanted. */
export function toEventStream(chunk: Chunk, { types, maxEventBytes }: Selection): Buffer {
  if (types === undefined && chunk.bytes.length <= maxEventBytes) return toFrames(chunk)
  const wanted = eventsOf(chunk).filter(({ type }) => types?.has(type) ?? true)
  return Buffer.concat(
    wanted.map(({ seq, bytes }) =>
      toFrames({ first: seq, last: seq, isTerminal: false, bytes: shorten(bytes, maxEventBytes) }),
    ),
  )
}

function toFrames({ first, last, bytes }: Chunk): Buffer {
  // Room for the longest head, which is the last one's.
  const frames = Buffer.allocUnsafe(bytes.length + (last - first + 1) * (headOf(last).length + '\n\n'.length))
  let at = 0
  let head = headOf(first)
  for (let seq = first, start = 0; seq <= last; seq += 1) {
    const newline = seq === last ? -1 : bytes.indexOf(NEWLINE, start)
    const end = newline === -1 ? bytes.length : newline
    for (const byte of head) frames[at++] = byte
    at += bytes.copy(frames, at, start, end)
    frames[at++] = NEWLINE
    frames[at++] = NEWLINE
    start = end + 1
    head = countUp(head, seq)
  }
  const written = frames.subarray(0, at)
  // The CLI's own bytes may hold it between two tokens, where to JSON it is a blank; here it would end the line.
  for (let cr = written.indexOf(CARRIAGE_RETURN); cr !== -1; cr = written.indexOf(CARRIAGE_RETURN, cr))
    written[cr] = BLANK
  return written
}

const BEHIND_SEQ = '\ndata: '
const headOf = (seq: number): Buffer => Buffer.from(`id: ${seq}${BEHIND_SEQ}`)

/** The head of the next event: a text for each, made and encoded, was a tenth of a stream's CPU. */
function countUp(head: Buffer, seq: number): Buffer {
  let at = head.length - BEHIND_SEQ.length - 1
  for (; head[at] === NINE; at -= 1) head[at] = ZERO
  const digit = head[at] ?? 0
  if (digit < ZERO) return headOf(seq + 1)
  head[at] = digit + 1
  return head
}
