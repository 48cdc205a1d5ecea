import { runOf, type RunRequest } from '../../claude/command/run-request.js'
import { digestRequest } from '../records/digest-request.js'
import { estimateFor } from './estimate-run.js'
import { mintUuid } from '../../platform/mint-uuid.js'
import { planBudget } from '../records/plan-budget.js'
import { toTaskRequest } from '../records/plan-tasks.js'
import type { DomainServices } from '../services.js'
import type { NewRecord } from '../store/transitions.js'

type List = Pick<
  NewRecord,
  'id' | 'owner' | 'request' | 'priority' | 'workspace' | 'workspaceLock' | 'simulated' | 'dailyBudget' | 'trace'
>

/** When it has waited for too long, if there is such a time. */
export const toDeadline = (
  { queueTimeoutSeconds }: Pick<RunRequest, 'queueTimeoutSeconds'>,
  createdAt: number,
): number | undefined => (queueTimeoutSeconds === undefined ? undefined : createdAt + queueTimeoutSeconds * 1_000)

/**
 * A task when its turn comes: an execution of its own, in the workspace of its list. It stands behind whoever waits
 * already.
 */
export async function newTask(
  services: DomainServices,
  list: List,
  index: number,
  createdAt: number,
): Promise<NewRecord> {
  const request = toTaskRequest(list.request, index)
  const run = runOf({ request })
  const estimate = await estimateFor(services, run, {
    owner: list.owner,
    workspace: list.request.workspace === undefined ? undefined : list.workspaceLock,
    isWanted: request.timeoutSeconds === 'auto',
  })
  return {
    id: mintUuid(createdAt),
    kind: 'task',
    parentId: list.id,
    taskIndex: index,
    owner: list.owner,
    request,
    requestDigest: digestRequest(request),
    priority: list.priority,
    createdAt,
    workspace: list.workspace,
    metadata: request.metadata ?? {},
    simulated: list.simulated,
    ...estimate,
    wantedBudget: planBudget(run, list, services.config),
    dailyBudget: run.onBudgetExceeded === 'pause' ? list.dailyBudget : undefined,
    model: run.model,
    trace: list.trace,
    workspaceLock: list.workspaceLock,
    queueDeadline: toDeadline(run, createdAt),
  }
}
