import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { describeEntry, findCredentials } from '../../claude/install/credentials.js'
import { type Credentials } from '../../claude/command/claude-credentials.js'
import { readCredentialsFile, type CredentialEntry } from '../../claude/install/credentials-file.js'
import { toLogin } from '../../claude/install/login-file.js'
import { warnOfExpiry } from '../../executions/read/credential-states.js'
import type { Config } from '../../platform/config.js'
import { fail, ok, warn, type Finding, type Verdict } from './finding.js'

const PART = 'credentials'
const SETTING = 'CC_EXECUTOR_CREDENTIALS_FILE'
const SIGN_IN = 'sign in again with `claude` on this machine'

/** Those of the file, or none. @throws CredentialsFileError */
export const listEntries = ({ credentialsFile, poolLogins }: Config): readonly CredentialEntry[] =>
  credentialsFile === undefined ? [] : readCredentialsFile(credentialsFile, poolLogins)

/** What a worker would pay with, as far as the file can be read. */
export function listMethods(config: Config): Array<Credentials['method']> {
  const options = { simulated: config.simulatorUrl !== undefined }
  if (config.credentialsFile === undefined) return [findCredentials(config.environment, options).method]
  try {
    return listEntries(config).map((entry) => describeEntry(entry, config.environment, options).method)
  } catch {
    return ['none']
  }
}

/** Everything that would serve, best first: what counts, then what would count without it. */
function rankCredentials(environment: NodeJS.ProcessEnv, rest: NodeJS.ProcessEnv = environment): Credentials[] {
  const found = findCredentials(rest, { simulated: false })
  if (found.method === 'none') return []
  return found.method === 'login'
    ? [found]
    : [found, ...rankCredentials(environment, { ...rest, [found.source]: undefined })]
}

/** A login whose end is near, or past; undefined: it is not, or is not known. */
function checkExpiry(folder: string | undefined, now: Date): Finding[] {
  if (folder === undefined) return []
  const end = readLoginEnd(folder)
  const warning = warnOfExpiry(end, now)
  return warning === undefined ? [] : [{ part: PART, ...warn(`the login in ${folder} expires on ${end}`, SIGN_IN) }]
}

function readLoginEnd(folder: string): string | undefined {
  try {
    const end = toLogin(readFileSync(join(folder, '.credentials.json'), 'utf8'))?.refreshTokenExpiresAt
    return end === undefined ? undefined : new Date(end).toISOString()
  } catch {
    return undefined
  }
}

function checkFile(config: Config, now: Date): Finding[] {
  const { environment } = config
  let entries: readonly CredentialEntry[]
  try {
    entries = listEntries(config)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [{ part: PART, ...fail(`${SETTING}: ${message}`, 'correct it: a worker does not start with it') }]
  }
  const findings = entries.flatMap((entry): Finding[] => {
    const { method, message, remedy = SIGN_IN, warnings } = describeEntry(entry, environment, { simulated: false })
    const state =
      method === 'none' ? fail(`${entry.name}: ${message}`, remedy) : ok(`${message}, weight ${entry.weight}`)
    return [
      { part: PART, ...state },
      ...checkExpiry(entry.folder, now),
      ...warnings.map((warning): Finding => ({
        part: PART,
        ...warn(`${entry.name}: ${warning}`, `correct ${SETTING}`),
      })),
    ]
  })
  const [unused] = rankCredentials(environment).filter(({ method }) => method !== 'login')
  if (!unused) return findings
  const set = warn(`${unused.source} is set and not used: ${SETTING} takes its place`, `unset ${unused.source}`)
  return [...findings, { part: PART, ...set }]
}

export function checkCredentials(config: Config, now = new Date()): Finding[] {
  const { environment, simulatorUrl } = config
  if (simulatorUrl !== undefined)
    return [{ part: PART, ...ok('simulated: a scripted model answers, no credentials are needed') }]
  if (config.credentialsFile !== undefined) return checkFile(config, now)
  const [first, ...others] = rankCredentials(environment)
  if (first === undefined) {
    const { message, remedy = '' } = findCredentials(environment, { simulated: false })
    return [{ part: PART, ...fail(message, `${remedy} Without an account: npm start -- --simulate`) }]
  }
  const billed = first.billed ? 'billed per use' : 'not billed per use'
  const counts: Verdict =
    others.length === 0
      ? ok(`${first.source}, ${billed}`)
      : warn(
          `${first.source} is used and is ${billed}; ${others.map(({ source }) => source).join(' and ')} ` +
            `${others.length === 1 ? 'does' : 'do'} not`,
          `unset ${first.source} if that is not intended`,
        )
  return [
    { part: PART, ...counts },
    ...checkExpiry(first.configDir, now),
    ...first.warnings.map((warning): Finding => ({
      part: PART,
      ...warn(warning, 'see How Claude is authenticated in README.md'),
    })),
  ]
}
