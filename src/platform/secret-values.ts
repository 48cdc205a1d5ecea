import { readOtlpHeaders } from './tracing-settings.js'

/**
 * A shorter value is not looked for: it would be found by chance in ordinary text (eight characters of base64 are found
 * once in 10^8 megabytes of random text, five of them in every gigabyte), and it is no secret that lasts: it is guessed
 * in hours. GitLab masks no shorter variables either.
 */
const SECRET_CHARACTERS = 8

/** Names that say that what they hold is a secret. `PWD` is a folder; `KEYBOARD` and `AUTHOR` are none of these. */
const SECRET_NAME = new RegExp(
  '(?:token|secret|passw|passphrase|credential|api_?-?key|authorization)|' +
    '(?:^|[_-])(?:key|pass|auth|pat|dsn|cookie|signature)(?:$|[_-])',
  'i',
)
/** Names of where a secret lies, not of itself. */
const PLACE_NAME = /(?:^|[_-])(?:file|path|dir|home|url|uri|host|sock|address|type|name|id|ttl|ms|descriptor)$/i
/** What a run sees in place of a credential; no secret, and an ordinary word. */
const STAND_INS = new Set(['simulated', 'placeholder'])
const SCHEME = /^(?:bearer|basic|token|apikey|digest|negotiate)\s+/i

/**
 * Of a variable that may be anything: what is plainly no secret. A masked `/usr/lib/jvm` or `production` would only
 * make every event unreadable.
 */
const PLAIN = [
  /^[\d.,:+-]{1,15}$/, // a number, a version, a date
  /^[a-z]{1,24}$/i, // a word
  /^(?:~|\.{1,2})?(?:\/[\w.@+ -]+)+\/?(?::(?:\/[\w.@+ -]+)+\/?)*$/, // a path, or several
  /^(?:application|text|image|audio|video|multipart|\*)\/[\w.+*-]+(?:[,;] ?[\w.+*/=-]+)*$/i, // media types
  /^[a-z][\w+.-]*:\/\/[\w.:[\]-]+(?:\/[\w./~%-]*)?$/i, // a URL without user and query
]
/** A region, a locale, a short version: words and small numbers that are joined. */
const JOINED = /^(?=.{1,14}$)(?:[a-z]+|\d{1,3})(?:[-_./@ ](?:[a-z]+|\d{1,3}))*$/i

const isPlain = (value: string): boolean => JOINED.test(value) || PLAIN.some((form) => form.test(value))

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Of an address: the password, or a user without one, as tokens are written; and what its query calls a secret. */
function ofUrl(value: string): string[] {
  if (!/^[a-z][\w+.-]*:\/\//i.test(value) || !URL.canParse(value)) return []
  const { username, password, searchParams } = new URL(value)
  const user = decode(username)
  const secret = decode(password)
  const proof = password === '' ? [username, user] : [password, secret, toBasic(`${user}:${secret}`)]
  return [...proof, ...[...searchParams].flatMap(([name, member]) => (SECRET_NAME.test(name) ? member : []))]
}

const toBasic = (pair: string): string => Buffer.from(pair).toString('base64')

/** `Basic` hides a password in base64, where it is not found as it stands. */
function ofBasic(value: string): string[] {
  const [, pair] = /^basic\s+(.+)$/i.exec(value) ?? []
  if (pair === undefined) return []
  const text = Buffer.from(pair, 'base64').toString()
  return [text, text.slice(text.indexOf(':') + 1)]
}

/** Of a key over several lines its lines: what shows a file shows it line by line. */
const ofLines = (value: string): string[] =>
  value
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line.length >= 2 * SECRET_CHARACTERS && !line.startsWith('-----'))

/** Of JSON, as a service account is written, the members whose names say that they are secret. */
function ofJson(value: string): string[] | undefined {
  if (!value.trimStart().startsWith('{')) return undefined
  const found: string[] = []
  try {
    JSON.parse(value, (name, member: unknown) => {
      if (typeof member === 'string') found.push(...secretsOf(name, member, 'named'))
      return member
    })
    return found
  } catch {
    return undefined
  }
}

/**
 * What of a variable, a header or an argument must not be shown. `any`: its holder has given it to be kept, so
 * everything but what is plainly no secret; `named`: only where its name says so, or as part of an address.
 */
export function secretsOf(name: string, value: string, which: 'any' | 'named'): string[] {
  const isFile = /credentials$/i.test(name) && value.startsWith('/')
  const isNamed = SECRET_NAME.test(name) && !PLACE_NAME.test(name) && !isFile
  const inside = [...ofUrl(value), ...ofBasic(value)]
  const whole = (): string[] => {
    if (!isNamed && (which === 'named' || inside.length > 0 || isPlain(value))) return []
    if (/[\r\n]/.test(value)) return ofJson(value) ?? ofLines(value)
    return ofJson(value) ?? [value, value.replace(SCHEME, '')]
  }
  return [...inside, ...whole()].filter((secret) => secret.length >= SECRET_CHARACTERS && !STAND_INS.has(secret))
}

/** Headers, one a line, as ANTHROPIC_CUSTOM_HEADERS has them. */
const ofHeaderLines = (text: string): string[] =>
  text.split('\n').flatMap((line) => {
    const [, name = '', value = ''] = /^\s*([\w-]+)\s*:\s*(.*?)\s*$/.exec(line) ?? []
    return secretsOf(name, value, 'any')
  })

/** `name=token:scopes`, several of them. */
const ofTokens = (text: string): string[] =>
  text.split(',').flatMap(
    (entry) =>
      entry
        .slice(entry.indexOf('=') + 1)
        .split(':')[0]
        ?.trim() ?? [],
  )

function ofVariable(name: string, value: string, isAdded: boolean): string[] {
  if (name === 'ANTHROPIC_CUSTOM_HEADERS') return ofHeaderLines(value)
  if (/^OTEL_EXPORTER_OTLP_(?:\w+_)?HEADERS$/.test(name))
    return Object.entries(readOtlpHeaders(value)).flatMap(([header, text]) => secretsOf(header, text, 'any'))
  if (name === 'CC_EXECUTOR_TOKENS') return ofTokens(value)
  // Of the service's own settings no other is one; CC_EXECUTOR_CREDENTIAL is a name.
  if (name.startsWith('CC_EXECUTOR_') && name !== 'CC_EXECUTOR_TOKEN') return []
  return secretsOf(name, value, isAdded ? 'any' : 'named')
}

/** Of an environment: what its names call a secret, passwords in addresses, and all that the operator has added. */
export const secretsOfEnvironment = (environment: NodeJS.ProcessEnv, added: readonly string[]): string[] =>
  Object.entries(environment)
    .flatMap(([name, value = '']) => ofVariable(name, value, added.includes(name)))
    .filter((secret) => secret.length >= SECRET_CHARACTERS)
