import { openWebhookWorker } from '../../../workers/webhook-worker.js'
import { createAddressGuard } from '../../egress/guarded-request.js'
import type { Config } from '../../platform/config.js'
import type { Lifetime } from '../../platform/lifetime.js'
import type { Logger } from '../../platform/logger.js'
import type { Redis } from '../../platform/redis.js'
import { openWebhookQueue } from '../../queue/webhook-queue.js'
import type { Token } from '../../protocol/tokens.js'
import type { TokenServices } from '../../tokens/token-services.js'
import type { WebhookServices } from '../../webhooks/manage-webhooks.js'
import { turnMs } from '../../webhooks/send-delivery.js'
import type { StoredWebhook } from '../../webhooks/stored-webhook.js'
import { openWebhookSender, type TurnCarrier } from '../../webhooks/webhook-sender.js'
import { createWebhookStore } from '../../webhooks/webhook-store.js'

interface OpenOptions {
  readonly config: Config
  readonly redisUrl: string
  readonly logger: Logger
  readonly lifetime: Lifetime
  readonly redis: Redis
  readonly subscriber: Redis
  readonly tokens: TokenServices
  /** Of the configuration; undefined: open. */
  readonly configured: readonly Token[] | undefined
}

export interface OpenedWebhooks {
  readonly webhooks: WebhookServices
  readonly look: () => void
}

/** What an API process does for webhooks: their routes' services, and its share of the sending. */
export function openWebhooks(options: OpenOptions): OpenedWebhooks {
  const { config, redisUrl, logger, lifetime, redis, subscriber, tokens, configured } = options
  const store = createWebhookStore(redis, config.prefix)
  const guard = createAddressGuard(config.webhookHosts)
  const timeoutMs = config.webhookTimeoutSeconds * 1_000

  /** What was made by a token that is gone, for good, goes with it. */
  async function mayHear({ id, createdBy, allTokens }: StoredWebhook): Promise<boolean> {
    if (configured === undefined) return true
    const known = configured.find((token) => token.id === createdBy)
    if (known) return !allTokens || known.scopes.includes('admin')
    const access = await tokens.access.findById(createdBy)
    if (access) return !allTokens || access.caller.scopes.has('admin')
    if (createdBy.startsWith('tok_') && (await tokens.store.get(createdBy)) === undefined) await store.remove(id)
    return false
  }

  const sender = lifetime.own(
    'sender of webhooks',
    openWebhookSender({
      store,
      logger,
      guard,
      timeoutMs,
      mayHear,
      subscriber,
      maxPending: config.maxPendingDeliveries,
      openCarrier(takeTurn): TurnCarrier {
        const target = { url: redisUrl, access: config.redisAccess, prefix: config.prefix, logger }
        const queue = openWebhookQueue(target)
        const worker = openWebhookWorker({ ...target, turnMs: turnMs({ timeoutMs }), takeTurn })
        return {
          carry: (turns) => queue.enqueue(turns),
          async close() {
            await worker.close()
            await queue.close()
          },
        }
      },
    }),
    (opened) => opened.close(),
  )
  return {
    webhooks: { store, guard, maxWebhooks: config.maxWebhooks, maxPending: config.maxPendingDeliveries },
    look: () => sender.look(),
  }
}
