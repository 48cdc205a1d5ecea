import { setTimeout as sleep } from 'node:timers/promises'
import { toRecord, toText } from '../json-shape.js'
import type { Login } from './login-file.js'
import { postJson, type Answer } from './post-json.js'

/** As both CLIs ask (2.1.197 and 2.1.332), with the scopes that the login has. */
const CLIENT_ID = '9d1c250a-e61b-44d9-88ed-5944d1962f5e'
const SCOPES = ['user:profile', 'user:inference']
const ANSWER_MS = 15_000
/** Waits between tries while the server cannot be reached. */
const WAITS_MS = [500, 2_000]

export type Renewal =
  | { readonly kind: 'renewed'; readonly login: Login }
  /** The server has understood, and says no: asking again is of no use. */
  | { readonly kind: 'refused'; readonly why: string }
  /** `isReached`: it has answered something. */
  | { readonly kind: 'failed'; readonly why: string; readonly isReached: boolean }

export const describeError = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const isFinal = ({ status, body }: Answer): boolean => [400, 401, 403].includes(status) && toRecord(body) !== undefined

function nameOf({ status, body }: Answer): string {
  const error = toRecord(body)?.['error']
  const name = toText(error) ?? toText(toRecord(error)?.['type'])
  const shown = name === undefined ? '' : name.slice(0, 100)
  return [status === 0 ? '' : `status ${status}`, shown].filter((part) => part !== '').join(', ')
}

function toRenewed(login: Login, { body }: Answer, now: number): Login | undefined {
  const said = toRecord(body) ?? {}
  const accessToken = toText(said['access_token'])
  if (accessToken === undefined || accessToken === '') return undefined
  const { expires_in: lifetime, refresh_token_expires_in: longest } = said
  const scope = toText(said['scope'])
  return {
    ...login,
    accessToken,
    refreshToken: toText(said['refresh_token']) ?? login.refreshToken ?? '',
    expiresAt: typeof lifetime === 'number' ? now + lifetime * 1_000 : login.expiresAt,
    refreshTokenExpiresAt: typeof longest === 'number' ? now + longest * 1_000 : login.refreshTokenExpiresAt,
    scopes: scope === undefined || scope === '' ? login.scopes : scope.split(' '),
  }
}

/** Spends the refresh token: whoever calls this holds the lock, and stores what comes. */
export async function renewLogin(
  login: Login,
  refreshToken: string,
  { tokenUrl, env, now }: { readonly tokenUrl: string; readonly env: NodeJS.ProcessEnv; readonly now: () => number },
): Promise<Renewal> {
  const { clientId, scopes } = login
  const body = {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: clientId ?? CLIENT_ID,
    scope: (scopes?.length ? scopes : SCOPES).join(' '),
  }
  for (let tries = 0; ; tries += 1) {
    const answer = await postJson(tokenUrl, body, { env, deadlineMs: ANSWER_MS }).catch((error: unknown): Answer => ({
      status: 0,
      body: { error: describeError(error) },
    }))
    if (isFinal(answer)) return { kind: 'refused', why: nameOf(answer) }
    const renewed = answer.status === 200 ? toRenewed(login, answer, now()) : undefined
    if (renewed) return { kind: 'renewed', login: renewed }
    const wait = WAITS_MS[tries]
    if (wait === undefined || answer.status === 200)
      return { kind: 'failed', why: nameOf(answer), isReached: answer.status !== 0 }
    await sleep(wait)
  }
}
