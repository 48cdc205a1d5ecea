// What an API process keeps of running executions' newest events, and how much memory that holds.
import t from 'tap'
import { eventsOf, toChunk, type Chunk } from '../../src/events/chunk.js'
import { LiveTail } from '../../src/events/live-tail.js'

const line = (seq: number, type = 'text.delta'): string => `{"seq":${seq},"type":"${type}","data":{"text":"hello"}}`
const linesOf = (...seqs: number[]): string => seqs.map((seq) => line(seq)).join('\n')
function chunkOf(bytes: Buffer): Chunk {
  const chunk = toChunk(bytes)
  if (!chunk) throw new Error('no event')
  return chunk
}
/** As the driver reads it: a few bytes of ours in a piece of its connection. */
function read(text: string): Chunk {
  const piece = Buffer.alloc(65_536)
  return chunkOf(piece.subarray(0, piece.write(text)))
}
const seqsFrom = (tail: LiveTail, cursor: number): number[] => {
  const chunk = tail.after(cursor)
  return chunk ? eventsOf(chunk).map(({ seq }) => seq) : []
}

void t.test('what is kept for a slow reader holds no more memory than it needs', (t) => {
  const tail = new LiveTail(0)
  tail.add([read(linesOf(1, 2))])
  tail.add([read(linesOf(3))])
  tail.keepAfter(0)
  t.same(seqsFrom(tail, 0), [1, 2])
  t.same(seqsFrom(tail, 2), [3])
  for (const cursor of [0, 2]) {
    const { bytes } = tail.after(cursor) ?? {}
    t.ok(bytes && bytes.buffer.byteLength <= 2 * bytes.length, `${bytes?.buffer.byteLength} for ${bytes?.length}`)
  }
  const short = new LiveTail(2)
  t.ok(short.endShort([read(`${line(1)}\n${line(2, 'execution.finished')}`)]))
  short.keepAfter(0)
  t.same(seqsFrom(short, 0), [1, 2])
  t.ok((short.after(0)?.bytes.buffer.byteLength ?? Infinity) < 1_000)
  t.end()
})

void t.test('a batch that fills its memory is not copied', (t) => {
  const page = Buffer.from(linesOf(...Array.from({ length: 1_000 }, (_, index) => index + 1)))
  const tail = new LiveTail(0)
  tail.add([chunkOf(page)])
  tail.keepAfter(0)
  t.equal(tail.after(0)?.bytes.buffer, page.buffer)
  t.end()
})

void t.test('what everybody has taken is forgotten, and beyond the bound the oldest', (t) => {
  const tail = new LiveTail(0)
  for (let seq = 1; seq <= 10; seq += 1) tail.add([read(line(seq))])
  for (let cursor = 0; cursor <= 10; cursor += 1) {
    tail.keepAfter(cursor)
    t.equal(tail.after(cursor - 1), undefined, `taken up to ${cursor}`)
    t.same(seqsFrom(tail, cursor), cursor < 10 ? [cursor + 1] : [])
  }
  for (let seq = 11; seq <= 60; seq += 1) {
    tail.add([chunkOf(Buffer.from(`${line(seq).slice(0, -2)},"more":"${'x'.repeat(50_000)}"}}`))])
    tail.keepAfter(10)
  }
  t.equal(tail.after(10), undefined, 'the log has it')
  t.equal(tail.after(58)?.last, 59)
  let kept = 0
  while (tail.after(58 - kept)) kept += 1
  t.ok(kept > 15 && kept < 25, `a MiB is kept: ${kept} events`)
  t.end()
})

void t.test('a gap is not taken, and what is known already only as far as it goes on', (t) => {
  const tail = new LiveTail(4)
  t.notOk(tail.add([read(linesOf(6, 7))]))
  t.equal(tail.lastSeq, 4)
  t.ok(tail.add([read(linesOf(3, 4, 5, 6))]))
  t.same(seqsFrom(tail, 4), [5, 6])
  t.ok(tail.add([read(linesOf(5, 6))]))
  t.equal(tail.lastSeq, 6)
  t.end()
})
