import { readSeq, readType, splitBatch, TERMINAL_TYPE, type StoredEvent } from './stored-event.js'

const NEWLINE = 0x0a

/**
 * Consecutive events of one log as they lie there, one a line, without a line break at the end. What is published at
 * once stays together on its way to the sockets: an object for each event cost more than all that is done with it.
 */
export interface Chunk {
  readonly first: number
  readonly last: number
  readonly isTerminal: boolean
  /** May be replaced by a copy that pins less memory. */
  bytes: Buffer
}

export interface ChunkPage {
  readonly chunks: readonly Chunk[]
  /** Where the log ended when it was read; -1: there is no such log. */
  readonly lastSeq: number
}

/** undefined: there is no event in it. */
export function toChunk(bytes: Buffer): Chunk | undefined {
  const end = bytes.at(-1) === NEWLINE ? bytes.length - 1 : bytes.length
  if (end <= 0) return undefined
  const lines = end === bytes.length ? bytes : bytes.subarray(0, end)
  const lastLine = lines.lastIndexOf(NEWLINE) + 1
  const last = readSeq(lines, lastLine)
  return {
    first: lastLine === 0 ? last : readSeq(lines, 0),
    last,
    isTerminal: readType(lines, lastLine) === TERMINAL_TYPE,
    bytes: lines,
  }
}

export const eventsOf = ({ bytes }: Chunk): StoredEvent[] => splitBatch(bytes)

/** Each event by itself. */
export const toSingles = (chunk: Chunk): Chunk[] =>
  eventsOf(chunk).map(({ seq, type, bytes }) => ({ first: seq, last: seq, isTerminal: type === TERMINAL_TYPE, bytes }))

/** Where the line of a seq begins; there are as many lines as seqs. */
function startOf({ first, bytes }: Chunk, seq: number): number {
  let start = 0
  for (let line = first; line < seq; line += 1) start = bytes.indexOf(NEWLINE, start) + 1
  return start
}

/** Its part after a cursor that stands in it or before it. */
export function cutAfter(chunk: Chunk, cursor: number): Chunk {
  if (cursor < chunk.first) return chunk
  return { ...chunk, first: cursor + 1, bytes: chunk.bytes.subarray(startOf(chunk, cursor + 1)) }
}

/** Its part up to a seq that stands in it or behind it. */
export function cutTo(chunk: Chunk, seq: number): Chunk {
  if (seq >= chunk.last) return chunk
  return { ...chunk, last: seq, isTerminal: false, bytes: chunk.bytes.subarray(0, startOf(chunk, seq + 1) - 1) }
}

/**
 * The same chunks for keeping. A view pins the whole memory that it was cut from: the driver reads up to 64 KiB of
 * everybody's at once. Where that is more than twice what the chunks need, they get memory of their own, all together.
 */
export function keepChunks(chunks: readonly Chunk[]): void {
  let needed = 0
  const memories = new Set<ArrayBufferLike>()
  for (const { bytes } of chunks) {
    needed += bytes.length
    memories.add(bytes.buffer)
  }
  let held = 0
  for (const { byteLength } of memories) held += byteLength
  if (held <= 2 * needed) return
  const own = Buffer.allocUnsafeSlow(needed)
  let start = 0
  for (const chunk of chunks) {
    const end = start + chunk.bytes.copy(own, start)
    chunk.bytes = own.subarray(start, end)
    start = end
  }
}

/** Small neighbours as one, up to so many bytes: each chunk is a step of its own on the way to a socket. */
export function joinChunks(chunks: readonly Chunk[], maxBytes: number): Chunk[] {
  const joined: Chunk[] = []
  for (let at = 0; at < chunks.length;) {
    const begin = at
    let size = 0
    for (let next = chunks[at]; next && (at === begin || size + next.bytes.length < maxBytes); next = chunks[at]) {
      size += next.bytes.length + 1
      at += 1
    }
    joined.push(joinAll(chunks.slice(begin, at), size - 1))
  }
  return joined
}

function joinAll(chunks: readonly Chunk[], size: number): Chunk {
  const [first, last] = [chunks[0], chunks.at(-1)]
  if (!first || !last) throw new RangeError('no chunks')
  if (first === last) return first
  const bytes = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const chunk of chunks) {
    if (at > 0) bytes[at++] = NEWLINE
    at += chunk.bytes.copy(bytes, at)
  }
  return { ...last, first: first.first, bytes }
}
