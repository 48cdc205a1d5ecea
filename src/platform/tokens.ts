import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ConfigError, type Config } from './config.js'
import { sha256Bytes } from './hash.js'
import { makeFolder } from './make-folder.js'
import type { Scope } from '../protocol/caller.js'
import { CONCURRENT_LIMIT } from '../protocol/limits.js'
import { SCOPES, type Token } from '../protocol/tokens.js'

/** A token as it is kept: only its SHA-256. */
export interface TokenEntry {
  /** Its name, which is what records hold that are older than ids. */
  readonly id: string
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly sha256: Buffer
  /** What it may spend on a UTC day, in place of the settings for all. */
  readonly dailyBudget?: { readonly usd?: number; readonly tokens?: number }
  /** How many executions it may have at work. */
  readonly maxConcurrent?: number
}

const NAME = /^[\w.-]{1,64}$/
const MADE_ID = /^tok_[0-9a-f]{32}$/
const HASHED = /^sha256:([0-9a-f]{64})$/
/** Shorter ones can be guessed. */
const MINIMUM_TOKEN_LENGTH = 16

function parseScopes(text: string | undefined, where: string): ReadonlySet<Scope> {
  if (text === undefined) return new Set(SCOPES)
  const scopes = text.split('+')
  if (!scopes.every((scope) => (SCOPES as readonly string[]).includes(scope)))
    throw new ConfigError(`${where} has a scope that there is not; expected ${SCOPES.join(', ')}, joined by +.`)
  // `admin` is the right to do everything, so it implies the others.
  return new Set(scopes.includes('admin') ? SCOPES : (scopes as Scope[]))
}

type LimitName = 'usd' | 'tokens' | 'maxConcurrent'
const LIMITS: Readonly<Record<string, LimitName>> = {
  'daily-usd': 'usd',
  'daily-tokens': 'tokens',
  'max-concurrent': 'maxConcurrent',
}

function parseLimits(parts: readonly string[], where: string): Pick<TokenEntry, 'dailyBudget' | 'maxConcurrent'> {
  const limits: Partial<Record<LimitName, number>> = {}
  for (const part of parts) {
    const [name = '', amount = ''] = part.split('=')
    const limit = LIMITS[name]
    if (!limit || !/^\d{1,12}(\.\d+)?$/.test(amount) || Number(amount) <= 0)
      throw new ConfigError(
        `${where}: what follows the scopes must be daily-usd=N, daily-tokens=N or max-concurrent=N.`,
      )
    limits[limit] = Number(amount)
  }
  const { maxConcurrent, ...dailyBudget } = limits
  if (maxConcurrent !== undefined && !(Number.isInteger(maxConcurrent) && maxConcurrent <= CONCURRENT_LIMIT))
    throw new ConfigError(`${where}: max-concurrent must be a whole number from 1 to ${CONCURRENT_LIMIT}.`)
  return { dailyBudget: Object.keys(dailyBudget).length > 0 ? dailyBudget : undefined, maxConcurrent }
}

/**
 * `name=token[:scope+scope][:daily-usd=N][:daily-tokens=N][:max-concurrent=N]`; a bare token is named `default` and may
 * do everything; `sha256:<hex>` may stand for a token. Nothing of an entry is repeated in an error: any part of it may
 * be the secret.
 */
function parseEntry(entry: string, where: string): TokenEntry {
  const equals = entry.indexOf('=')
  // Base64 ends in =: where nothing but padding follows, it is a token without a name.
  const isBare = equals === -1 || (/^=+(?::|$)/.test(entry.slice(equals)) && equals >= MINIMUM_TOKEN_LENGTH)
  const name = isBare ? 'default' : entry.slice(0, equals)
  const rest = isBare ? entry : entry.slice(equals + 1)
  if (!NAME.test(name)) throw new ConfigError(`${where}: a token's name is 1 to 64 letters, digits, _, . or -.`)
  // Else it would own what such a token has made.
  if (MADE_ID.test(name)) throw new ConfigError(`${where}: a name like this is the id of a token that the API makes.`)
  const hashed = /^sha256:[0-9a-f]+/.exec(rest)?.[0]
  const token = hashed ?? rest.split(':')[0] ?? ''
  const [first, ...others] = rest
    .slice(token.length)
    .split(':')
    .filter((part) => part !== '')
  const hasScopes = first !== undefined && !first.includes('=')
  const scopes = parseScopes(hasScopes ? first : undefined, where)
  const limits = parseLimits(hasScopes || first === undefined ? others : [first, ...others], where)
  const digest = HASHED.exec(token)?.[1]
  if (digest !== undefined) return { id: name, name, scopes, sha256: Buffer.from(digest, 'hex'), ...limits }
  if (token.length < MINIMUM_TOKEN_LENGTH)
    throw new ConfigError(`${where}: a token has at least ${MINIMUM_TOKEN_LENGTH} characters.`)
  return { id: name, name, scopes, sha256: sha256Bytes(token), ...limits }
}

function parseEntries(text: string, separator: RegExp, origin: string): TokenEntry[] {
  const entries = text
    .split(separator)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  return entries.map((entry, index) => parseEntry(entry, `${origin}, entry ${index + 1}`))
}

export interface TokenBook {
  find(token: string): TokenEntry | undefined
  /** One of that id with exactly these scopes: several may have one name. */
  findById(id: string, scopes: readonly Scope[]): TokenEntry | undefined
  /** One for each name, as the API shows them. */
  readonly shown: readonly Token[]
  /** The file was made now, as there was none. */
  readonly created: boolean
  /** The file has some of them. */
  readonly inFile: boolean
}

async function readTokenFile(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new ConfigError(`CC_EXECUTOR_TOKEN_FILE: ${path} cannot be read (${error.code ?? error.message}).`)
  })
}

/** Two processes may start at once: the first file stands, and it appears with its token in it. false: it was there. */
async function makeTokenFile(path: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`
  try {
    await makeFolder(dirname(path), 0o700)
    await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    await link(draft, path)
    return true
  } catch (error) {
    // Safe: node:fs rejects with errno exceptions.
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    throw new ConfigError(`CC_EXECUTOR_TOKEN_FILE: ${path} cannot be written (${code ?? message}).`)
  } finally {
    await rm(draft, { force: true })
  }
}

/** Entries of one name are one token to what it has made; it is shown with all that any of them may do. */
function toShown(fromVariable: readonly TokenEntry[], fromFile: readonly TokenEntry[]): Token[] {
  const shown = new Map<string, Token>()
  for (const { id, name, scopes, dailyBudget, maxConcurrent } of [...fromVariable, ...fromFile]) {
    const before = shown.get(id)
    shown.set(id, {
      id,
      name,
      scopes: SCOPES.filter((scope) => scopes.has(scope) || before?.scopes.includes(scope)),
      origin: before?.origin ?? (fromVariable.some((entry) => entry.id === id) ? 'environment' : 'file'),
      status: 'active',
      dailyBudgetUsd: dailyBudget?.usd ?? before?.dailyBudgetUsd,
      dailyBudgetTokens: dailyBudget?.tokens ?? before?.dailyBudgetTokens,
      maxConcurrent: maxConcurrent ?? before?.maxConcurrent,
    })
  }
  return [...shown.values()]
}

/** Reads the tokens; where none is configured one is made, 256 bits, readable by its owner only. */
export async function openTokens(config: Pick<Config, 'tokens' | 'tokenFile'>): Promise<TokenBook> {
  const fromVariable = config.tokens === undefined ? [] : parseEntries(config.tokens, /,/, 'CC_EXECUTOR_TOKENS')
  let text = await readTokenFile(config.tokenFile)
  let created = false
  if (text === undefined && fromVariable.length === 0) {
    created = await makeTokenFile(config.tokenFile)
    text = await readTokenFile(config.tokenFile)
  }
  const fromFile = parseEntries(text ?? '', /\n/, 'CC_EXECUTOR_TOKEN_FILE')
  const entries = [...fromVariable, ...fromFile]
  if (entries.length === 0)
    throw new ConfigError(`CC_EXECUTOR_TOKEN_FILE: ${config.tokenFile} holds no token; delete it to have one made.`)
  return {
    created,
    inFile: fromFile.length > 0,
    shown: toShown(fromVariable, fromFile),
    findById: (id, scopes) =>
      entries.find(
        (entry) =>
          entry.id === id && entry.scopes.size === scopes.length && scopes.every((one) => entry.scopes.has(one)),
      ),
    find(token) {
      const digest = sha256Bytes(token)
      // Every entry is compared, so that the time taken tells nothing.
      return entries.reduce<TokenEntry | undefined>(
        (found, entry) => (timingSafeEqual(entry.sha256, digest) ? entry : found),
        undefined,
      )
    },
  }
}
