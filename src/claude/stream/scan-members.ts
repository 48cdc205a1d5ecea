/** A member of this size is kept; the long ones are the answer, its structured form and content blocks. */
const MEMBER_LIMIT_BYTES = 64 * 1024
/** All members together; what comes beyond is dropped. */
const MEMBERS_LIMIT_BYTES = 256 * 1024

export interface MemberScan {
  push(part: Buffer): void
  /** The short members of the object; undefined unless it was one, from its first to its last byte. */
  members(): Record<string, unknown> | undefined
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d]
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/**
 * Reads the short top-level members of a JSON object that is too long to be kept, while it streams by. Strings are
 * followed as strings: the same words inside an answer are part of that answer.
 *
 * start → key ⇄ name → colon → value → key … → done; whatever does not fit leads to `broken`, which nothing leaves.
 */
export function createMemberScan(): MemberScan {
  const found = new Map<string, unknown>()
  let state: 'start' | 'key' | 'name' | 'colon' | 'value' | 'done' | 'broken' = 'start'
  let name: string | undefined
  let nameBytes = 0
  let keptBytes = 0
  /** Of the token that is being read; undefined once it is longer than is kept. */
  let pieces: Buffer[] | undefined = []
  let size = 0
  let depth = 0
  let isInString = false
  let isEscaped = false

  function begin(): void {
    pieces = []
    size = 0
    depth = 0
    isInString = false
    isEscaped = false
  }

  function keepPart(part: Buffer): void {
    size += part.length
    if (size > MEMBER_LIMIT_BYTES || keptBytes + size > MEMBERS_LIMIT_BYTES) pieces = undefined
    // A view would keep the whole chunk alive.
    else pieces?.push(Buffer.from(part))
  }

  function takeText(): string | undefined {
    return pieces && Buffer.concat(pieces).toString()
  }

  function finishName(): void {
    const parsed = parse(`"${takeText() ?? ''}"`)
    name = typeof parsed === 'string' && pieces !== undefined ? parsed : undefined
    nameBytes = size
    state = 'colon'
  }

  function finishValue(next: 'key' | 'done'): void {
    const json = takeText()
    const value = json === undefined ? undefined : parse(json)
    if (name !== undefined && value !== undefined) {
      found.set(name, value)
      keptBytes += size + nameBytes
    }
    state = next
  }

  /** Follows a value; answers what comes after it, where this byte ended it. */
  function follow(byte: number): 'key' | 'done' | 'broken' | undefined {
    if (isInString) {
      if (isEscaped) isEscaped = false
      else if (byte === BACKSLASH) isEscaped = true
      else if (byte === QUOTE) isInString = false
      return undefined
    }
    if (byte === QUOTE) isInString = true
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth += 1
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      if (depth === 0) return byte === CLOSE_OBJECT ? 'done' : 'broken'
      depth -= 1
    } else if (byte === COMMA && depth === 0) return 'key'
    return undefined
  }

  /** Between tokens. */
  function step(byte: number): typeof state {
    if (isBlank(byte)) return state
    if (state === 'start') return byte === OPEN_OBJECT ? 'key' : 'broken'
    if (state === 'colon') return byte === COLON ? 'value' : 'broken'
    if (state === 'key') return byte === QUOTE ? 'name' : byte === CLOSE_OBJECT ? 'done' : 'broken'
    return 'broken'
  }

  return {
    push(part) {
      let start = 0
      for (let index = 0; index < part.length && state !== 'broken'; index += 1) {
        const byte = part[index] ?? 0
        if (state === 'name') {
          const isEnd = byte === QUOTE && !isEscaped
          isEscaped = byte === BACKSLASH && !isEscaped
          if (!isEnd) continue
          keepPart(part.subarray(start, index))
          finishName()
        } else if (state === 'value') {
          const next = follow(byte)
          if (next === undefined) continue
          keepPart(part.subarray(start, index))
          if (next === 'broken') state = next
          else finishValue(next)
        } else {
          state = step(byte)
          if (state === 'name' || state === 'value') {
            begin()
            start = index + 1
          }
        }
      }
      if ((state === 'name' || state === 'value') && start < part.length) keepPart(part.subarray(start))
    },
    members() {
      return state === 'done' ? Object.fromEntries(found) : undefined
    },
  }
}
