// Notifications of a chunk as WebSocket frames, against a reader of frames of its own.
import t from 'tap'
import { toChunk } from '../../src/events/chunk.js'
import { ChunkForms } from '../../src/events/chunk-forms.js'
import { eventNotificationParts } from '../../src/protocol/rpc.js'
import { toEventFrames } from '../../src/rpc/event-frames.js'

const EXECUTION = '019ad3f0-0000-7000-8000-000000000000'
const everything = { maxEventBytes: Infinity }

function chunkOf(lines: readonly string[]) {
  const chunk = toChunk(Buffer.from(lines.join('\n')))
  if (!chunk) throw new Error('no event')
  return chunk
}
const event = (seq: number, size: number, type = 'output') =>
  `{"seq":${seq},"type":"${type}","at":"","attempt":1,"data":{"pad":"${'x'.repeat(size)}"}}`

/** RFC 6455, 5.2: final text frames that are not masked, each length in its shortest form. */
function readFrames(bytes: Buffer): string[] {
  const texts: string[] = []
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== 0x81) throw new Error(`no text frame at ${at}`)
    let [length, header] = [bytes[at + 1] ?? 0, 2]
    if (length === 126) [length, header] = [bytes.readUInt16BE(at + 2), 4]
    else if (length === 127) [length, header] = [Number(bytes.readBigUInt64BE(at + 2)), 10]
    if ((header === 4 && length < 126) || (header === 10 && length < 65_536)) throw new Error('not the shortest form')
    texts.push(bytes.toString('utf8', at + header, at + header + length))
    at += header + length
  }
  return texts
}

void t.test('each event is a frame of its own, whatever its length', (t) => {
  const { before, after } = eventNotificationParts('sub-1', EXECUTION)
  const around = before.length + after.length
  const exact = (total: number, seq: number) => event(seq, total - around - event(seq, 0).length)
  const lines = [event(1, 0), exact(65_534, 2), exact(65_535, 3), exact(65_536, 4), event(5, 200_000), event(6, 1)]
  const texts = readFrames(toEventFrames(chunkOf(lines), 'sub-1', EXECUTION, everything))
  t.same(
    texts,
    lines.map((line) => before + line + after),
  )
  t.match(JSON.parse(texts[0] ?? ''), { jsonrpc: '2.0', method: 'execution.event', params: { event: { seq: 1 } } })
  t.end()
})

void t.test('a short one has a header of two bytes', (t) => {
  const short = readFrames(toEventFrames(chunkOf(['{"seq":1,"type":"x"}']), '', '', everything))
  t.equal(short.length, 1)
  t.ok((short[0]?.length ?? 999) < 126)
  t.end()
})

void t.test('of a selection only those wanted, and shortened; of none nothing', (t) => {
  const chunk = chunkOf([event(1, 10), event(2, 5_000, 'text.delta'), event(3, 5_000)])
  const of = (types: string[], maxEventBytes = Infinity) =>
    readFrames(toEventFrames(chunk, 'sub-1', EXECUTION, { types: new Set(types), maxEventBytes })).map(
      (text) => (JSON.parse(text) as { params: { event: { seq: number; truncatedBytes?: number } } }).params.event,
    )
  t.match(of(['output']), [{ seq: 1 }, { seq: 3 }])
  t.same(of(['claude.message']), [])
  const [, third] = of(['output'], 1_000)
  t.match(third, { seq: 3, truncatedBytes: Number })
  t.end()
})

void t.test('a form is made once, and forgotten when there are too many', (t) => {
  const forms = new ChunkForms()
  const chunk = chunkOf([event(1, 10)])
  let made = 0
  const make = () => {
    made += 1
    return Buffer.alloc(1024 * 1024)
  }
  for (let round = 0; round < 3; round += 1) forms.get(chunk, 'sub-1', make)
  t.equal(made, 1)
  for (let other = 2; other <= 10; other += 1) forms.get(chunk, `sub-${other}`, make)
  forms.get(chunk, 'sub-10', make)
  t.equal(made, 10)
  forms.get(chunk, 'sub-1', make)
  t.equal(made, 11, 'the oldest was forgotten')
  t.end()
})
