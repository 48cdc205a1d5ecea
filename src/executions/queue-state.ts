import { fromStore } from '../platform/redis.js'
import type { AuthStatus, QueueState, Readiness, WorkerState } from '../protocol/service-state.js'
import type { DomainServices } from './services.js'

/** The queue and who works on it. */
export async function getQueueState({ store, workers, config }: DomainServices): Promise<QueueState> {
  const [{ byPriority, parked, active }, present] = await Promise.all([fromStore(store.count()), fromStore(workers.list())])
  const records = await fromStore(store.getMany(active))
  const started = records.filter(({ state }) => state === 'running' || state === 'paused')
  const depth = byPriority.high + byPriority.normal + byPriority.low
  const capacity = present.reduce((sum, { concurrency, draining }) => sum + (draining ? 0 : concurrency), 0)
  return {
    depth,
    byPriority,
    waitingForWorkspace: parked,
    running: started.length,
    paused: started.filter(({ state }) => state === 'paused').length,
    capacity,
    workers: present.map(({ id, host, running, concurrency, draining, credential }) => ({ id, host, running, concurrency, draining, credential })),
    maxDepth: config.maxQueue,
    // With a free place and nobody waiting a new one starts at once; what longer waits take is not known before there is a history.
    estimatedWaitSeconds: depth === 0 && active.length < capacity ? 0 : null,
  }
}

const describeWorker = ({ claude, authentication }: WorkerState): string => (claude.found ? authentication.message : claude.message)

/** How Claude is authenticated, as the workers see it. */
export async function getAuthStatus({ workers }: DomainServices): Promise<AuthStatus> {
  const present = await fromStore(workers.list())
  const authenticated = present.some(({ authentication }) => authentication.method !== 'none')
  const remedy = present.find(({ authentication }) => authentication.remedy !== undefined)?.authentication.remedy
  const [first] = present
  return {
    authenticated,
    workers: present.map(({ id, credential, authentication }) => ({ workerId: id, credential, authentication })),
    message: first ? first.authentication.message : 'No worker is present, so nothing is known of its credentials.',
    ...(!first ? { remedy: 'Start a worker: npm start, or cc-executor worker.' } : !authenticated && remedy !== undefined ? { remedy } : {}),
  }
}

type Parts = Readiness['parts']

function describeWorkers(present: readonly WorkerState[]): Pick<Parts, 'workers' | 'claude' | 'containment'> {
  const [first] = present
  if (!first) {
    const absent = { status: 'failed', message: 'No worker is present: start one with npm start, or cc-executor worker.' } as const
    return { workers: { ...absent, count: 0 }, claude: absent, containment: absent }
  }
  const usable = present.find(({ claude, authentication }) => claude.found && authentication.method !== 'none') ?? first
  const isUsable = usable.claude.found && usable.authentication.method !== 'none'
  const weakest = present.find(({ containment }) => !containment.strong) ?? first
  return {
    workers: { status: 'ok', message: `${present.length} present`, count: present.length },
    claude: {
      status: !isUsable ? 'failed' : usable.claude.tested ? 'ok' : 'degraded',
      message: isUsable && !usable.claude.tested ? usable.claude.message : describeWorker(usable),
      ...(usable.claude.version !== undefined && { version: usable.claude.version }),
      authentication: usable.authentication,
    },
    containment: { status: weakest.containment.strong ? 'ok' : 'degraded', message: weakest.containment.detail, level: weakest.containment.level },
  }
}

/** Whether executions can be accepted and run, part by part. `redisProblem` is what a look at Redis' own settings found. */
export async function getReadiness(services: DomainServices, checkRedis: () => Promise<string | undefined>): Promise<Readiness> {
  const down = { status: 'failed', message: 'Not known: the store cannot be reached.' } as const
  try {
    const problem = await fromStore(checkRedis())
    const [queue, present] = await Promise.all([getQueueState(services), fromStore(services.workers.list())])
    const isFull = queue.depth >= queue.maxDepth
    const parts: Parts = {
      redis: problem === undefined ? { status: 'ok', message: 'answers' } : { status: 'failed', message: problem },
      queue: { status: isFull ? 'failed' : 'ok', message: isFull ? 'full' : `${queue.depth} waiting`, depth: queue.depth },
      ...describeWorkers(present),
    }
    return { status: Object.values(parts).some(({ status }) => status === 'failed') ? 'failed' : 'ok', parts }
  } catch {
    return { status: 'failed', parts: { redis: { status: 'failed', message: 'The store cannot be reached.' }, queue: down, workers: { ...down, count: 0 }, claude: down, containment: down } }
  }
}
