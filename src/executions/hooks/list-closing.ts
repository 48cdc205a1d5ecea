import { joinSignals } from '../../platform/abort-signals.js'
import type { HookStage } from '../../protocol/hooks.js'
import { concludeTaskList, type HeldList } from '../conclude/advance-task-list.js'
import { runClaimedHook, type Claim } from './claimed-hook.js'
import { LeaseKeeper } from '../claim/lease-keeper.js'
import type { RunServices } from '../claim/run-services.js'

/** For how long a list that is over is to be held for the hooks after it; undefined: there are none, or no time. */
export function toListHold({ hooks: { stages }, config }: RunServices, signal: AbortSignal): number | undefined {
  if (signal.aborted || (stages['post-task-list'].length === 0 && stages['on-failure'].length === 0)) return undefined
  return config.lockSeconds * 1_000
}

/**
 * The operator's hooks after a task list, then its end, on the worker that concluded its last task. The list is the
 * worker's own meanwhile, with a fence and a lease like an execution; if the worker dies, the sweep writes the end
 * without the hooks.
 */
export async function closeList(
  claim: Claim,
  held: HeldList,
  workspace: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { services } = claim
  // The task has ended, and nobody holds it any more.
  claim.lease.close()
  try {
    await runListHooks(services, held, workspace, signal)
    await concludeTaskList(services, held)
  } catch (err) {
    services.logger.warn({ executionId: held.list.id, err }, 'a list is over but not ended; the sweep will end it')
  }
}

/** post-task-list where a task of it was started, then on-failure where it failed. */
async function runListHooks(
  services: RunServices,
  { list, outcome, fence }: HeldList,
  workspace: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const {
    hooks: { stages },
    store,
    config,
    logger,
    live,
    deploymentId,
  } = services
  const stop = new AbortController()
  const marker = `${deploymentId}/${list.id}/${fence}`
  const lease = new LeaseKeeper({
    store,
    logger,
    leaseMs: config.lockSeconds * 1_000,
    fence,
    executionId: list.id,
    usage: () => undefined,
    // A cancel that made this end is no reason to leave out what follows it.
    onRequests: ({ cancel }) => {
      if (cancel && !list.cancelled) stop.abort()
    },
    onLost: () => stop.abort(),
  })
  live.set(list.id, { renewNow: () => lease.renewNow(), marker, isRunning: () => false })
  const due: HookStage[] = [
    ...(list.startedAt === undefined ? [] : ['post-task-list' as const]),
    ...(outcome.status === 'failed' ? ['on-failure' as const] : []),
  ]
  const { signal: ending, release } = joinSignals([signal, stop.signal])
  const facts = { record: list, attempt: 0, workspace, outcome, usage: list.usage }
  try {
    for (const [number, { stage, hook }] of due
      .flatMap((stage) => stages[stage].map((hook) => ({ stage, hook })))
      .entries()) {
      if (ending.aborted) return
      const { finished } = await runClaimedHook({ services, marker, lease }, stage, hook, facts, ending)
      await store.appendListEvent(list.id, { id: list.id, fence }, number, { type: 'hook.finished', data: finished })
    }
  } finally {
    release()
    lease.close()
    live.delete(list.id)
  }
}
