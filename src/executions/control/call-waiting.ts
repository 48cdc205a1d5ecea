import { enqueueReady } from '../conclude/enqueue-ready.js'
import type { DomainServices } from '../services.js'

/** Called at once; what is beyond gets its jobs from the sweep. */
const MOST = 500

/** A token may have more at work than before: what may begin of it now need not wait for the sweep. */
export async function callWaiting(services: DomainServices, owner: string): Promise<void> {
  const ready = await services.store.callWaiting(owner, MOST).catch((err: unknown) => {
    services.logger.warn({ err }, 'waiting executions were not queued; the sweep will do it')
    return []
  })
  await enqueueReady(services, ...ready)
}
