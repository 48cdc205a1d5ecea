import type {
  BlockedCredential,
  ClaudeAccountState,
  CredentialState,
  WorkerCredential,
  WorkerState,
} from '../../protocol/service-state.js'

const DAY_MS = 86_400_000
/** A login that ends within this time is warned of. */
const EXPIRY_NOTICE_MS = 10 * DAY_MS

type Limit = NonNullable<ClaudeAccountState['limits']>[number]

/** What an older worker says of its only one. */
const toOnly = ({ credential: name, authentication, account }: WorkerState): WorkerCredential[] => [
  { name, method: authentication.method, billed: authentication.billed, weight: 1, account },
]

/** Two workers have heard of the same window: the newer one counts, and of one window the fuller. */
function isNewer(one: Limit, other: Limit): boolean {
  const [reset, before] = [one.resetsAt ?? '', other.resetsAt ?? '']
  return reset === before ? (one.utilization ?? 0) > (other.utilization ?? 0) : reset > before
}

function mergeAccounts(accounts: readonly ClaudeAccountState[]): ClaudeAccountState | undefined {
  const limits = new Map<string, Limit>()
  for (const limit of accounts.flatMap((account) => account.limits ?? [])) {
    const known = limits.get(limit.name)
    if (!known || isNewer(limit, known)) limits.set(limit.name, limit)
  }
  const credentialExpiresAt = accounts
    .flatMap((account) => account.credentialExpiresAt ?? [])
    .toSorted()
    .at(-1)
  if (credentialExpiresAt === undefined && limits.size === 0) return undefined
  return { credentialExpiresAt, limits: limits.size === 0 ? undefined : [...limits.values()] }
}

/** Ten days ahead; undefined where it is further away, or not known. */
export function warnOfExpiry(credentialExpiresAt: string | undefined, now: Date): string | undefined {
  if (credentialExpiresAt === undefined) return undefined
  const leftMs = Date.parse(credentialExpiresAt) - now.getTime()
  if (Number.isNaN(leftMs) || leftMs > EXPIRY_NOTICE_MS) return undefined
  const when = leftMs <= 0 ? 'expired' : 'expires'
  return `The login ${when} on ${credentialExpiresAt}; sign in again with \`claude\` on the worker's machine.`
}

/** Every credential of the workers, by its name. */
export function describeCredentials(
  present: readonly WorkerState[],
  blocked: readonly BlockedCredential[],
  now: Date,
): CredentialState[] {
  const byName = new Map<string, WorkerCredential[]>()
  for (const known of present.flatMap((worker) => worker.credentials ?? toOnly(worker)))
    byName.set(known.name, [...(byName.get(known.name) ?? []), known])
  return [...byName].map(([name, known]) => {
    const { method, billed } = known[0] ?? { method: 'none' as const, billed: false }
    const account = mergeAccounts(known.flatMap((one) => one.account ?? []))
    return {
      name,
      method,
      billed,
      workers: known.length,
      blockedUntil: blocked.find(({ credential }) => credential === name)?.until,
      account,
      problem: known.find((one) => one.problem !== undefined)?.problem,
      warning: warnOfExpiry(account?.credentialExpiresAt, now),
    }
  })
}

/** What of them needs somebody's attention, in sentences. */
export const listTroubles = (credentials: readonly CredentialState[]): string[] =>
  credentials.flatMap(({ name, problem, warning }) =>
    [problem, warning].flatMap((text) => (text === undefined ? [] : [`credential ${name}: ${text}`])),
  )
