import { randomUUID } from 'node:crypto'
import { createEventLog } from '../../events/event-log.js'
import { openEventFeed } from '../../events/event-feed.js'
import { createOutlook } from '../../executions/read/expected-start.js'
import { SchemaChecks } from '../../executions/json-mode/schema-checks.js'
import { createExecutionStore } from '../../executions/store/execution-store.js'
import { FileStore } from '../../executions/store/file-store.js'
import type { DomainServices, ExecutionServices } from '../../executions/services.js'
import { createWorkerRegistry } from '../../executions/store/worker-registry.js'
import { createRunHistory } from '../../history/run-history.js'
import { createUsageLedger } from '../../history/usage-ledger.js'
import type { Config } from '../../platform/config.js'
import { watchEviction } from '../../platform/eviction.js'
import type { Lifetime } from '../../platform/lifetime.js'
import type { Logger } from '../../platform/logger.js'
import { closeRedis, keyRoot, openRedis, type Redis } from '../../platform/redis.js'
import type { Token } from '../../protocol/tokens.js'
import { sendControl } from '../../queue/control-channel.js'
import { openExecutionQueue } from '../../queue/execution-queue.js'
import { openScheduleAlarms } from '../../queue/schedule-alarms.js'
import { nextAlarm } from '../../schedules/alarm-rule.js'
import { createScheduleStore } from '../../schedules/schedule-store.js'
import { findOwner } from '../../tokens/find-owner.js'
import { openFigureKeeper } from '../../telemetry/figure-keeper.js'
import { createFigureStore, type ProcessKind } from '../../telemetry/figure-store.js'
import { Figures } from '../../telemetry/figures.js'
import type { Traces } from './open-traces.js'
import { openTokenServices } from '../../tokens/token-services.js'
import { createWebhookStore } from '../../webhooks/webhook-store.js'
import { openGrantKey, type GrantKey } from '../../verification/grant-key.js'
import { openSigningKey, type SigningKey } from '../../verification/signing-key.js'

interface OpenOptions {
  readonly config: Config
  readonly redisUrl: string
  readonly logger: Logger
  readonly lifetime: Lifetime
  readonly traces?: Traces | undefined
}

/** What API and worker have in common, on one Redis connection of the given role. */
export function openDomain(
  { config, redisUrl, logger, lifetime, traces }: OpenOptions,
  role: 'caller' | 'keeper',
): DomainServices & { redis: Redis } {
  const redis = lifetime.own(
    'Redis connection',
    openRedis({ url: redisUrl, access: config.redisAccess, logger, role }),
    closeRedis,
  )
  const queue = lifetime.own(
    'queue',
    openExecutionQueue({ url: redisUrl, access: config.redisAccess, prefix: config.prefix, logger }),
    (opened) => opened.close(),
  )
  const schemas = lifetime.own('threads for schemas', new SchemaChecks(), (opened) => opened.close())
  const store = createExecutionStore(redis, {
    ...config,
    onTrace: traces && ((id, trace) => traces.book.note(id, trace)),
  })
  const workers = createWorkerRegistry(redis, config.prefix)
  const history = createRunHistory(redis, config.prefix)
  const webhooks = createWebhookStore(redis, config.prefix)
  const figures = config.metrics === 'off' ? undefined : new Figures()
  let signingKey: Promise<SigningKey> | undefined
  let grantKey: Promise<GrantKey> | undefined
  return {
    config,
    logger,
    redis,
    queue,
    signingKey: () => (signingKey ??= openSigningKey(config.dataDir)),
    grantKey: () => (grantKey ??= openGrantKey(config.dataDir)),
    store,
    history,
    ledger: createUsageLedger(redis, config.prefix),
    outlook: createOutlook({ store, workers, history, config }),
    schemas,
    files: new FileStore(redis, config.prefix),
    log: createEventLog(redis, config.prefix, figures && ((...appended) => figures.appended(...appended))),
    figures,
    tracing: traces?.tracing,
    workers,
    eviction: watchEviction(redis),
    ownsWebhook: async (id, owner) => (await webhooks.get(id))?.createdBy === owner,
    control: (message) => sendControl(redis, config.prefix, message),
  }
}

/**
 * The API's services: the domain, and beside its connection one that listens and one on which logs are read: a long
 * answer there keeps no submission, no cancel and no look at an execution waiting.
 */
export function openApiServices(
  options: OpenOptions & {
    /** Tokens of the configuration; undefined: it runs open. */
    readonly configured: readonly Token[] | undefined
  },
): ExecutionServices & { redis: Redis; subscriber: Redis } {
  const { config, redisUrl, logger, lifetime } = options
  const domain = openDomain(options, 'caller')
  const subscriber = lifetime.own(
    'Redis subscriber',
    openRedis({ url: redisUrl, access: config.redisAccess, logger, role: 'subscriber' }),
    closeRedis,
  )
  const reader = lifetime.own(
    'Redis connection for logs',
    openRedis({ url: redisUrl, access: config.redisAccess, logger, role: 'caller' }),
    closeRedis,
  )
  const log = createEventLog(reader, config.prefix)
  const { figures } = domain
  const onRelayed = figures && ((lines: Buffer): void => figures.relayed(lines))
  const feed = lifetime.own('event feed', openEventFeed({ log, subscriber, logger, onRelayed }), (opened) =>
    opened.close(),
  )
  const { access, ...kept } = openTokenServices({ redis: domain.redis, subscriber, config, logger })
  const tokens = { ...kept, access: lifetime.own('tokens in use', access, (opened) => opened.close()) }
  const alarms = lifetime.own(
    'queue of alarms',
    openScheduleAlarms({ url: redisUrl, access: config.redisAccess, prefix: config.prefix, logger }, nextAlarm),
    (opened) => opened.close(),
  )
  const schedules = {
    store: createScheduleStore(domain.redis, config),
    alarms,
    ownerOf: (tokenId: string) => findOwner(tokens.store, options.configured, tokenId),
  }
  return {
    ...domain,
    log,
    feed,
    tokens,
    schedules,
    subscriber,
    metrics: openMetrics(domain, 'api', (close) => close(), lifetime),
  }
}

/**
 * What this process counts is added to the figures of the service until it ends; undefined where metrics are off.
 * `closing` bounds the last time.
 */
export function openMetrics(
  { figures, redis, config, logger }: DomainServices & { redis: Redis },
  kind: ProcessKind,
  closing: (close: () => Promise<void>) => Promise<void>,
  lifetime: Lifetime,
): ExecutionServices['metrics'] {
  if (!figures) return undefined
  const store = createFigureStore(redis, config.prefix)
  const keeper = openFigureKeeper({ kind, figures, store, logger })
  lifetime.own('figures', keeper, (opened) => closing(() => opened.close()))
  return { store, keeper }
}

/**
 * One random id per deployment, kept in its Redis: processes of another deployment on the same host are told apart by
 * it.
 */
export async function readDeploymentId(redis: Redis, prefix: string): Promise<string> {
  const key = `${keyRoot(prefix)}:deployment`
  await redis.set(key, randomUUID(), 'NX')
  return (await redis.get(key)) ?? randomUUID()
}
