import type { CredentialPool } from '../../executions/claim/credential-pool.js'
import type { WorkerState } from '../../protocol/service-state.js'

type Described = Pick<WorkerState, 'credential' | 'credentials' | 'credentialsProblem' | 'authentication' | 'account'>

/** What a worker says of its credentials, in the fields of one for all that know of no more. */
export function describeCredentials(pool: CredentialPool): Described {
  const credentials = pool.describe()
  const isUsable = (name: string): boolean =>
    credentials.some((credential) => credential.name === name && credential.problem === undefined)
  const [first] = pool.list
  const chosen = pool.list.find(({ name }) => isUsable(name)) ?? first
  if (!first || !chosen) throw new Error('a worker has a credential, and be it none')
  const { method, source, billed, message, remedy } = chosen.credentials
  const { problem: trouble } = chosen.login ?? {}
  const names = pool.list.map(({ name, credentials: { method: kind, message: described } }) =>
    kind === 'simulated' ? `${name} (simulated)` : described,
  )
  return {
    credential: first.name,
    credentials,
    credentialsProblem: pool.problem,
    authentication: {
      method: trouble ? 'none' : method,
      source,
      billed,
      message: names.length === 1 ? message : `${names.length} credentials are used: ${names.join(', ')}.`,
      remedy,
      ...trouble,
    },
    account: pool.list.length === 1 ? credentials[0]?.account : undefined,
  }
}
