import { escapeLineBreaks } from '../protocol/json-line.js'

/** No string is cut below this: statuses, codes and names stay readable. */
const SHORTEST_CHARACTERS = 64
const FIRST_CUT_CHARACTERS = 64 * 1024

/**
 * A large event within a limit, as far as possible: long strings of its data are cut, then long lists and objects, at
 * last all of its data.
 * `truncatedBytes` says how many bytes are left out; REST has the event whole.
 */
export function shortenEvent(bytes: Buffer, maxBytes: number): Buffer {
  // Our own serialisation, or the CLI's message which was parsed when it came.
  const { seq, type, at, attempt, data } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
  const build = (shortened: unknown): Buffer => {
    const kept = Buffer.byteLength(JSON.stringify({ seq, type, at, attempt, data: shortened }))
    const event = { seq, type, at, attempt, data: shortened, truncatedBytes: Math.max(0, bytes.length - kept) }
    return Buffer.from(escapeLineBreaks(JSON.stringify(event)))
  }
  for (let characters = FIRST_CUT_CHARACTERS; characters >= SHORTEST_CHARACTERS; characters /= 2) {
    if (characters > maxBytes) continue
    const event = build(cut(data, characters, Infinity))
    if (event.length <= maxBytes) return event
  }
  for (let members = 64; members >= 4; members /= 2) {
    const event = build(cut(data, SHORTEST_CHARACTERS, members))
    if (event.length <= maxBytes) return event
  }
  return build({})
}

function cut(value: unknown, characters: number, members: number): unknown {
  if (typeof value === 'string')
    return value.length <= characters ? value : `${value.slice(0, characters).toWellFormed()}…`
  if (Array.isArray(value)) return value.slice(0, members).map((member) => cut(member, characters, members))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, members)
      .map(([key, member]) => [key, cut(member, characters, members)]),
  )
}
