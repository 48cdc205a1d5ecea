import type { Credentials } from '../command/claude-credentials.js'
import { readLogin } from './login-file.js'

/** The only plan with which both ends of the range choose what they choose with an API key (measured). */
const SAME_AS_KEY = 'max'

/**
 * The model of a run that names none, where the CLI would choose by the kind of credential: with a token of
 * `claude setup-token` it takes a smaller one, and with a login it depends on the plan. Without the long context, which
 * not every plan has. undefined: its own choice is right.
 */
export async function chooseDefaultModel(
  { method, configDir }: Credentials,
  known: string | undefined,
): Promise<string | undefined> {
  const isSubscription = method === 'oauth_token' || method === 'login'
  if (known === undefined || !isSubscription) return undefined
  const plan = configDir === undefined ? undefined : (await readLogin(configDir))?.subscriptionType
  return plan === SAME_AS_KEY ? undefined : known.replace(/\[1m\]$/, '')
}
