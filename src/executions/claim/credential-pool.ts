import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describeEntry, findCredentials } from '../../claude/install/credentials.js'
import type { Credentials } from '../../claude/command/claude-credentials.js'
import {
  environmentOf,
  readCredentialsFile,
  CredentialsFileError,
  type CredentialEntry,
} from '../../claude/install/credentials-file.js'
import { LoginKeeper } from '../../claude/install/login-keeper.js'
import { ConfigError, type Config } from '../../platform/config.js'
import type { Logger } from '../../platform/logger.js'
import { requireNotRunWritable } from '../../platform/run-writable.js'
import { secretsOfEnvironment } from '../../platform/secret-values.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { WorkerCredential } from '../../protocol/service-state.js'
import type { CredentialOffer } from '../store/transitions.js'
import { AccountState } from './account-state.js'
import { highestOf } from './sandbox-levels.js'

const SETTING = 'CC_EXECUTOR_CREDENTIALS_FILE'

/** What a run can pay with. */
export interface PooledCredential {
  /** Under which its limits are kept, the same for all workers that have it. */
  readonly name: string
  readonly weight: number
  readonly credentials: Credentials
  /** The worker's own, with what proves this credential and nothing that proves another one. */
  readonly environment: NodeJS.ProcessEnv
  /** The operator's login, where that is what it is. */
  readonly login: LoginKeeper | undefined
  /** What runs were told of it. */
  readonly account: AccountState
  /** At which it runs executions, least first. */
  readonly sandboxes: readonly SandboxLevel[]
}

export interface CredentialPoolOptions {
  readonly config: Config
  readonly sandboxesOf: (method: Credentials['method']) => readonly SandboxLevel[]
  /** Secrets that must not be told from now on. */
  readonly onSecrets: (secrets: readonly string[]) => void
}

interface Known extends PooledCredential {
  /** undefined: the worker's own environment. */
  readonly entry: CredentialEntry | undefined
  readonly identity: string
}

/**
 * The credentials of a worker: that of its environment, or those of its file, which is read again when it has changed.
 *
 *     file changed, and valid     its entries count from the next claim on; what runs keeps what it began with
 *     file changed, and invalid   the entries before it count, and the problem is told, until it is valid again
 */
export class CredentialPool {
  readonly #options: CredentialPoolOptions
  #known: readonly Known[] = []
  readonly #loginFolders = new Set<string>()
  #seen = ''
  #problem: string | undefined

  /** @throws ConfigError naming the entry of the file and its field */
  constructor(options: CredentialPoolOptions) {
    this.#options = options
    const { config } = options
    this.#seen = this.#stamp()
    this.#known = config.credentialsFile === undefined ? [this.#ofEnvironment()] : this.#read(config.credentialsFile)
  }

  get list(): readonly PooledCredential[] {
    return this.#known
  }

  /** Why the file does not count as it stands. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Where the operator's logins are, or were: no run sees them. */
  get loginFolders(): readonly string[] {
    return [...this.#loginFolders]
  }

  /** Of all of them together. */
  get sandboxes(): readonly SandboxLevel[] {
    const [first, ...others] = this.#known.map(({ sandboxes }) => sandboxes)
    // Levels of one order: the longer list has those of the shorter one.
    return others.reduce((most, levels) => (levels.length > most.length ? levels : most), first ?? [])
  }

  /** For a claim: those that can be used; all of them where none can, so that executions are told why. */
  offer(): readonly PooledCredential[] {
    const usable = this.#known.filter((known) => describeProblem(known) === undefined)
    return usable.length > 0 ? usable : this.#known
  }

  /** Whether it is still here, under its name and with the same value. */
  has(credential: PooledCredential): boolean {
    return this.#known.some(({ account }) => account === credential.account)
  }

  /** Whether its name means another account by now. */
  isReplaced(credential: PooledCredential): boolean {
    return !this.has(credential) && this.#known.some(({ name }) => name === credential.name)
  }

  /** Reads the file where it has changed. True: others count from now on. */
  refresh(logger: Logger): boolean {
    const { credentialsFile } = this.#options.config
    const stamp = this.#stamp()
    if (credentialsFile === undefined || stamp === this.#seen) return false
    this.#seen = stamp
    try {
      this.#known = this.#read(credentialsFile)
      this.#problem = undefined
      logger.info({ credentials: this.#known.map(({ name }) => name) }, 'the credentials were read again')
      return true
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.#problem = error.message
      logger.error(
        { why: error.message },
        'the changed credentials file is not valid; the previous credentials stay in use',
      )
      return false
    }
  }

  /** Looks whether somebody has logged in again. Asks nobody. */
  async recheck(): Promise<void> {
    for (const { login } of this.#known) await login?.recheck()
    const { config } = this.#options
    const options = { simulated: config.simulatorUrl !== undefined }
    this.#known = this.#known.map((known) =>
      known.entry !== undefined && known.credentials.method === 'none'
        ? { ...known, credentials: describeEntry(known.entry, config.environment, options) }
        : known,
    )
  }

  describe(): WorkerCredential[] {
    return this.#known.map((known) => {
      const { name, weight, credentials, account } = known
      const { method, billed } = credentials
      return { name, method, billed, weight, problem: describeProblem(known), ...account.describe() }
    })
  }

  #stamp(): string {
    const { credentialsFile } = this.#options.config
    if (credentialsFile === undefined) return ''
    try {
      const { mtimeMs, ctimeMs, ino, size } = statSync(credentialsFile)
      return [mtimeMs, ctimeMs, ino, size].join(' ')
    } catch {
      return 'missing'
    }
  }

  #ofEnvironment(): Known {
    const { config } = this.#options
    const { environment } = config
    const credentials = findCredentials(environment, { simulated: config.simulatorUrl !== undefined })
    this.#requireUnwritable(credentials)
    // Two kinds of credential are two accounts; those of one kind are told apart by the operator.
    const name = config.credential ?? credentials.method
    const folder = credentials.configDir
    return { ...this.#open(name, 1, credentials, environment, folder), entry: undefined, identity: '' }
  }

  #read(path: string): readonly Known[] {
    const entries = this.#parse(path)
    const { config, onSecrets } = this.#options
    onSecrets(
      entries.flatMap(({ value, variables }) => [
        ...(value === undefined ? [] : [value]),
        ...secretsOfEnvironment(variables, []),
      ]),
    )
    return entries.map((entry) => {
      const { name, weight, kind, value, folder, variables } = entry
      const identity = JSON.stringify([name, kind, value, folder, variables])
      const before = this.#known.find((known) => known.identity === identity)
      if (before) return { ...before, weight, entry }
      const options = { simulated: config.simulatorUrl !== undefined }
      const credentials = describeEntry(entry, config.environment, options)
      const login = options.simulated ? undefined : folder
      if (login !== undefined) this.#requireUnwritable({ configDir: login })
      const environment = environmentOf(entry, config.environment)
      return { ...this.#open(name, weight, credentials, environment, login), entry, identity }
    })
  }

  #parse(path: string): readonly CredentialEntry[] {
    try {
      return readCredentialsFile(path, this.#options.config.poolLogins)
    } catch (error) {
      if (error instanceof CredentialsFileError)
        throw new ConfigError(`${SETTING}: ${path}: ${error.message}.`, { cause: error })
      throw error
    }
  }

  #requireUnwritable({ configDir }: Pick<Credentials, 'configDir'>): void {
    if (configDir === undefined) return
    const path = join(configDir, '.credentials.json')
    const setting = this.#options.config.credentialsFile === undefined ? 'CLAUDE_CONFIG_DIR' : SETTING
    requireNotRunWritable([{ path, setting }], this.#options.config)
  }

  #open(
    name: string,
    weight: number,
    credentials: Credentials,
    environment: NodeJS.ProcessEnv,
    folder: string | undefined,
  ): PooledCredential {
    const { config, sandboxesOf } = this.#options
    const { loginTokenUrl: tokenUrl, environment: env } = config
    if (folder !== undefined) this.#loginFolders.add(folder)
    const login = folder === undefined ? undefined : new LoginKeeper({ configDir: folder, tokenUrl, env })
    return {
      name,
      weight,
      credentials,
      environment,
      login,
      account: new AccountState(login && (() => login.endsAt)),
      sandboxes: sandboxesOf(folder === undefined ? credentials.method : 'login'),
    }
  }
}

/** Why no run could use it, and what to do; undefined: nothing is known against it. */
function describeProblem({ credentials, login }: PooledCredential): string | undefined {
  const { method, message, remedy = '' } = credentials
  if (method === 'none') return `${message} ${remedy}`.trim()
  return login?.isRefused === true ? `${login.problem?.message ?? ''} ${login.problem?.remedy ?? ''}`.trim() : undefined
}

/** As the claim's script takes them. */
export const toOffers = (credentials: readonly PooledCredential[]): CredentialOffer[] =>
  credentials.map(({ name, weight, sandboxes }) => ({ name, weight, highestSandbox: highestOf(sandboxes) }))
