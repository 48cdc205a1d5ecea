import { createServer } from 'node:net'
import { join } from 'node:path'
import { ConfigError, readConfig, type Config } from '../platform/config.js'
import { openWithin } from '../platform/lifetime.js'
import { makeRedisPassword } from '../platform/redis-password.js'
import { splitPath } from '../platform/redis-server.js'
import { claimService, type ServiceRecord } from '../platform/service-record.js'
import type { WorkerState } from '../protocol/service-state.js'
import { inspectClaude } from './lifecycle/inspect-claude.js'
import { openDataFolder } from './lifecycle/open-data-folder.js'
import { openServiceProcess } from './lifecycle/service-process.js'
import { openWatchedRedis, type WatchedRedis } from './lifecycle/watched-redis.js'
import type { Simulator } from '../simulator/simulator.js'
import type { ApiInfo, Started } from './lifecycle/started.js'

export interface StartOptions {
  readonly environment: NodeJS.ProcessEnv
  /** A scripted model answers instead of Claude. */
  readonly simulate: boolean
  /**
   * For a client that needs a service now: any free port where its own is taken, and `idle` when nobody has been there
   * for a while.
   */
  readonly onDemand?: boolean
  readonly onIdle?: () => void
  readonly onRestart?: (name: string, how: string) => void
  /** Gives up starting: what was opened by then is closed. */
  readonly signal?: AbortSignal
}

/** Beyond the drain a worker needs a moment to conclude. */
const CLOSE_MARGIN_MS = 15_000
const API_CLOSE_MS = 5_000
/** A service that was killed takes its Redis with it a moment later. */
const PREDECESSOR_MS = 5_000

/** Refuses a port in use before anything else is started. */
function checkPort({ host, port }: Config): Promise<void> {
  if (port === 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(
          new ConfigError(
            `Port ${port} on ${host} is in use: stop what listens there, or set CC_EXECUTOR_PORT to another one (0 takes any free one).`,
            { cause: error },
          ),
        )
      else
        reject(
          new ConfigError(
            `${host}:${port} cannot be opened for listening (${error.code ?? error.message}): check ` +
              'CC_EXECUTOR_HOST and CC_EXECUTOR_PORT.',
            { cause: error },
          ),
        )
    })
    probe.listen({ host, port }, () => probe.close(() => resolve()))
  })
}

/** The port to ask for: with `onDemand` any free one where the configured one is taken. @throws ConfigError */
async function choosePort(config: Config, onDemand: boolean): Promise<number> {
  try {
    await checkPort(config)
    return config.port
  } catch (error) {
    // Safe: checkPort keeps the errno exception of listen().
    if (onDemand && (error as ConfigError & { cause?: NodeJS.ErrnoException }).cause?.code === 'EADDRINUSE') return 0
    throw error
  }
}

/** The worker would refuse it too, after all the rest has been started. @throws ConfigError */
async function requireUsableClaude(config: Config, signal: AbortSignal | undefined): Promise<void> {
  const claude = await inspectClaude(config, signal)
  if (claude.kind === 'too_old') throw new ConfigError(claude.message)
}

/** The private one; undefined: there is one of the operator's, which can be used. */
async function openRedis(
  { redisUrl, ...config }: Config,
  onRestart: (name: string, how: string) => void,
): Promise<WatchedRedis | undefined> {
  if (redisUrl !== undefined) {
    await makeRedisPassword(config)
    // This process stays, and of all that it once needs nothing should.
    const { requireRedis } = await import('../platform/require-redis.js')
    await requireRedis({ ...config, redisUrl })
    return undefined
  }
  return openWatchedRedis(
    {
      directory: join(config.dataDir, 'redis'),
      searchPath: [...splitPath(config.environment['PATH']), config.cacheBin],
      waitMs: PREDECESSOR_MS,
    },
    onRestart,
  )
}

async function openSimulator(simulate: boolean): Promise<Simulator | undefined> {
  return simulate ? (await import('../simulator/simulator.js')).openSimulator() : undefined
}

function toRefusal({ pid, url, idleSeconds }: ServiceRecord): ConfigError {
  const how = idleSeconds === undefined ? '' : ', started for MCP'
  return new ConfigError(
    'Another cc-executor is running on this data folder (process ' +
      `${pid}${url === undefined ? '' : ` at ${url}`}${how}); stop it, or set CC_EXECUTOR_DATA_DIR to ` +
      'another folder.',
  )
}

/** On every address it also listens on this machine's own. */
const toLocalUrl = (url: string): string => url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')

/**
 * API, worker and Redis in one command: each a process of its own, which share only Redis.
 * @throws whatever, once the signal is aborted
 */
export function openStart({
  environment,
  simulate,
  onDemand = false,
  onIdle = () => undefined,
  onRestart = () => undefined,
  signal,
}: StartOptions): Promise<Started> {
  return openWithin(async (lifetime) => {
    const config = readConfig(environment)
    await openDataFolder(config)
    // Those that share a Redis of the operator's may stand side by side; a private Redis has one master.
    const claimed = await claimService({
      dataDir: config.dataDir,
      exclusive: onDemand || config.redisUrl === undefined,
      idleSeconds: onDemand ? config.idleSeconds : undefined,
    })
    if ('other' in claimed) throw toRefusal(claimed.other)
    const claim = lifetime.own('record', claimed.claim, (opened) => opened.release())
    const port = await choosePort(config, onDemand)
    // Each mostly waits for another process, and so all of them together.
    const first = [
      requireUsableClaude(config, signal),
      openRedis(config, onRestart).then((server) => server && lifetime.own('Redis', server, (own) => own.close())),
      openSimulator(simulate).then((own) => own && lifetime.own('simulator', own, (opened) => opened.close())),
    ] as const
    // As below.
    await Promise.allSettled(first)
    const [, embedded, simulator] = await Promise.all(first)
    signal?.throwIfAborted()
    const childEnvironment: NodeJS.ProcessEnv = {
      ...environment,
      CC_EXECUTOR_PORT: String(port),
      CC_EXECUTOR_INSTANCE_ID: claim.instanceId,
    }
    if (onDemand) childEnvironment['CC_EXECUTOR_ON_DEMAND'] = '1'
    if (embedded) childEnvironment['REDIS_URL'] = embedded.url
    if (simulator) childEnvironment['CC_EXECUTOR_SIMULATOR_URL'] = simulator.url
    const open = { environment: childEnvironment, onRestart, onIdle, signal }
    const drainMs = config.drainSeconds * 1_000 + CLOSE_MARGIN_MS
    const opening = [
      openServiceProcess<WorkerState>({ ...open, name: 'worker' }).then((opened) =>
        lifetime.own('worker', opened, () => opened.close(drainMs)),
      ),
      openServiceProcess<ApiInfo>({ ...open, name: 'api' }).then((opened) =>
        lifetime.own('API', opened, () => opened.close(API_CLOSE_MS)),
      ),
    ] as const
    // Both have come to an end before the first failure is told: what is still being opened could not be closed.
    await Promise.allSettled(opening)
    const [worker, api] = await Promise.all(opening)
    // Clients know the address: an API that is started again takes the same port, also where any free one was asked
    // for.
    childEnvironment['CC_EXECUTOR_PORT'] = new URL(api.info.url).port
    await claim.update({ state: 'serving', url: toLocalUrl(api.info.url) })
    lifetime.own('record of serving', claim, (opened) => opened.update({ state: 'ending' }))
    return {
      config,
      api: api.info,
      worker: worker.info,
      redis: embedded ? 'embedded' : 'REDIS_URL',
      close: () => lifetime.close(),
    }
  })
}
