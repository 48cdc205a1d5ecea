import { randomUUID } from 'node:crypto'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'
import { authPlugin } from '../../plugins/auth.js'
import { answerMalformed, errorsPlugin, sendFrameworkError } from '../../plugins/errors.js'
import { figuresPlugin } from '../../plugins/figures.js'
import { COMPILERS, jsonPlugin } from '../../plugins/json.js'
import { openapiPlugin } from '../../plugins/openapi.js'
import { originPlugin } from '../../plugins/origin.js'
import { securityHeadersPlugin } from '../../plugins/security-headers.js'
import { servicesPlugin } from '../../plugins/services.js'
import { tracingPlugin } from '../../plugins/tracing.js'
import { upgradeRequiredPlugin } from '../../plugins/upgrade-required.js'
import { WEBSOCKETS_ONLY } from '../../plugins/upgrades.js'
import { websocketPlugin } from '../../plugins/websocket.js'
import { takeTicket, type WithUrl } from '../../plugins/ticket-parameter.js'
import { approvalRoutes } from '../../routes/approvals.js'
import { consoleRoutes } from '../../routes/console.js'
import { executionRoutes } from '../../routes/executions.js'
import { historyRoutes } from '../../routes/history.js'
import { fileRoutes } from '../../routes/files.js'
import { repositoryRoutes } from '../../routes/repositories.js'
import { mcpRoutes } from '../../routes/mcp.js'
import { metricsRoutes } from '../../routes/metrics.js'
import { receiptRoutes } from '../../routes/receipts.js'
import { scheduleRoutes } from '../../routes/schedules.js'
import { serviceRoutes } from '../../routes/service.js'
import { streamRoutes } from '../../routes/stream.js'
import { tokenRoutes } from '../../routes/tokens.js'
import { webhookRoutes } from '../../routes/webhooks.js'
import { workspaceRoutes } from '../../routes/workspaces.js'
import { getQueueState } from '../executions/read/queue-state.js'
import type { ExecutionServices } from '../executions/services.js'
import { ConfigError } from '../platform/config.js'
import { explainEviction } from '../platform/eviction.js'
import type { TokenBook } from '../platform/tokens.js'
import { mintUuid } from '../platform/mint-uuid.js'
import { describeConfig } from '../platform/describe-config.js'
import { VERSION } from '../platform/version.js'
import { BODY_LIMIT_BYTES } from '../protocol/limits.js'
import type { Health } from '../protocol/service-state.js'
import { buildOpenRpcDocument } from '../rpc/open-rpc-document.js'
import type { OpenedWebhooks } from './lifecycle/open-webhooks.js'

const REQUEST_TIMEOUT_MS = 30_000
const PARAMETER_LIMIT_CHARACTERS = 64 * 1024

export interface AppOptions {
  readonly services: ExecutionServices
  /** undefined: open to everybody who passes the Host and Origin checks. */
  readonly tokens: TokenBook | undefined
  readonly webhooks: OpenedWebhooks
  readonly checkRedis: () => Promise<string | undefined>
}

const MIB = 1024 * 1024

/** Redis must never evict: a record or an event would be gone without a word. And it must have room. */
export function createRedisCheck(redis: Redis): () => Promise<string | undefined> {
  return async () => {
    const info = await redis.info()
    if (/^role:slave/m.test(info)) return 'Redis is a read-only replica: REDIS_URL must lead to the primary.'
    const eviction = explainEviction(info)
    if (eviction !== undefined) return eviction
    const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
    const most = read('maxmemory')
    if (most === 0 || read('used_memory') - read('mem_not_counted_for_evict') <= most) return undefined
    return (
      `Redis is full: it is at its maxmemory (${(most / MIB).toFixed(1)} MiB). New executions are ` +
      'rejected, and running ones continue without their events being stored; they can be cancelled. Raise ' +
      'maxmemory, or lower CC_EXECUTOR_RETENTION_BYTES.'
    )
  }
}

/** A proxy may strip the prefix, or leave it: both are served. A ticket is taken out, which nothing else is to see. */
function withoutBasePath(basePath: string): (request: WithUrl) => string {
  const prefix = `${basePath}/`
  return (request) => {
    takeTicket(request)
    const { url = '/' } = request
    return basePath !== '' && url.startsWith(prefix) ? url.slice(basePath.length) : url
  }
}

/**
 * Looks at every route that comes, and gives what makes sure at the end that none begins as the prefix does: stripped
 * or not, a path of one could be meant as one of the other.
 */
function watchForBasePath(app: FastifyInstance, basePath: string): () => void {
  const segments = new Set<string>()
  app.addHook('onRoute', ({ url }) => void segments.add(url.split('/')[1] ?? ''))
  return () => {
    const [, first = ''] = basePath.split('/')
    if (basePath !== '' && segments.has(first))
      throw new ConfigError(
        `CC_EXECUTOR_BASE_PATH: /${first} is reserved for paths of the service; choose another prefix, such ` +
          'as /cc.',
      )
  }
}

/** The HTTP application: plugins in their order, then routes. It opens nothing but itself. */
export async function buildApp({ services, tokens, webhooks, checkRedis }: AppOptions): Promise<FastifyInstance> {
  const { config, logger } = services
  // At info the domain tells what happens to executions; a line per request would drown it.
  const requestLogger: FastifyBaseLogger = logger.child(
    {},
    { level: config.logLevel === 'info' ? 'warn' : config.logLevel },
  )
  const app: FastifyInstance = Fastify({
    loggerInstance: requestLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // One for each request would carry an id that only what fails is logged with, and there it is named.
    childLoggerFactory: (parent) => parent,
    genReqId: () => mintUuid(Date.now()),
    frameworkErrors: sendFrameworkError,
    clientErrorHandler: answerMalformed,
    // The origin plugin looks at the Host, and says what is wrong with it.
    http: { ...WEBSOCKETS_ONLY, requireHostHeader: false },
    forceCloseConnections: true,
    schemaController: { compilersFactory: COMPILERS },
    // Node's own limit on the head is below this: an id of any length is looked for, and not found.
    rewriteUrl: withoutBasePath(config.basePath),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: PARAMETER_LIMIT_CHARACTERS },
  })
  const instanceId = config.instanceId ?? randomUUID()
  const health = (): Health => ({
    status: 'ok',
    service: 'cc-executor',
    version: VERSION,
    uptimeSeconds: Math.round(process.uptime()),
    simulated: config.simulatorUrl !== undefined,
    instanceId,
  })

  // It takes some 50 ms to build, which a batch may ask for a thousand times.
  let openRpcDocument: Record<string, unknown> | undefined
  const discover = (): Record<string, unknown> => (openRpcDocument ??= buildOpenRpcDocument(VERSION))

  const requireOwnPrefix = watchForBasePath(app, config.basePath)
  if (services.figures) await app.register(figuresPlugin, { figures: services.figures })
  await app.register(errorsPlugin)
  // Before all that may refuse: its first hook marks an upgrade, and only a marked one's socket is closed when it is
  // refused.
  await app.register(websocketPlugin)
  await app.register(originPlugin, {
    host: config.host,
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
  })
  await app.register(upgradeRequiredPlugin)
  await app.register(authPlugin, { tokens, made: services.tokens })
  await app.register(securityHeadersPlugin)
  await app.register(jsonPlugin)
  await app.register(servicesPlugin, { services })
  if (services.tracing) await app.register(tracingPlugin, { tracing: services.tracing })
  await app.register(openapiPlugin, { basePath: config.basePath })
  await app.register(executionRoutes)
  await app.register(approvalRoutes)
  await app.register(fileRoutes)
  await app.register(repositoryRoutes)
  await app.register(receiptRoutes)
  await app.register(workspaceRoutes)
  await app.register(historyRoutes)
  await app.register(scheduleRoutes)
  await app.register(tokenRoutes, { configured: tokens?.shown })
  await app.register(webhookRoutes, { ...webhooks, basePath: config.basePath })
  await app.register(serviceRoutes, { health, checkRedis, settings: () => describeConfig(config) })
  await app.register(mcpRoutes, { health, checkRedis, version: VERSION })
  await app.register(metricsRoutes)
  await app.register(consoleRoutes)
  await app.register(streamRoutes, { queue: () => getQueueState(services), health, discover, version: VERSION })
  requireOwnPrefix()
  return app
}
