import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { waitLonger } from '../platform/command-deadline.js'
import { ConfigError, type Config } from '../platform/config.js'
import { openWithin, type Lifetime } from '../platform/lifetime.js'
import { createLogger } from '../platform/logger.js'
import { makeLocalSecret } from '../platform/local-proof.js'
import { requireRedis } from '../platform/require-redis.js'
import { createSecretMask } from '../platform/secret-mask.js'
import { secretsOfEnvironment } from '../platform/secret-values.js'
import { makeRedisPassword } from '../platform/redis-password.js'
import { sweepExecutions, SWEEP_INTERVAL_MS } from '../executions/sweep/sweep-executions.js'
import { ringAlarm } from '../executions/schedules/ring-alarm.js'
import { sweepSchedules } from '../executions/schedules/sweep-schedules.js'
import { nextAlarm } from '../schedules/alarm-rule.js'
import { openAlarmWorker } from '../../workers/alarm-worker.js'
import type { ExecutionServices } from '../executions/services.js'
import { openTokens, type TokenBook } from '../platform/tokens.js'
import { buildApp, createRedisCheck } from './build-app.js'
import { findFileLack } from './lifecycle/open-files.js'
import { openDataFolder } from './lifecycle/open-data-folder.js'
import { openTraceBook, openTraces } from './lifecycle/open-traces.js'
import { openApiServices } from './lifecycle/open-services.js'
import { openWebhooks } from './lifecycle/open-webhooks.js'
import { repeat } from './lifecycle/repeat.js'
import { watchIdle } from './lifecycle/watch-idle.js'

export interface Api {
  readonly address: AddressInfo
  /** http://host:port, as a client on this machine writes it. */
  readonly url: string
  readonly tokenCreated: boolean
  /** Where the token is, as a clause: never the token. */
  readonly tokenPlace: string
  /** Resolves when nobody has been there for a while; never where the service was not started on demand. */
  readonly idle: Promise<void>
  close(): Promise<void>
}

/** Whoever starts a container sees its log, and nothing else says where the token is. */
function placeOfToken({ tokenFile }: Config, tokens: TokenBook | undefined): string {
  if (tokens === undefined) return 'no token is required'
  if (!tokens.inFile) return 'the tokens are those of CC_EXECUTOR_TOKENS'
  return `its token${tokens.created ? ', made now,' : ''} is in ${tokenFile}; to print it: cc-executor token`
}

const toListenError = (error: NodeJS.ErrnoException, { host, port }: Config): Error => {
  switch (error.code) {
    case 'EADDRINUSE':
      return new ConfigError(
        `Port ${port} on ${host} is in use: stop what listens there, or set CC_EXECUTOR_PORT to another one (0 takes any free one).`,
      )
    case 'EACCES':
      return new ConfigError(
        `Port ${port} on ${host} cannot be opened by this user: set CC_EXECUTOR_PORT to one above 1023.`,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(`CC_EXECUTOR_HOST: ${host} is not an address of this machine.`)
    default:
      return error
  }
}

function watchWhere(
  onDemand: boolean,
  server: Server,
  { store, config }: Pick<ExecutionServices, 'store' | 'config'>,
  lifetime: Lifetime,
): Promise<void> {
  return new Promise((resolve) => {
    if (!onDemand) return
    async function isBusy(): Promise<boolean> {
      const { byPriority, parked, active } = await store.count()
      return Object.values(byPriority).some((count) => count > 0) || parked > 0 || active > 0
    }
    lifetime.own(
      'idle watch',
      watchIdle({ server, isBusy, idleMs: config.idleSeconds * 1_000, onIdle: resolve }),
      (watch) => watch.close(),
    )
  })
}

/** An API process: REST, SSE and WebSocket on one port. It holds no state; everything is in Redis. */
export function openApi(config: Config, redisUrl: string): Promise<Api> {
  return openWithin(async (lifetime: Lifetime) => {
    await openDataFolder(config)
    await makeRedisPassword(config)
    await requireRedis({ ...config, redisUrl })
    const mask = createSecretMask(secretsOfEnvironment(config.environment, config.childEnv))
    const book = openTraceBook(config)
    const logger = createLogger(config.logLevel, 'api', mask, book?.find)
    const traces = await openTraces(config, book, { process: 'api', logger, lifetime })
    const tokens = config.auth === 'open' ? undefined : await openTokens(config)
    if (config.allowHere) await makeLocalSecret(config.dataDir)
    const services = openApiServices({ config, redisUrl, logger, lifetime, configured: tokens?.shown, traces })
    const serve = waitLonger(services.redis, config.redisWaitSeconds * 1_000)
    await services.signingKey()
    await services.grantKey()
    await services.tokens.limitConfigured(tokens?.shown ?? [])
    const eviction = await services.eviction()
    if (eviction !== undefined) logger.warn(`${eviction} New executions are refused until then.`)
    const lack = findFileLack(config)
    if (lack !== undefined) logger.warn(`${lack.message}; ${lack.remedy}`)
    const webhooks = openWebhooks({ ...services, redisUrl, lifetime, configured: tokens?.shown })
    const app = lifetime.own(
      'HTTP server',
      await buildApp({ services, tokens, webhooks, checkRedis: createRedisCheck(services.redis) }),
      (opened) => opened.close(),
    )
    serve()
    await app.listen({ host: config.host, port: config.port }).catch((error: NodeJS.ErrnoException) => {
      throw toListenError(error, config)
    })
    const idle = watchWhere(config.onDemand, app.server, services, lifetime)
    const housekeeping = repeat('sweep', SWEEP_INTERVAL_MS, logger, () => sweepExecutions(services))
    lifetime.own('housekeeping', housekeeping, (opened) => opened.close())
    const dueSchedules = repeat('schedules', SWEEP_INTERVAL_MS, logger, () => sweepSchedules(services))
    lifetime.own('due schedules', dueSchedules, (opened) => opened.close())
    lifetime.own(
      'alarms of schedules',
      openAlarmWorker({ config, redisUrl, logger, next: nextAlarm }, (id) => ringAlarm(services, id)),
      (opened) => opened.close(),
    )
    // Safe: listen() with a host and a port gives an AddressInfo.
    const address = app.server.address() as AddressInfo
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return {
      address,
      url: `http://${host}:${address.port}`,
      tokenCreated: tokens?.created ?? false,
      tokenPlace: placeOfToken(config, tokens),
      idle,
      close: () => lifetime.close(),
    }
  })
}
