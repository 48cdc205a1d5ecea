import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Credentials } from '../command/claude-credentials.js'
import { toRecord } from '../json-shape.js'

const CLAUDE_API = 'https://api.anthropic.com'
const PLACEHOLDER = 'placeholder'
const FAR_MS = 10 * 365 * 86_400_000

/** A credential that the worker uses in a run's stead: the run holds nothing of it. */
export interface LentCredential {
  readonly upstream: string
  /** Looked up for each request, as a login is renewed by others. */
  headers(): Promise<Record<string, string>>
  /** What the CLI needs to see in its place. */
  readonly variables: Readonly<Record<string, string>>
  /** The same as a file of its configuration folder. */
  readonly login?: string
}

/** Headers that the operator adds to every request, one a line. */
function readCustomHeaders(text = ''): Record<string, string> {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^\s*([\w-]+)\s*:\s*(.*?)\s*$/.exec(line) ?? []
      return name === undefined || value === undefined ? [] : [[name.toLowerCase(), value]]
    }),
  )
}

async function readLogin(configDir: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(configDir, '.credentials.json'), 'utf8')
  // The operator may write it at this moment.
  try {
    return toRecord(toRecord(JSON.parse(text))?.['claudeAiOauth']) ?? {}
  } catch {
    return {}
  }
}

const bearer = (token: unknown): Record<string, string> =>
  typeof token === 'string' && token !== '' ? { authorization: `Bearer ${token}` } : {}

/** undefined where only the run itself can prove who it is, as with the clouds. */
export async function lendCredential(
  { method, configDir }: Credentials,
  env: NodeJS.ProcessEnv,
  simulatorUrl: string | undefined,
): Promise<LentCredential | undefined> {
  const custom = readCustomHeaders(env['ANTHROPIC_CUSTOM_HEADERS'])
  const upstream = simulatorUrl ?? (env['ANTHROPIC_BASE_URL'] || CLAUDE_API)
  const fixed = (headers: Record<string, string>, variables: Record<string, string>): LentCredential => ({
    upstream,
    variables,
    headers: async () => ({ ...custom, ...headers }),
  })
  switch (method) {
    case 'simulated':
      return {
        upstream,
        variables: { ANTHROPIC_API_KEY: 'simulated' },
        headers: async () => ({ 'x-api-key': 'simulated' }),
      }
    case 'api_key':
      return fixed(
        { 'x-api-key': env['ANTHROPIC_API_KEY'] ?? '', ...bearer(env['ANTHROPIC_AUTH_TOKEN']) },
        { ANTHROPIC_API_KEY: PLACEHOLDER },
      )
    case 'auth_token':
      return fixed(bearer(env['ANTHROPIC_AUTH_TOKEN']), { ANTHROPIC_AUTH_TOKEN: PLACEHOLDER })
    case 'oauth_token':
      return fixed(bearer(env['CLAUDE_CODE_OAUTH_TOKEN']), { CLAUDE_CODE_OAUTH_TOKEN: PLACEHOLDER })
    case 'login': {
      if (configDir === undefined) return undefined
      const { subscriptionType, scopes } = await readLogin(configDir)
      // It never ends, so that the CLI never tries to renew it; the true kind of subscription decides the model.
      const claudeAiOauth = {
        accessToken: PLACEHOLDER,
        refreshToken: '',
        expiresAt: Date.now() + FAR_MS,
        scopes: scopes ?? ['user:inference', 'user:profile'],
        ...(subscriptionType !== undefined && { subscriptionType }),
      }
      return {
        upstream,
        variables: {},
        login: JSON.stringify({ claudeAiOauth }),
        headers: async () => ({ ...custom, ...bearer((await readLogin(configDir))['accessToken']) }),
      }
    }
    default:
      return undefined
  }
}
