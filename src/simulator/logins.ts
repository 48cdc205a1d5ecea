/**
 * Logins of a claude.ai account, as far as the CLI and whoever renews them meet them: access tokens that end, refresh
 * tokens that hold for one renewal. A token that was never given out is nobody's to refuse.
 */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { isRecord } from './json.js'
import { sendJson } from './send-reply.js'

export interface IssuedLogin {
  readonly accessToken: string
  readonly refreshToken: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export interface Logins {
  issue(lifetimeSeconds?: number): IssuedLogin
  /** From now on the Messages API answers 401 to it. */
  expire(accessToken: string): void
  /** From now on its renewal is refused for good. */
  revoke(refreshToken: string): void
  /** Renewals fail with this status, for so many of them. */
  failNext(status: number, times?: number): void
  /** From now on they do no more. */
  recover(): void
  /** Renewals wait for it before they are answered. */
  hold(until: Promise<unknown>): void
  /** Every renewal that was asked for, in order. */
  readonly renewals: ReadonlyArray<{ readonly refreshToken: string; readonly status: number }>
}

const DEFAULT_LIFETIME_SECONDS = 8 * 3_600
const REMEMBERED = 500

export class LoginDesk implements Logins {
  readonly #ends = new Map<string, number>()
  readonly #renewable = new Set<string>()
  readonly #failures: number[] = []
  readonly renewals: Array<{ refreshToken: string; status: number }> = []
  #count = 0
  #held: Promise<unknown> = Promise.resolve()

  issue(lifetimeSeconds = DEFAULT_LIFETIME_SECONDS): IssuedLogin {
    this.#count += 1
    const accessToken = `simulated-access-${this.#count}`
    const refreshToken = `simulated-refresh-${this.#count}`
    const expiresAt = Date.now() + lifetimeSeconds * 1_000
    this.#ends.set(accessToken, expiresAt)
    this.#renewable.add(refreshToken)
    const [oldest] = this.#ends.size > REMEMBERED ? this.#ends.keys() : []
    if (oldest !== undefined) this.#ends.delete(oldest)
    return { accessToken, refreshToken, expiresAt }
  }

  expire(accessToken: string): void {
    this.#ends.set(accessToken, 0)
  }

  revoke(refreshToken: string): void {
    this.#renewable.delete(refreshToken)
  }

  failNext(status: number, times = 1): void {
    this.#failures.push(...Array.from({ length: times }, () => status))
  }

  recover(): void {
    this.#failures.length = 0
  }

  hold(until: Promise<unknown>): void {
    this.#held = until
  }

  /** Whether the API takes it. */
  admits({ authorization }: IncomingHttpHeaders): boolean {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1]
    return token === undefined || (this.#ends.get(token) ?? Infinity) > Date.now()
  }

  /** `POST /v1/oauth/token`. */
  async renew(body: string, response: ServerResponse): Promise<void> {
    let asked: unknown
    try {
      asked = JSON.parse(body)
    } catch {
      asked = undefined
    }
    const token = isRecord(asked) ? asked['refresh_token'] : undefined
    const isRenewal = isRecord(asked) && asked['grant_type'] === 'refresh_token'
    const refreshToken = isRenewal && typeof token === 'string' ? token : ''
    await this.#held
    const failure = this.#failures.shift()
    const status = failure ?? (this.#renewable.delete(refreshToken) ? 200 : 400)
    this.renewals.push({ refreshToken, status })
    if (this.renewals.length > REMEMBERED) this.renewals.shift()
    if (status !== 200) {
      const error = failure === undefined ? 'invalid_grant' : 'server_error'
      return sendJson(response, status, { error, error_description: 'Refresh token not found or invalid' })
    }
    const login = this.issue()
    return sendJson(response, 200, {
      token_type: 'Bearer',
      access_token: login.accessToken,
      refresh_token: login.refreshToken,
      expires_in: DEFAULT_LIFETIME_SECONDS,
      scope: 'user:inference user:profile',
    })
  }
}
