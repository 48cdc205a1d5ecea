import { toRunRequest } from '../../claude/command/run-request.js'
import { digestRequest } from '../records/digest-request.js'
import { estimateFor } from './estimate-run.js'
import { mintId } from './mint-id.js'
import { planBudget } from '../records/plan-budget.js'
import { toTaskRequest } from '../records/plan-tasks.js'
import type { DomainServices } from '../services.js'
import type { NewRecord } from '../store/transitions.js'

type List = Pick<
  NewRecord,
  'id' | 'owner' | 'request' | 'priority' | 'workspace' | 'workspaceLock' | 'simulated' | 'dailyBudget'
>

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
  const run = toRunRequest(request)
  const estimate = await estimateFor(services, run, {
    owner: list.owner,
    workspace: list.request.workspace === undefined ? undefined : list.workspaceLock,
    isWanted: request.timeoutSeconds === 'auto',
  })
  return {
    id: mintId(createdAt),
    kind: 'task',
    parentId: list.id,
    taskIndex: index,
    owner: list.owner,
    request,
    requestDigest: digestRequest(request),
    priority: list.priority,
    createdAt,
    ...(list.workspace !== undefined && { workspace: list.workspace }),
    metadata: request.metadata ?? {},
    simulated: list.simulated,
    ...estimate,
    wantedBudget: planBudget(run, list, services.config),
    ...(run.model !== undefined && { model: run.model }),
    ...(list.workspaceLock !== undefined && { workspaceLock: list.workspaceLock }),
    ...(request.queueTimeoutSeconds !== undefined && {
      queueDeadline: createdAt + request.queueTimeoutSeconds * 1_000,
    }),
  }
}
