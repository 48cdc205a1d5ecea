// What an API process keeps of running executions' newest events, and how much memory that holds.
import t from 'tap'
import { LiveTail } from '../../src/events/live-tail.js'
import { splitBatch } from '../../src/events/stored-event.js'

const line = (seq: number): string => `{"seq":${seq},"type":"text.delta","data":{"text":"hello"}}`
/** As the driver reads it: a few bytes of ours in a piece of its connection. */
function read(...seqs: number[]): Buffer {
  const piece = Buffer.alloc(65_536)
  return piece.subarray(0, piece.write(seqs.map(line).join('\n')))
}

void t.test('a few events hold no more memory than they need, however they came', (t) => {
  const published = new LiveTail(0)
  published.push(read(1, 2))
  const seeded = new LiveTail(0)
  seeded.add(splitBatch(read(1, 2)))
  const short = new LiveTail(2)
  short.endShort(splitBatch(Buffer.from(read(1, 2).toString().replaceAll('text.delta', 'execution.finished'))))
  for (const [name, tail] of Object.entries({ published, seeded, short })) {
    const events = tail.after(0) ?? []
    t.same(
      events.map(({ seq }) => seq),
      [1, 2].slice(-events.length),
      name,
    )
    const needed = events.reduce((sum, { bytes }) => sum + bytes.length, 0)
    for (const { bytes, seq } of events)
      t.ok(bytes.buffer.byteLength <= 2 * needed, `${name} ${seq}: ${bytes.buffer.byteLength} bytes for ${needed}`)
  }
  t.end()
})

void t.test('a page that fills its memory is not copied', (t) => {
  const page = Buffer.from(Array.from({ length: 1_000 }, (_, index) => line(index + 1)).join('\n'))
  const tail = new LiveTail(0)
  tail.add(splitBatch(page))
  t.equal(tail.after(0)?.[0]?.bytes.buffer, page.buffer)
  t.same(
    (tail.after(998) ?? []).map(({ bytes }) => bytes.toString()),
    [line(999), line(1_000)],
  )
  t.end()
})
