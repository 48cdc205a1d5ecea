import type { ExecutionServices } from '../executions/services.js'
import { readConfig } from '../platform/config.js'
import { createLogger } from '../platform/logger.js'
import { VERSION } from '../platform/version.js'
import { buildOpenRpcDocument } from '../rpc/open-rpc-document.js'
import { buildApp } from './build-app.js'
import type { OpenedWebhooks } from './lifecycle/open-webhooks.js'

/** The documents that describe the API, by file name. They come from the routes' own schemas; no store is opened. */
export async function buildDocuments(): Promise<Record<string, unknown>> {
  // Safe: describing routes calls none of them, so nothing but the settings is looked at.
  const services = {
    config: readConfig({ LOG_LEVEL: 'silent' }),
    logger: createLogger('silent', 'generate'),
  } as ExecutionServices
  const webhooks = {} as OpenedWebhooks
  const app = await buildApp({ services, tokens: undefined, webhooks, checkRedis: async () => undefined })
  try {
    await app.ready()
    return { 'openapi.json': app.swagger(), 'rpc.schema.json': buildOpenRpcDocument(VERSION) }
  } finally {
    await app.close()
  }
}
