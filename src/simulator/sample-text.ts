/** A text that fits `format`, `pattern` and the bounds of its length. */

const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2026-01-31T12:00:00Z',
  date: '2026-01-31',
  time: '12:00:00Z',
  duration: 'P1D',
  email: 'someone@example.com',
  'idn-email': 'someone@example.com',
  hostname: 'example.com',
  'idn-hostname': 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  'uri-reference': '/simulated',
  iri: 'https://example.com/',
  'iri-reference': '/simulated',
  'uri-template': '/simulated/{id}',
  url: 'https://example.com/',
  uuid: '5f2b1c3e-8d4a-4b6f-9a7c-0e1d2f3a4b5c',
  'json-pointer': '/simulated',
  'relative-json-pointer': '0/simulated',
  regex: '^simulated$',
  byte: 'c2ltdWxhdGVk',
}

const MAX_CHARACTERS = 1_000_000
/** What stands for an open class: letters first, so that the text is one that can be read. */
const ALPHABET = Array.from(
  'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-.,:;/@#+*=!?$%&()[]{}<>|~^"\'`\\',
)

export function sampleText(schema: Readonly<Record<string, unknown>>, words: string): string {
  const { format, pattern, minLength, maxLength } = schema
  const least = Math.min(typeof minLength === 'number' ? minLength : 0, MAX_CHARACTERS)
  const most = typeof maxLength === 'number' ? maxLength : Number.MAX_SAFE_INTEGER
  const fit = (text: string): string => {
    const characters = Array.from(text)
    return characters.length > most
      ? characters.slice(0, most).join('')
      : text + '.'.repeat(Math.max(0, least - characters.length))
  }
  const ofFormat = typeof format === 'string' ? FORMATS[format] : undefined
  if (typeof pattern !== 'string') return ofFormat ?? fit(words)
  const fits = (text: string): boolean =>
    isMatch(pattern, text) && Array.from(text).length >= least && Array.from(text).length <= most
  const tried = [...(ofFormat === undefined ? [] : [ofFormat]), fit(words), ...Object.values(FORMATS)]
  const written = [0, 1, 2, 4, 8, 16, 32, least].flatMap((times) => writePattern(pattern, times) ?? [])
  return [...tried.slice(0, 2), ...written, ...tried.slice(2)].find(fits) ?? fit(words)
}

function toRegExp(pattern: string): RegExp | undefined {
  for (const flags of ['u', '']) {
    try {
      return new RegExp(pattern, flags)
    } catch {
      // Without `u` more is allowed.
    }
  }
  return undefined
}

const isMatch = (pattern: string, text: string): boolean => toRegExp(pattern)?.test(text) ?? false

/**
 * A text of the pattern, or nearly: whoever asks holds it against the pattern. Anchors and lookarounds say nothing, of
 * alternatives the first is taken, and what may be repeated without end is, `times` times.
 */
function writePattern(pattern: string, times: number): string | undefined {
  const characters = Array.from(pattern)
  let at = 0
  const peek = (): string | undefined => characters[at]

  function alternatives(): string {
    const first = sequence()
    while (peek() === '|') {
      at += 1
      sequence()
    }
    return first
  }
  function sequence(): string {
    let text = ''
    while (at < characters.length && peek() !== '|' && peek() !== ')') {
      const piece = atom()
      text += piece.repeat(repetition())
      if (text.length > MAX_CHARACTERS) return text
    }
    return text
  }
  function repetition(): number {
    const sign = peek()
    let count = 1
    if (sign === '*' || sign === '+' || sign === '?') {
      at += 1
      count = sign === '?' ? Math.min(times, 1) : Math.max(times, sign === '+' ? 1 : 0)
    } else if (sign === '{') {
      const bounds = /^\{(\d+)(,(\d*))?\}/.exec(characters.slice(at, at + 32).join(''))
      if (bounds === null) return 1
      at += bounds[0].length
      const least = Number(bounds[1])
      const most = bounds[2] === undefined ? least : bounds[3] === '' ? Number.MAX_SAFE_INTEGER : Number(bounds[3])
      count = Math.min(Math.max(least, times), most, MAX_CHARACTERS)
    } else return 1
    if (peek() === '?') at += 1
    return count
  }
  function atom(): string {
    const character = characters[at] ?? ''
    at += 1
    if (character === '^' || character === '$') return ''
    if (character === '.') return 'a'
    if (character === '[') return characterClass()
    if (character === '(') return group()
    return character === '\\' ? escape() : character
  }
  function group(): string {
    const opening = /^\?(?:[:=!]|<[=!]|<\w+>)/.exec(characters.slice(at, at + 64).join(''))?.[0] ?? ''
    at += opening.length
    const text = alternatives()
    at += 1
    return /^\?<?[=!]$/.test(opening) ? '' : text
  }
  function escape(): string {
    const start = at - 1
    const letter = characters[at] ?? ''
    at += 1
    if (letter === 'b' || letter === 'B') return ''
    const long = /^\\(?:u\{[\da-f]+\}|u[\da-f]{4}|x[\da-f]{2}|p\{[^}]*\}|P\{[^}]*\}|c[a-z])/i.exec(
      characters.slice(start, start + 64).join(''),
    )
    if (long) at = start + long[0].length
    return firstOf(characters.slice(start, at).join(''))
  }
  function characterClass(): string {
    const start = at - 1
    for (; at < characters.length && (peek() !== ']' || at === start + 1); at += 1) if (peek() === '\\') at += 1
    at += 1
    return firstOf(characters.slice(start, at).join(''))
  }
  try {
    const text = alternatives()
    return at < characters.length ? undefined : text
  } catch {
    // Nested too deeply for the stack.
    return undefined
  }
}

/** The first character of those that a class or an escape takes. */
function firstOf(one: string): string {
  const expression = toRegExp(`^${one}$`)
  if (expression === undefined) return ''
  const ofAlphabet = ALPHABET.find((character) => expression.test(character))
  if (ofAlphabet !== undefined) return ofAlphabet
  for (let code = 0; code <= 0xffff; code += 1)
    if (expression.test(String.fromCharCode(code))) return String.fromCharCode(code)
  return ''
}
