/**
 * Canonical JSON by RFC 8785. ECMAScript's own writing of numbers and strings is the canonical one; what is left are
 * the order of names (by UTF-16 code units, as `sort` does) and refusing what is no JSON.
 * Members that are undefined are left out. @throws TypeError where a value is no JSON, or a string not well-formed
 */
export function toCanonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new TypeError('A string contains a lone surrogate.')
      return JSON.stringify(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} is no JSON number.`)
      return JSON.stringify(value)
    case 'boolean':
      return String(value)
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return `[${value.map(toCanonicalJson).join(',')}]`
      return `{${membersOf(value)
        .map(([name, member]) => `${toCanonicalJson(name)}:${toCanonicalJson(member)}`)
        .join(',')}}`
    default:
      throw new TypeError(`${typeof value} is no JSON.`)
  }
}

function membersOf(value: object): Array<[string, unknown]> {
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Removes the white space between tokens and nothing else, so that the rest can be compared to the byte. */
export function compactJson(text: string): string {
  return text.replaceAll(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, '$1')
}

/**
 * What a run said may hold what canonical JSON refuses (half a surrogate pair, a number beyond all bounds): its end
 * must be signed nevertheless.
 */
export function toSignable<Value>(value: Value): Value {
  const text = JSON.stringify(value)
  return JSON.parse(text, (_name, member: unknown) =>
    typeof member === 'string' ? member.toWellFormed() : member,
  ) as Value // safe: a copy
}

/** The bytes of an answer that are hashed: a text as it is, JSON mode's object in its canonical form. */
export const toAnswerText = (answer: unknown): string =>
  typeof answer === 'string' ? answer : toCanonicalJson(toSignable(answer))
