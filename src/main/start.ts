import { createServer } from 'node:net'
import { join } from 'node:path'
import { openSimulator } from '../simulator/simulator.js'
import { ConfigError, readConfig, type Config } from '../platform/config.js'
import { openWithin } from '../platform/lifetime.js'
import { requireRedis } from '../platform/redis.js'
import { openRedisServer, splitPath } from '../platform/redis-server.js'
import type { WorkerState } from '../protocol/service-state.js'
import { openDataFolder } from './open-data-folder.js'
import { openServiceProcess } from './service-process.js'

export interface StartOptions {
  readonly environment: NodeJS.ProcessEnv
  /** A scripted model answers instead of Claude. */
  readonly simulate: boolean
  readonly onRestart?: (name: string, how: string) => void
  readonly onGivenUp?: (name: string) => void
}

export interface ApiInfo {
  readonly url: string
  readonly tokenCreated: boolean
}

export interface Started {
  readonly config: Config
  readonly api: ApiInfo
  readonly worker: WorkerState
  readonly redis: 'embedded' | 'REDIS_URL'
  /** Everything that was started ends: API, worker (drained), simulator, Redis, in this order. */
  close(): Promise<void>
}

/** Beyond the drain a worker needs a moment to conclude. */
const CLOSE_MARGIN_MS = 15_000
const API_CLOSE_MS = 5_000

/** Refuses a port in use before anything else is started. */
function checkPort({ host, port }: Config): Promise<void> {
  if (port === 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') reject(new ConfigError(`Port ${port} on ${host} is in use: stop what listens there, or set CC_EXECUTOR_PORT to another one (0 takes any free one).`))
      else reject(new ConfigError(`${host}:${port} cannot be listened on (${error.code ?? error.message}): check CC_EXECUTOR_HOST and CC_EXECUTOR_PORT.`))
    })
    probe.listen({ host, port }, () => probe.close(() => resolve()))
  })
}

/** API, worker and Redis in one command: each a process of its own, which share only Redis. */
export function openStart({ environment, simulate, onRestart = () => undefined, onGivenUp = () => undefined }: StartOptions): Promise<Started> {
  return openWithin(async (lifetime) => {
    const config = readConfig(environment)
    await openDataFolder(config)
    await checkPort(config)
    if (config.redisUrl !== undefined) await requireRedis(config.redisUrl)
    const embedded =
      config.redisUrl === undefined
        ? lifetime.own('Redis', await openRedisServer({ directory: join(config.dataDir, 'redis'), searchPath: [...splitPath(environment['PATH']), config.cacheBin] }), (server) => server.close())
        : undefined
    const simulator = simulate ? lifetime.own('simulator', await openSimulator(), (opened) => opened.close()) : undefined
    const childEnvironment: NodeJS.ProcessEnv = {
      ...environment,
      ...(embedded && { REDIS_URL: embedded.url }),
      ...(simulator && { CC_EXECUTOR_SIMULATOR_URL: simulator.url }),
    }
    const open = { environment: childEnvironment, onRestart, onGivenUp }
    const drainMs = config.drainSeconds * 1_000 + CLOSE_MARGIN_MS
    const opening = [
      openServiceProcess<WorkerState>({ ...open, name: 'worker' }).then((opened) => lifetime.own('worker', opened, () => opened.close(drainMs))),
      openServiceProcess<ApiInfo>({ ...open, name: 'api' }).then((opened) => lifetime.own('API', opened, () => opened.close(API_CLOSE_MS))),
    ] as const
    // Both have come to an end before the first failure is told: what is still being opened could not be closed.
    await Promise.allSettled(opening)
    const [worker, api] = await Promise.all(opening)
    // Clients know the address: an API that is started again takes the same port, also where any free one was asked for.
    childEnvironment['CC_EXECUTOR_PORT'] = new URL(api.info.url).port
    return { config, api: api.info, worker: worker.info, redis: embedded ? 'embedded' : 'REDIS_URL', close: () => lifetime.close() }
  })
}
