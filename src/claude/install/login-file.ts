import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { toRecord, toText } from '../json-shape.js'

/** What the CLI keeps of a claude.ai login, as far as it matters here. Times in milliseconds since 1970. */
export interface Login {
  readonly accessToken: string
  /** undefined: a login that cannot be renewed. */
  readonly refreshToken?: string
  readonly expiresAt?: number
  /** When the refresh token ends, which nothing but a new login renews. */
  readonly refreshTokenExpiresAt?: number
  readonly scopes?: readonly string[]
  /** The plan: the CLI's default model and limits depend on it. */
  readonly subscriptionType?: string
  readonly rateLimitTier?: string
  readonly clientId?: string
}

/** Both CLIs renew a token that ends within five minutes; a run's must never seem to. */
const FAR_MS = 10 * 365 * 86_400_000
const fileOf = (configDir: string): string => join(configDir, '.credentials.json')

export function toLogin(text: string): Login | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  const oauth = toRecord(toRecord(parsed)?.['claudeAiOauth']) ?? {}
  const accessToken = toText(oauth['accessToken'])
  if (accessToken === undefined || accessToken === '') return undefined
  const { scopes, expiresAt, refreshTokenExpiresAt } = oauth
  const word = (name: 'refreshToken' | 'subscriptionType' | 'rateLimitTier' | 'clientId') => {
    const value = toText(oauth[name])
    return value === '' ? undefined : value
  }
  return {
    accessToken,
    refreshToken: word('refreshToken'),
    subscriptionType: word('subscriptionType'),
    rateLimitTier: word('rateLimitTier'),
    clientId: word('clientId'),
    expiresAt: typeof expiresAt === 'number' ? expiresAt : undefined,
    refreshTokenExpiresAt: typeof refreshTokenExpiresAt === 'number' ? refreshTokenExpiresAt : undefined,
    scopes: Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string') : undefined,
  }
}

/** Tries, 50 ms apart, for a file that somebody is writing: it is empty at first, then not whole. */
const LOOKS = 5

/** undefined where there is none. A file that is being written at this moment is read once more. */
export async function readLogin(configDir: string): Promise<Login | undefined> {
  for (let read = 0; read < LOOKS; read += 1) {
    const text = await readFile(fileOf(configDir), 'utf8').catch(() => undefined)
    const login = toLogin(text ?? '')
    if (login || text === undefined) return login
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return undefined
}

/**
 * Stores what was renewed and keeps everything else of the file; `isStillOurs` looks at what stands there at the last
 * moment. False: it said no, and nothing was written. The file appears whole or not at all.
 */
export async function storeLogin(
  configDir: string,
  renewed: Login,
  isStillOurs: (present: Login | undefined) => boolean,
): Promise<boolean> {
  const file = fileOf(configDir)
  const draft = `${file}.tmp.${randomUUID()}`
  const text = await readFile(file, 'utf8').catch(() => '')
  if (!isStillOurs(toLogin(text))) return false
  const whole = toRecord(JSON.parse(text)) ?? {}
  const content = JSON.stringify({ ...whole, claudeAiOauth: { ...toRecord(whole['claudeAiOauth']), ...renewed } })
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
    // A worker that is root works for whoever logged in.
    const { uid, gid } = await stat(file)
    if (process.getuid?.() === 0) await handle.chown(uid, gid)
    await handle.close()
    await rename(draft, file)
    return true
  } finally {
    await handle.close().catch(() => undefined)
    await rm(draft, { force: true })
  }
}

/**
 * The file of the login as a run gets it: without a refresh token, and with an end so far away that the CLI never tries
 * to renew it. `accessToken`: another one in its place, where the run must not hold the true one.
 */
export function toRunLogin(
  { accessToken, scopes, subscriptionType, rateLimitTier }: Login,
  standIn?: string,
  now = Date.now(),
): string {
  return JSON.stringify({
    claudeAiOauth: {
      accessToken: standIn ?? accessToken,
      refreshToken: '',
      expiresAt: now + FAR_MS,
      scopes: scopes ?? ['user:inference', 'user:profile'],
      subscriptionType,
      rateLimitTier,
    },
  })
}
