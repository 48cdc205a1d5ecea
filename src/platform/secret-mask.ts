/** What stands in the place of a secret. */
export const MASKED = '[masked]'

/**
 * Anthropic's own keys and tokens are recognised by their form as well: a login is renewed while a run goes on, and
 * then nobody has told its new value.
 */
const KEY_PREFIX = 'sk-ant-'
/** Text that ends in fewer characters of the prefix is every other text; a key whose first two are missing is known. */
const PREFIX_HELD = 3
const KEY_CHARACTERS = '[A-Za-z0-9_-]'
const KEY = `(?:${KEY_PREFIX}|(?<![A-Za-z0-9])(?:k-|-)ant-[a-z]{3,5}\\d\\d-)${KEY_CHARACTERS}{16,}`
const OPEN_KEY = new RegExp(`${KEY_PREFIX}${KEY_CHARACTERS}*$`)
/** What of the prefix cannot have been told before. */
const PREFIX_REST = KEY_PREFIX.slice(PREFIX_HELD - 1)
/** What the beginnings of the prefix that are held end in. */
const PREFIX_ENDS = new Set(Array.from(PREFIX_REST, (character) => character.charCodeAt(0)))
/** A power of two above every ASCII character. */
const BEGINNINGS = 128
/** Longer than any key: text that looks like one and does not end is told from here on. */
const OPEN_KEY_LIMIT = 4096

/** Finds secrets in text and puts MASKED in their place. */
export interface SecretMask {
  holds(text: string): boolean
  /** The same text where there is none in it. */
  text(text: string): string
  /** A line that may be JSON: then what comes back is JSON, too, and only what stands in its strings was changed. */
  line(line: string): string
  /** A copy of a JSON value, or the value itself where there is none in it. */
  value<Value>(value: Value): Value
  /**
   * How much of the text's end may be the beginning of a secret whose rest has not come. `before`: what was told of the
   * same text last.
   */
  pendingLength(text: string, before?: string): number
  /** With further secrets. */
  with(secrets: Iterable<string>): SecretMask
}

/** Nearly no text does, also together with the two characters of the prefix that may have been told before it. */
const mayEndInKey = (text: string): boolean =>
  PREFIX_ENDS.has(text.charCodeAt(text.length - 1)) || text.includes(PREFIX_REST)

/** How much of the text's end is a key that goes on, or the beginning of one. */
function pendingKey(text: string): number {
  const open = OPEN_KEY.exec(text)
  if (open) return text.length - open.index <= OPEN_KEY_LIMIT ? text.length - open.index : 0
  for (let length = KEY_PREFIX.length - 1; length >= PREFIX_HELD; length -= 1)
    if (text.endsWith(KEY_PREFIX.slice(0, length))) return length
  return 0
}

const toPair = (text: string, at: number): number =>
  (text.charCodeAt(at) % BEGINNINGS) * BEGINNINGS + (text.charCodeAt(at + 1) % BEGINNINGS)

const escapeJson = (text: string): string => JSON.stringify(text).slice(1, -1)

/** As it stands in text, in JSON, in JSON within JSON (a tool's input as the CLI streams it), and in a URL. */
function formsOf(secret: string): string[] {
  const once = escapeJson(secret)
  const twice = escapeJson(once)
  const inUrl = secret.isWellFormed() ? encodeURIComponent(secret) : secret
  return [secret, once, twice, escapeJson(twice), inUrl]
}

/** Words of the CLI's own stream: a secret that is such a word must not make its lines unreadable. */
const WORD = /^[a-z_]+$/i
const KINDS = new Set(['type', 'subtype', 'role', 'stop_reason'])

export function createSecretMask(secrets: Iterable<string>): SecretMask {
  const known = new Set([...secrets].filter((secret) => secret !== ''))
  const forms = [...new Set([...known].flatMap(formsOf))].sort((a, b) => b.length - a.length)
  const source = [...forms.map((form) => escapeRegExp(form)), KEY].join('|')
  // One pass over the text, whatever the number of secrets is.
  const finds = new RegExp(source)
  const all = new RegExp(source, 'g')
  // By the low bits of their first two characters, since each character at the end of each delta is looked up.
  const begins = new Uint8Array(BEGINNINGS)
  const pairs = new Uint8Array(BEGINNINGS * BEGINNINGS)
  for (const form of forms) {
    begins[form.charCodeAt(0) % BEGINNINGS] = 1
    pairs[toPair(form, 0)] = 1
  }
  const longest = Math.max(0, ...forms.map(({ length }) => length))

  const replace = (text: string): string => text.replace(all, MASKED)

  function replaceIn(value: unknown, name?: string): unknown {
    if (typeof value === 'string')
      return name !== undefined && KINDS.has(name) && WORD.test(value) ? value : replace(value)
    if (Array.isArray(value)) return value.map((member) => replaceIn(member))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [WORD.test(key) ? key : replace(key), replaceIn(member, key)]),
    )
  }

  function line(text: string): string {
    if (!finds.test(text)) return text
    try {
      return JSON.stringify(replaceIn(JSON.parse(text)))
    } catch {
      return replace(text)
    }
  }

  /** Whether a secret that has come already would be cut there. */
  const isWithin = (text: string, at: number): boolean =>
    [...text.matchAll(all)].some(({ index, 0: match }) => index < at && at < index + match.length)

  function pendingForm(text: string): number {
    const last = text.length - 1
    for (let at = Math.max(0, text.length - longest + 1); at <= last; at += 1) {
      if (begins[text.charCodeAt(at) % BEGINNINGS] === 0 || (at < last && pairs[toPair(text, at)] === 0)) continue
      const end = text.slice(at)
      if (!forms.some((form) => form.length > end.length && form.startsWith(end))) continue
      if (!isWithin(text, at)) return end.length
    }
    return 0
  }

  function pendingLength(text: string, before = ''): number {
    const key = mayEndInKey(text) ? Math.min(pendingKey(before.slice(1 - PREFIX_HELD) + text), text.length) : 0
    return Math.max(pendingForm(text), key > 0 && isWithin(text, text.length - key) ? 0 : key)
  }

  return {
    holds: (text) => finds.test(text),
    text: (text) => (finds.test(text) ? replace(text) : text),
    line,
    value(value) {
      const text = JSON.stringify(value)
      // Safe: a copy of the same shape.
      return text !== undefined && finds.test(text) ? (replaceIn(JSON.parse(text)) as typeof value) : value
    },
    pendingLength,
    with(more) {
      const added = [...more].filter((secret) => !known.has(secret))
      return added.length === 0 ? this : createSecretMask([...known, ...added])
    },
  }
}

const escapeRegExp = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

/** For where there is nothing to keep secret but Anthropic's own keys. */
export const NO_SECRETS = createSecretMask([])
