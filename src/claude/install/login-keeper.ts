import { readLogin, storeLogin, type Login } from './login-file.js'
import { LockTaken, withLoginLock } from './login-lock.js'
import { describeError, renewLogin } from './renew-login.js'

/** A token that ends within this time is renewed before a run gets it; the CLI's own limit is five minutes. */
const MARGIN_MS = 10 * 60_000
const LOCK_WAIT_MS = 60_000
/** While one holds that could not be renewed, the next try comes no sooner. */
const HOLD_MS = 30_000
/** A token that is younger is not exchanged on the word of a run, which could say so again and again. */
const YOUNG_MS = 60_000
/** How soon the followers' token is looked at again where its end is not known. */
const LOOK_MS = 5 * 60_000

const LOG_IN = 'Log in again with `claude`, or set CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`) or ANTHROPIC_API_KEY.'

const WAIT = 'Check the network of the worker if this persists; each execution tries again.'

/** The login cannot be used, in words for people; they hold no token. */
export class LoginError extends Error {
  override readonly name = 'LoginError'
  /** Nobody has refused it: whoever would renew it was not reached, or is busy. Later it may be well again. */
  readonly isTransient: boolean

  constructor(message: string, { isTransient = false }: { readonly isTransient?: boolean } = {}) {
    super(message)
    this.isTransient = isTransient
  }
}

export interface LoginKeeperOptions {
  /** The operator's Claude folder. */
  readonly configDir: string
  /** Where a login is renewed. */
  readonly tokenUrl: string
  /** For the proxy variables. */
  readonly env: NodeJS.ProcessEnv
  readonly now?: () => number
}

export interface Follower {
  release(): void
}

/**
 * The operator's login, which the worker alone reads, renews and stores: a run gets the access token at most, since
 * whoever spends a refresh token makes it void for all others.
 *
 * valid → renewing → valid; renewing → refused, until another login stands in the file.
 */
export class LoginKeeper {
  readonly #options: LoginKeeperOptions
  readonly #followers = new Set<(login: Login) => void>()
  #renewing: Promise<Login> | undefined
  #last: Login | undefined
  /** What the server will not take any more. */
  #refused: string | undefined
  #problem: LoginError | undefined
  /** Renewed, and the disk did not take it: the refresh token in the file is spent. */
  #unstored: { readonly spent: string; readonly login: Login } | undefined
  #blamed: string | undefined
  #holdUntil = 0
  #renewed: { readonly accessToken: string; readonly at: number } | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: LoginKeeperOptions) {
    this.#options = options
  }

  /** What stands in the way of the next run, for people. */
  get problem(): { readonly message: string; readonly remedy: string } | undefined {
    if (this.#problem === undefined) return undefined
    const { message, isTransient } = this.#problem
    return { message: message.replace(` ${LOG_IN}`, ''), remedy: isTransient ? WAIT : LOG_IN }
  }

  /** Somebody must log in again: no run can have it before. */
  get isRefused(): boolean {
    return this.#problem?.isTransient === false
  }

  /** ISO 8601: when a new login is needed at last, where the file says so. */
  get endsAt(): string | undefined {
    const end = this.#last?.refreshTokenExpiresAt
    return end === undefined || !Number.isFinite(new Date(end).getTime()) ? undefined : new Date(end).toISOString()
  }

  /**
   * The login as it stands in the file, renewed where it ends soon. `refused`: an access token that the API did not
   * take, whatever end it claims. @throws LoginError
   */
  async current(refused?: string): Promise<Login> {
    try {
      const login = await this.#look(refused)
      this.#problem = undefined
      this.#tell(login)
      return login
    } catch (error) {
      if (error instanceof LoginError) {
        this.#problem = error
        this.#blamed = (await readLogin(this.#options.configDir))?.accessToken
      }
      throw error
    }
  }

  /** Looks whether the operator has logged in anew since it was a problem. Asks nobody. */
  async recheck(): Promise<void> {
    if (this.#problem === undefined) return
    const login = await readLogin(this.#options.configDir)
    if (login && login.accessToken !== this.#blamed) this.#problem = undefined
  }

  /** Hears of every other access token from now on, until it is released; meanwhile the login is renewed in time. */
  follow(listener: (login: Login) => void): Follower {
    this.#followers.add(listener)
    this.#plan()
    return {
      release: () => {
        this.#followers.delete(listener)
        this.#plan()
      },
    }
  }

  async #look(refused: string | undefined): Promise<Login> {
    const login = await this.#read()
    const { accessToken, at } = this.#renewed ?? { accessToken: undefined, at: 0 }
    const isYoung = refused === accessToken && this.#now() - at < YOUNG_MS
    if (!this.#needsRenewal(login, isYoung ? undefined : refused)) return login
    const isUsable = this.#isUsable(login, refused)
    if (login.refreshToken === undefined || login.refreshToken === this.#refused) {
      if (isUsable) return login
      throw new LoginError(
        'The Claude login has expired and ' +
          `${login.refreshToken === undefined ? 'cannot be renewed' : 'its renewal was refused'}. ${LOG_IN}`,
      )
    }
    if (isUsable && this.#now() < this.#holdUntil) return login
    // Everybody who asks meanwhile waits for the same answer.
    this.#renewing ??= this.#renew(login, refused).finally(() => (this.#renewing = undefined))
    return this.#renewing
  }

  #needsRenewal({ accessToken, expiresAt }: Login, refused: string | undefined): boolean {
    return accessToken === refused || (expiresAt !== undefined && expiresAt <= this.#now() + MARGIN_MS)
  }

  #isUsable({ accessToken, expiresAt }: Login, refused: string | undefined): boolean {
    return accessToken !== refused && (expiresAt === undefined || expiresAt > this.#now())
  }

  async #read(): Promise<Login> {
    const { configDir } = this.#options
    const login = await readLogin(configDir)
    if (!login) throw new LoginError(`The Claude login is missing: its file contains no access token. ${LOG_IN}`)
    const unstored = this.#unstored
    if (unstored === undefined || login.refreshToken !== unstored.spent) return login
    await this.#store(unstored.login, unstored.spent)
    return unstored.login
  }

  async #renew(seen: Login, refused: string | undefined): Promise<Login> {
    const { configDir } = this.#options
    try {
      return await withLoginLock(configDir, LOCK_WAIT_MS, async () => {
        // Whoever held the lock before may have done it.
        const login = await this.#read()
        if (login.accessToken !== seen.accessToken && !this.#needsRenewal(login, refused)) return login
        if (login.refreshToken === undefined) throw new LoginError(`The Claude login cannot be renewed. ${LOG_IN}`)
        return await this.#ask(login, login.refreshToken, refused)
      })
    } catch (error) {
      if (error instanceof LoginError) throw error
      // The folder cannot be written, or somebody sits on the lock: what there is may still do.
      this.#holdUntil = this.#now() + HOLD_MS
      if (this.#isUsable(seen, refused)) return seen
      throw new LoginError(`The Claude login could not be renewed (${describeError(error)}).`, {
        isTransient: error instanceof LockTaken,
      })
    }
  }

  /** Under the lock. */
  async #ask(login: Login, refreshToken: string, refused: string | undefined): Promise<Login> {
    const { tokenUrl, env } = this.#options
    const renewal = await renewLogin(login, refreshToken, { tokenUrl, env, now: () => this.#now() })
    if (renewal.kind === 'renewed') {
      this.#renewed = { accessToken: renewal.login.accessToken, at: this.#now() }
      await this.#store(renewal.login, refreshToken)
      // What came meanwhile is the operator's word.
      return this.#read()
    }
    const present = await this.#read()
    // The operator has logged in anew meanwhile: that is not what was refused.
    if (present.refreshToken !== refreshToken && this.#isUsable(present, refused)) return present
    if (renewal.kind === 'refused') this.#refused = refreshToken
    else this.#holdUntil = this.#now() + HOLD_MS
    if (this.#isUsable(login, refused)) return login
    if (renewal.kind === 'refused')
      throw new LoginError(`The Claude login has expired and its renewal was refused (${renewal.why}). ${LOG_IN}`)
    const fault = renewal.isReached ? 'did not renew it' : 'could not be reached to renew it'
    throw new LoginError(
      `The access token of the Claude login has expired, and ${new URL(tokenUrl).origin} ${fault} ` +
        `(${renewal.why}). The login may still be valid: try again later.`,
      { isTransient: true },
    )
  }

  async #store(renewed: Login, spent: string): Promise<void> {
    this.#unstored = { spent, login: renewed }
    const store = storeLogin(this.#options.configDir, renewed, (present) => present?.refreshToken === spent)
    await store.then(
      () => (this.#unstored = undefined),
      () => undefined,
    )
  }

  #tell(login: Login): void {
    const before = this.#last
    this.#last = login
    if (before?.accessToken === login.accessToken && before.expiresAt === login.expiresAt) return
    if (before?.accessToken !== login.accessToken) for (const listener of this.#followers) listener(login)
    this.#plan()
  }

  /** One look ahead while anybody follows. */
  #plan(): void {
    clearTimeout(this.#timer)
    if (this.#followers.size === 0) return
    const { expiresAt } = this.#last ?? {}
    const untilDue = expiresAt === undefined ? LOOK_MS : expiresAt - MARGIN_MS - this.#now()
    const wait = Math.min(Math.max(untilDue, HOLD_MS), LOOK_MS)
    this.#timer = setTimeout(() => {
      this.current().then(
        () => this.#plan(),
        () => this.#plan(),
      )
    }, wait)
    this.#timer.unref()
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }
}
