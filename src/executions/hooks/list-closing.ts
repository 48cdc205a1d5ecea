import { joinSignals } from '../../platform/abort-signals.js'
import type { HookStage } from '../../protocol/hooks.js'
import type { ListClosing } from '../conclude/advance-task-list.js'
import { runClaimedHook, type Claim } from './claimed-hook.js'
import { LeaseKeeper } from '../claim/lease-keeper.js'

/**
 * The operator's hooks after a task list, on the worker that concluded its last task: post-task-list where a task of it
 * was started, then
 * on-failure where it failed. The list is the worker's own meanwhile, with a fence and a lease like an execution; if
 * the worker dies, the
 * sweep writes the end without them. undefined where there are none, or no time for them.
 */
export function closeWithHooks(
  { services, lease: taskLease }: Claim,
  workspace: string | undefined,
  signal: AbortSignal,
): ListClosing | undefined {
  const {
    hooks: { stages },
    store,
    config,
    logger,
    live,
    deploymentId,
  } = services
  if (signal.aborted || (stages['post-task-list'].length === 0 && stages['on-failure'].length === 0)) return undefined
  const leaseMs = config.lockSeconds * 1_000
  return {
    leaseMs,
    async run(list, outcome, fence) {
      // The task has ended, and nobody holds it any more.
      taskLease.close()
      const stop = new AbortController()
      const marker = `${deploymentId}/${list.id}/${fence}`
      const lease = new LeaseKeeper({
        store,
        logger,
        leaseMs,
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
          await store.appendListEvent(list.id, { id: list.id, fence }, number, {
            type: 'hook.finished',
            data: finished,
          })
        }
      } finally {
        release()
        lease.close()
        live.delete(list.id)
      }
    },
  }
}
