import { createServer } from 'node:net'
import { readLocalToken } from '../../cli/find-service.js'
import type { Config } from '../../platform/config.js'
import { CredentialState, type ClaudeAccountState } from '../../protocol/service-state.js'
import { Webhook } from '../../protocol/webhooks.js'
import { findService } from '../../platform/service-record.js'
import { VERSION } from '../../platform/version.js'
import { describeError, fail, ok, warn, type Verdict } from './finding.js'

type LimitShown = NonNullable<ClaudeAccountState['limits']>[number]

const DEADLINE_MS = 3_000
const EVERYWHERE: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }

const tryToListen = ({ host, port }: Config): Promise<string | undefined> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (error) => resolve(describeError(error)))
    probe.listen({ host, port }, () => probe.close(() => resolve(undefined)))
  })

export async function askService(url: string, token?: string): Promise<Record<string, unknown> | undefined> {
  try {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(DEADLINE_MS) })
    const body: unknown = await response.json()
    // Safe: an object, of which every member is looked at as unknown.
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** What the parts of /health/ready say that are not well. */
function listTroubles(readiness: Record<string, unknown> | undefined): string[] {
  // Safe: as above; what does not look like a part is passed over.
  const parts = Object.entries((readiness?.['parts'] ?? {}) as Record<string, { status?: unknown; message?: unknown }>)
  return parts.filter(([, { status }]) => status !== 'ok').map(([name, { message }]) => `${name}: ${String(message)}`)
}

const toPercent = ({ name, utilization, resetsAt }: LimitShown): string =>
  `${name} ${utilization === undefined ? 'reached' : `${Math.round(utilization * 100)} %`}` +
  (resetsAt === undefined ? '' : ` until ${resetsAt}`)

/** What a service says of its credentials in GET /queue. undefined: it knows nothing of their limits. */
export function describeLimits(credentials: unknown): Verdict | undefined {
  const { data: known = [] } = CredentialState.array().safeParse(credentials)
  const described = known.flatMap(({ name, blockedUntil, account, problem, warning }) => {
    const states = [
      ...(blockedUntil === undefined ? [] : [`its limit is reached until ${blockedUntil}`]),
      ...(account?.limits ?? []).map(toPercent),
      ...[problem, warning].flatMap((text) => text ?? []),
    ]
    return states.length === 0 ? [] : [`${name}: ${states.join(', ')}`]
  })
  if (described.length === 0) return undefined
  const isUrgent = known.some(({ blockedUntil, problem, warning }) => blockedUntil ?? problem ?? warning)
  return isUrgent
    ? warn(described.join('; '), 'wait until the limit resets, add a credential, or do as it says')
    : ok(described.join('; '))
}

/** What a service says of its webhooks in GET /webhooks. undefined: it has none. */
export function describeWebhooks(webhooks: unknown): Verdict | undefined {
  const { data: known = [] } = Webhook.array().safeParse(webhooks)
  if (known.length === 0) return undefined
  const troubles = known.flatMap(({ id, disabledReason, failingSince }) => {
    if (disabledReason === 'failing' || disabledReason === 'gone') return [`${id} was disabled (${disabledReason})`]
    return failingSince === undefined || disabledReason !== undefined ? [] : [`${id} fails since ${failingSince}`]
  })
  return troubles.length === 0
    ? ok(`${known.length}, none fails`)
    : warn(
        troubles.join('; '),
        'cc-executor webhook deliveries ID shows why; a disabled one begins again by PATCH /webhooks/ID {"enabled": true}',
      )
}

/** Of the service that is recorded in the data folder: its address is its own, so the token goes to nobody else. */
async function askOwn(config: Config, path: string): Promise<Record<string, unknown> | undefined> {
  const service = await findService(config.dataDir)
  if (!service) return undefined
  const token = config.token ?? (await readLocalToken(config).catch(() => undefined))
  return askService(`${service.url}${path}`, token)
}

export const checkLimits = async (config: Config): Promise<Verdict | undefined> =>
  describeLimits((await askOwn(config, '/queue'))?.['credentials'])

export const checkWebhooks = async (config: Config): Promise<Verdict | undefined> =>
  describeWebhooks((await askOwn(config, '/webhooks?limit=200'))?.['webhooks'])

/** Whether the port is free, or ours already. */
export async function checkPort(config: Config): Promise<Verdict> {
  const { host, port } = config
  const place = `${host}:${port}`
  const why = await tryToListen(config)
  if (why === undefined) return ok(port === 0 ? `${host}, any free port` : `${place} is free`)
  if (why === 'EACCES') return fail(`${place} cannot be opened by this user`, 'set CC_EXECUTOR_PORT to one above 1023')
  if (why !== 'EADDRINUSE')
    return fail(`${host} is not an address of this machine (${why})`, 'correct CC_EXECUTOR_HOST')
  const base = `http://${EVERYWHERE[host] ?? (host.includes(':') ? `[${host}]` : host)}:${port}`
  const health = await askService(`${base}/health`)
  if (health?.['service'] !== 'cc-executor')
    return fail(`something else listens on ${place}`, 'stop it, or set CC_EXECUTOR_PORT (0 takes any free one)')
  if (health['version'] !== VERSION)
    return warn(
      `cc-executor ${String(health['version'])} runs on ${place}, but this is ${VERSION}`,
      'stop it and start this one',
    )
  const troubles = listTroubles(await askService(`${base}/health/ready`))
  if (troubles.length > 0)
    return warn(
      `cc-executor runs on ${place}, and has problems: ${troubles.join('; ')}`,
      `curl -H "Authorization: Bearer $(cc-executor token)" ${base}/health/ready`,
    )
  return ok(`cc-executor ${VERSION} runs on ${place} already${health['simulated'] === true ? ', simulated' : ''}`)
}
