import type { Credentials } from '../command/claude-credentials.js'
import { toRunLogin } from './login-file.js'
import type { LoginKeeper } from './login-keeper.js'

const CLAUDE_API = 'https://api.anthropic.com'
const PLACEHOLDER = 'placeholder'

/** A credential that the worker uses in a run's stead: the run holds nothing of it. */
export interface LentCredential {
  readonly upstream: string
  /** Looked up for each request, as a login is renewed now and then. */
  headers(): Promise<Record<string, string>>
  /** Claude's API did not take the headers of the last request: the next one's are others, if there are any. */
  refuse?(): void
  /** Why there were no headers for the last request. */
  problem?(): unknown
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

const bearer = (token: unknown): Record<string, string> =>
  typeof token === 'string' && token !== '' ? { authorization: `Bearer ${token}` } : {}

/** undefined where only the run itself can prove who it is, as with the clouds. */
export async function lendCredential(
  { method, standIn = 'simulated' }: Credentials,
  env: NodeJS.ProcessEnv,
  simulatorUrl: string | undefined,
  keeper: LoginKeeper | undefined,
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
        variables: { ANTHROPIC_API_KEY: standIn },
        headers: async () => ({ 'x-api-key': standIn }),
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
      if (!keeper) return undefined
      let used: string | undefined
      let refused: string | undefined
      let problem: unknown
      return {
        upstream,
        variables: {},
        // The true kind of subscription is in it: the CLI goes by it.
        login: toRunLogin(await keeper.current(), PLACEHOLDER),
        refuse: () => (refused = used),
        problem: () => problem,
        async headers() {
          problem = undefined
          const { accessToken } = await keeper.current(refused).catch((error: unknown) => {
            problem = error
            throw error
          })
          used = accessToken
          return { ...custom, ...bearer(accessToken) }
        },
      }
    }
    default:
      return undefined
  }
}
