import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Credentials } from '../command/claude-credentials.js'
import { environmentOf, type CredentialEntry } from './credentials-file.js'
import { toLogin } from './login-file.js'

export interface CredentialOptions {
  readonly simulated: boolean
  readonly now?: number
  readonly platform?: NodeJS.Platform
}

const REMEDY =
  'Set ANTHROPIC_API_KEY (billed per token), or run `claude setup-token` and set ' +
  'CLAUDE_CODE_OAUTH_TOKEN (uses your subscription), or log in with `claude` on this machine.'

const CLOUDS = [
  { variable: 'CLAUDE_CODE_USE_BEDROCK', method: 'bedrock', name: 'Amazon Bedrock' },
  { variable: 'CLAUDE_CODE_USE_VERTEX', method: 'vertex', name: 'Google Vertex AI' },
  { variable: 'CLAUDE_CODE_USE_FOUNDRY', method: 'foundry', name: 'Microsoft Foundry' },
] as const

/** The file of the operator's login and the setting that leads to it, where runs use it. */
export const listLoginFiles = ({
  configDir,
}: {
  readonly configDir?: string | undefined
}): { path: string; setting: string }[] =>
  configDir === undefined ? [] : [{ path: join(configDir, '.credentials.json'), setting: 'CLAUDE_CONFIG_DIR' }]

/** Looks in the CLI's own order: a cloud provider, then the key and the tokens in variables, then a login. */
export function findCredentials(env: NodeJS.ProcessEnv, options: CredentialOptions): Credentials {
  if (options.simulated) {
    return {
      method: 'simulated',
      source: 'the built-in simulator',
      billed: false,
      message: 'A scripted model answers, not Claude; no account is used.',
      warnings: [],
    }
  }
  const cloud = CLOUDS.find(({ variable }) => isSwitchedOn(env[variable]))
  if (cloud !== undefined) {
    return {
      method: cloud.method,
      source: cloud.variable,
      billed: true,
      message: `Claude is reached through ${cloud.name} (${cloud.variable}) and billed there.`,
      warnings: warnOfCloudHome(cloud.method, env),
    }
  }

  const login = findLogin(env, options)
  const hasLogin = login.configDir !== undefined
  if (env['ANTHROPIC_API_KEY']) {
    const others = ['CLAUDE_CODE_OAUTH_TOKEN'].filter((name) => env[name])
    const outranked = [...others, ...(hasLogin ? [`the login in ${login.source}`] : [])]
    return {
      method: 'api_key',
      source: 'ANTHROPIC_API_KEY',
      billed: true,
      message:
        'ANTHROPIC_API_KEY is used and billed per ' +
        `token${outranked.length === 0 ? '.' : `; it outranks ${outranked.join(' and ')}. Unset it to use the subscription.`}`,
      warnings: env['ANTHROPIC_AUTH_TOKEN']
        ? [
            'ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN are both set, and the CLI sends both; unset the one that ' +
              'is not intended.',
          ]
        : [],
    }
  }
  if (env['ANTHROPIC_AUTH_TOKEN']) {
    return {
      method: 'auth_token',
      source: 'ANTHROPIC_AUTH_TOKEN',
      billed: true,
      message: 'ANTHROPIC_AUTH_TOKEN is used; the operator of the gateway bills for it.',
      warnings: [],
    }
  }
  if (env['CLAUDE_CODE_OAUTH_TOKEN']) {
    return {
      method: 'oauth_token',
      source: 'CLAUDE_CODE_OAUTH_TOKEN',
      billed: false,
      message:
        'CLAUDE_CODE_OAUTH_TOKEN is used: the subscription that it belongs ' +
        `to${hasLogin ? ` (it outranks the login in ${login.source})` : ''}.`,
      warnings: [],
    }
  }
  return login
}

/** One of several, as the operator's file has it. A login that cannot be used for now is `none`. */
export function describeEntry(
  entry: CredentialEntry,
  environment: NodeJS.ProcessEnv,
  options: CredentialOptions,
): Credentials {
  const { name, kind } = entry
  if (options.simulated) return { ...findCredentials({}, options), standIn: `simulated-${name}` }
  const found = findCredentials(environmentOf(entry, environment), options)
  if (found.method === 'none') return found
  const billed = found.billed ? 'billed per use' : 'paid by its subscription'
  return {
    ...found,
    source: kind === 'login' ? found.source : 'CC_EXECUTOR_CREDENTIALS_FILE',
    message: `${name} (${kind}, ${billed})`,
  }
}

function isSwitchedOn(value: string | undefined): boolean {
  return value !== undefined && ['1', 'true', 'yes', 'on'].includes(value.toLowerCase())
}

/** A run has a home of its own, so what the cloud's tools keep under the operator's home is out of its sight. */
function warnOfCloudHome(method: 'bedrock' | 'vertex' | 'foundry', env: NodeJS.ProcessEnv): string[] {
  if (
    method === 'bedrock' &&
    ![
      'AWS_ACCESS_KEY_ID',
      'AWS_BEARER_TOKEN_BEDROCK',
      'AWS_SHARED_CREDENTIALS_FILE',
      'AWS_WEB_IDENTITY_TOKEN_FILE',
      'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
    ].some((name) => env[name])
  ) {
    return [
      'Runs have a separate home folder and do not see ~/.aws: set AWS_SHARED_CREDENTIALS_FILE and ' +
        'AWS_CONFIG_FILE, or the AWS keys themselves.',
    ]
  }
  if (method === 'vertex' && !env['GOOGLE_APPLICATION_CREDENTIALS']) {
    return ['Runs have a separate home folder and do not see ~/.config/gcloud: set GOOGLE_APPLICATION_CREDENTIALS.']
  }
  return []
}

/** Where the operator's own CLI keeps its login, instructions and sessions. */
export const operatorClaudeFolder = (env: NodeJS.ProcessEnv): string =>
  env['CLAUDE_CONFIG_DIR'] || join(env['HOME'] || homedir(), '.claude')

function findLogin(
  env: NodeJS.ProcessEnv,
  { now = Date.now(), platform = process.platform }: CredentialOptions,
): Credentials {
  const configDir = operatorClaudeFolder(env)
  const file = join(configDir, '.credentials.json')

  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
      return none(
        'A Claude login exists, but its file cannot be read by this user.',
        'Run the service as the user who logged in, or set CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`).',
      )
    return platform === 'darwin'
      ? none(
          'No Claude credentials were found; a login on macOS is kept in the keychain, which a run cannot use.',
          'Run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN to what it prints, or set ANTHROPIC_API_KEY.',
        )
      : none('No Claude credentials were found.')
  }

  const oauth = toLogin(text)
  if (oauth === undefined)
    return none(
      'The file of the Claude login contains no access token.',
      'Log in again with `claude`, or set CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY.',
    )
  const expired = oauth.expiresAt !== undefined && oauth.expiresAt <= now
  if (expired && oauth.refreshToken === undefined)
    return none(
      'The Claude login has expired and cannot be renewed.',
      'Log in again with `claude`, or set CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`).',
    )
  return {
    method: 'login',
    source: file,
    billed: false,
    message: `The Claude login in ${configDir} is used${oauth.subscriptionType === undefined ? '' : ` (plan: ${oauth.subscriptionType})`}.`,
    configDir,
    warnings: isWritable(configDir)
      ? []
      : ['The folder of the Claude login cannot be written: a login that expires cannot be renewed.'],
  }
}

function none(message: string, remedy = REMEDY): Credentials {
  return { method: 'none', source: 'none', billed: false, message, remedy, warnings: [] }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
