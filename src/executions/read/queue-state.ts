import { fromStore } from '../../platform/redis.js'
import type { AuthStatus, BlockedCredential, QueueState, Readiness, WorkerState } from '../../protocol/service-state.js'
import { SandboxLevel } from '../../protocol/sandbox.js'
import { describeCredentials, listTroubles } from './credential-states.js'
import { canPay, credentialsOf, isTaking } from './expected-start.js'
import type { ReadServices } from '../services.js'

async function listBlocked(store: ReadServices['store']): Promise<BlockedCredential[]> {
  return (await fromStore(store.listBlocked())).map(({ credential, until }) => ({
    credential,
    until: until.toISOString(),
  }))
}

/** The queue and who works on it. */
export async function getQueueState({
  store,
  workers,
  outlook: readOutlook,
  config,
}: ReadServices): Promise<QueueState> {
  const [{ byPriority, parked, delayed, resting }, { running, paused }, present, blocked, outlook] = await Promise.all([
    fromStore(store.count()),
    fromStore(store.countActive()),
    fromStore(workers.list()),
    listBlocked(store),
    fromStore(readOutlook('newer')),
  ])
  const depth = byPriority.high + byPriority.normal + byPriority.low
  const capacity = present.reduce(
    (sum, worker) => sum + (isTaking(worker) && canPay(worker, blocked) ? worker.concurrency : 0),
    0,
  )
  const now = Date.now()
  const start = outlook.startOf(byPriority.high + byPriority.normal + 1)
  return {
    depth,
    byPriority,
    waitingForWorkspace: parked,
    waitingForRetry: delayed,
    waitingForApproval: resting.approval,
    waitingForBudget: resting.budget,
    running: running + paused,
    paused,
    capacity,
    workers: present.map(
      ({ id, host, running, concurrency, draining, credential, pausedBecause, credentials = [] }) => ({
        id,
        host,
        running,
        concurrency,
        draining,
        credential,
        credentials: credentials.length > 1 ? credentials.map(({ name }) => name) : undefined,
        pausedBecause,
      }),
    ),
    blockedCredentials: blocked,
    credentials: describeCredentials(present, blocked, new Date(now)),
    maxDepth: config.maxQueue,
    estimatedWaitSeconds: start === undefined ? null : Math.round((start - now) / 1_000),
    estimatedStartAt: start === undefined ? null : new Date(start).toISOString(),
    estimateSamples: outlook.samples,
  }
}

const describeWorker = ({ claude, authentication }: WorkerState): string =>
  claude.found ? `${claude.message}. ${authentication.message}` : claude.message

/** How Claude is authenticated, as the workers see it. */
export async function getAuthStatus({ workers }: ReadServices): Promise<AuthStatus> {
  const present = await fromStore(workers.list())
  const authenticated = present.some(({ authentication }) => authentication.method !== 'none')
  const [first] = present
  const remedy = first
    ? present.find(({ authentication }) => authentication.remedy !== undefined)?.authentication.remedy
    : 'Start a worker: npm start, or cc-executor worker.'
  return {
    authenticated,
    workers: present.map(({ id, credential, authentication }) => ({ workerId: id, credential, authentication })),
    message: first ? first.authentication.message : 'No worker is connected, so its credentials are unknown.',
    remedy: authenticated ? undefined : remedy,
  }
}

type Parts = Readiness['parts']

function describeWorkers(
  present: readonly WorkerState[],
  { blockedCredentials: blocked, credentials = [] }: Pick<QueueState, 'blockedCredentials' | 'credentials'>,
): Pick<Parts, 'workers' | 'claude' | 'containment'> {
  const [first] = present
  if (!first) {
    const absent = {
      status: 'failed',
      message: 'No worker is connected: start one with npm start, or cc-executor worker.',
    } as const
    return { workers: { ...absent, count: 0 }, claude: absent, containment: absent }
  }
  const usable = present.find(({ claude, authentication }) => claude.found && authentication.method !== 'none') ?? first
  const isUsable = usable.claude.found && usable.authentication.method !== 'none'
  const troubles = [
    ...present.flatMap(({ credentialsProblem }) => credentialsProblem ?? []),
    ...listTroubles(credentials),
  ]
  const weakest =
    present.find(({ containment }) => !containment.strong) ??
    present.find(({ containment }) => containment.files !== true) ??
    first
  const { strong: lifetime, files = false } = weakest.containment
  return {
    workers: describePresence(present, blocked),
    claude: {
      status: isUsable ? (troubles.length > 0 ? 'degraded' : 'ok') : 'failed',
      message: [describeWorker(usable), ...(isUsable ? new Set(troubles) : [])].join(' '),
      version: usable.claude.version,
      defaultModel: usable.claude.defaultModel,
      authentication: usable.authentication,
      account: usable.account,
      credentials,
    },
    containment: {
      status: lifetime && files ? 'ok' : 'degraded',
      message: weakest.containment.detail,
      level: weakest.containment.level,
      lifetime,
      files,
      sandboxes: SandboxLevel.options.filter((level) =>
        present.some(({ containment }) => containment.sandboxes?.includes(level)),
      ),
    },
  }
}

/** A limit that is reached delays executions and refuses none, so it makes nothing `failed`. */
function describePresence(present: readonly WorkerState[], blocked: readonly BlockedCredential[]): Parts['workers'] {
  const count = present.length
  const reached = blocked.filter(({ credential }) =>
    present.some((worker) => credentialsOf(worker).includes(credential)),
  )
  const paused = present.flatMap(({ id, pausedBecause }) =>
    pausedBecause === undefined ? [] : [`worker ${id} accepts no work: ${pausedBecause}`],
  )
  const standby = present.reduce((sum, worker) => sum + (worker.standby?.ready ?? 0), 0)
  if (reached.length === 0 && paused.length === 0) return { status: 'ok', message: `${count} present`, count, standby }
  const limits = reached.map(
    ({ credential, until }) => `the limit of the credential ${credential} is reached until ${until}`,
  )
  return {
    status: 'degraded',
    message: `${count} present; ${[...paused, ...limits].join('; ')}`,
    count,
    standby,
    blockedCredentials: reached.length > 0 ? reached : undefined,
  }
}

/**
 * Whether executions can be accepted and run, part by part. `redisProblem` is what a look at Redis' own settings found.
 */
export async function getReadiness(
  services: ReadServices,
  checkRedis: () => Promise<string | undefined>,
): Promise<Readiness> {
  const down = { status: 'failed', message: 'Unknown: the store cannot be reached.' } as const
  try {
    const problem = await fromStore(checkRedis())
    const [queue, present] = await Promise.all([getQueueState(services), fromStore(services.workers.list())])
    const isFull = queue.depth >= queue.maxDepth
    const parts: Parts = {
      redis: problem === undefined ? { status: 'ok', message: 'answers' } : { status: 'failed', message: problem },
      queue: {
        status: isFull ? 'failed' : 'ok',
        message: isFull ? 'full' : `${queue.depth} waiting`,
        depth: queue.depth,
      },
      ...describeWorkers(present, queue),
    }
    return { status: Object.values(parts).some(({ status }) => status === 'failed') ? 'failed' : 'ok', parts }
  } catch {
    return {
      status: 'failed',
      parts: {
        redis: { status: 'failed', message: 'The store is unavailable.' },
        queue: down,
        workers: { ...down, count: 0 },
        claude: down,
        containment: down,
      },
    }
  }
}
