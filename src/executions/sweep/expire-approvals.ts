import { notifyWorkers } from '../control/notify-workers.js'
import type { DomainServices } from '../services.js'

/** Approvals whose time is over. Their holder closes them as well; what is left is of one that is slow or gone. */
export async function expireApprovals(services: DomainServices, count: number): Promise<void> {
  const { store } = services
  const ids = await store.listExpiredApprovals(count)
  const executions = new Set<string>()
  for (const { id, executionId } of await store.getApprovals(ids)) {
    await store.closeApproval(id, 'expired')
    executions.add(executionId)
  }
  for (const executionId of executions) await notifyWorkers(services, executionId)
}
