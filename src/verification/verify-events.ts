import { ReceiptEvents } from '../protocol/receipt.js'
import { sha256 } from '../platform/hash.js'
import { toAnswerText } from './canonical-json.js'
import { EventChain, type ChainSummary } from './event-chain.js'
import { isObject, type RawReceipt } from './receipt.js'
import type { Finding } from './finding.js'
import type { Mismatch } from './finding.js'

const NEWLINE = 0x0a

/** The lines of an export without their line breaks. */
function splitLines(events: string | Buffer): Buffer[] {
  const bytes = Buffer.from(events)
  const lines: Buffer[] = []
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, start)
    lines.push(bytes.subarray(start, end === -1 ? bytes.length : end))
    if (end === -1) break
    start = end + 1
  }
  return lines
}

function parseEvent(line: Buffer | undefined): Record<string, unknown> | undefined {
  try {
    const event: unknown = JSON.parse(line?.toString() ?? '')
    return isObject(event) ? event : undefined
  } catch {
    return undefined
  }
}

/** The stretch of the log in which the first changed event lies. */
function locateChange(claimed: ChainSummary, found: readonly string[], count: number): { from: number; to: number } {
  const index = claimed.marks.findIndex((mark, position) => mark !== found[position])
  if (index === -1) return { from: claimed.marks.length * claimed.markEvery + 1, to: count }
  return { from: index * claimed.markEvery + 1, to: (index + 1) * claimed.markEvery }
}

/** The chain with marks as far apart as the receipt's. */
function chainOf(lines: readonly Buffer[], markEvery: number): { head: string; marks: string[] } {
  const chain = new EventChain()
  const marks: string[] = []
  let head = ''
  for (const [index, line] of lines.entries()) {
    chain.add(line)
    if ((index + 1) % markEvery === 0 || index + 1 === lines.length) head = chain.head
    if ((index + 1) % markEvery === 0) marks.push(head.slice(0, 8))
  }
  return { head, marks }
}

function nameChange(lines: readonly Buffer[], { from, to }: { from: number; to: number }): Mismatch {
  // Within the stretch, what does not even say its own seq is the one.
  for (let seq = from; seq <= to; seq += 1) {
    const event = parseEvent(lines[seq - 1])
    if (event?.['seq'] !== seq)
      return { name: `events.${seq}`, detail: event === undefined ? 'is not a JSON object' : 'does not have its seq' }
  }
  return from === to
    ? { name: `events.${from}`, detail: 'is not the event that was recorded' }
    : { name: `events.${from}-${to}`, detail: 'one of them is not the event that was recorded' }
}

/** The chain over the events' bytes leads to the head that was signed. */
export function checkEvents(raw: RawReceipt, events: string | Buffer | undefined): Finding {
  const name = 'events'
  if (events === undefined) return { name, mismatches: [], skipped: true, detail: 'No events were given.' }
  const claimed = ReceiptEvents.safeParse(raw['events'])
  if (!claimed.success)
    return {
      name,
      mismatches: [{ name: 'events', detail: 'the receipt has nothing to compare them with' }],
      detail: '',
    }
  const lines = splitLines(events)
  const { head, marks } = chainOf(lines, claimed.data.markEvery)
  if (head === claimed.data.head && lines.length === claimed.data.count)
    return { name, mismatches: [], detail: `All ${lines.length} events match the recorded ones.` }
  const mismatches: Mismatch[] = []
  if (lines.length !== claimed.data.count)
    mismatches.push({
      name: 'events.count',
      detail: `is ${claimed.data.count} in the receipt; ${lines.length} were given`,
    })
  const { from, to } = locateChange(claimed.data, marks, claimed.data.count)
  if (from <= lines.length && from <= to) mismatches.push(nameChange(lines, { from, to: Math.min(to, lines.length) }))
  if (mismatches.length === 0)
    mismatches.push({ name: 'events.head', detail: 'does not match the chain of the events' })
  return { name, mismatches, detail: '' }
}

/** The answer in the last event is the one whose hash was signed. */
export function checkResult(raw: RawReceipt, events: string | Buffer | undefined): Finding {
  const name = 'result'
  if (events === undefined) return { name, mismatches: [], skipped: true, detail: 'No events were given.' }
  const last = parseEvent(splitLines(events).at(-1))
  const data = isObject(last?.['data']) ? last['data'] : {}
  const outcome = isObject(data['outcome']) ? data['outcome'] : {}
  const claimed = isObject(raw['result']) ? raw['result'] : undefined
  const { result } = outcome
  if (result === undefined) {
    if (claimed === undefined)
      return { name, mismatches: [], skipped: true, detail: 'There is no answer, and the receipt has none.' }
    return { name, mismatches: [{ name: 'result', detail: 'is in the receipt but not in the events' }], detail: '' }
  }
  const answer = toAnswerText(result)
  if (claimed?.['sha256'] === sha256(answer) && claimed['bytes'] === Buffer.byteLength(answer))
    return { name, mismatches: [], detail: 'The answer is the one that was recorded.' }
  return { name, mismatches: [{ name: 'result', detail: 'is not the answer in the events' }], detail: '' }
}
