/** Files with which a Redis is reached, those for TLS in PEM. */
export interface RedisAccess {
  /** Of a private certification authority. */
  readonly ca?: string | undefined
  /** What a server that demands a client certificate is shown. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Holds the password, where the URL has none. */
  readonly passwordFile?: string | undefined
}

/** The path of a REDIS_URL that names a socket: as it is written, since nothing in it is escaped. */
export const socketOf = (url: string | undefined): string | undefined =>
  url?.startsWith('unix://') === true ? url.slice('unix://'.length) : undefined

/** Of one that explainRedisUrl has nothing against. */
export const hasPassword = (url: string | undefined): boolean =>
  url !== undefined && socketOf(url) === undefined && new URL(url).password !== ''

const ESCAPES = '/ is written %2F, # %23, ? %3F and % %25'

function canDecode(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** What keeps a REDIS_URL from being one, without a part of its password; undefined: nothing. */
export function explainRedisUrl(text: string): string | undefined {
  if (text.startsWith('unix:///')) return undefined
  const [, rest] = /^rediss?:\/\/(.*)$/s.exec(text) ?? []
  if (rest === undefined) return 'expected redis://, rediss:// or unix:///'
  const at = rest.lastIndexOf('@')
  const mark = rest.search(/[/?#]/)
  // Before the last @ they can only belong to user or password, and to a parser of URLs they would end the address.
  if ((mark !== -1 && mark < at) || !canDecode(rest.slice(0, at + 1)))
    return `the user or the password has a character that must be escaped: ${ESCAPES}`
  if (!URL.canParse(text)) return 'expected redis://user:password@host:port/database'
  const { hostname, pathname, searchParams, hash } = new URL(text)
  if (hostname === '') return 'expected a host after redis://'
  const [parameter] = searchParams.keys()
  if (parameter !== undefined)
    return `unknown parameter ${JSON.stringify(parameter)}; the database is given in the path (redis://host:port/3)`
  if (hash !== '') return `it must end with the database; in a password ${ESCAPES}`
  if (!/^\/?$|^\/\d{1,5}$/.test(pathname)) return 'the database must be a number (redis://host:port/3)'
  return undefined
}
