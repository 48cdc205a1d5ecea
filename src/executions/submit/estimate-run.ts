import { toRunRequest, type RunRequest } from '../../claude/command/run-request.js'
import { estimateTimeout } from '../../history/estimate-timeout.js'
import { fingerprintsOf } from '../../history/fingerprint.js'
import { fromStore } from '../../platform/redis.js'
import type { EstimateQuery, TimeoutEstimate } from '../../protocol/estimate.js'
import type { DomainServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'
import { nameFor } from './name-for.js'

interface Place {
  readonly owner: string
  /** A named workspace; undefined for a fresh one. */
  readonly workspace: string | undefined
  /** Whether the history is to be asked at all. */
  readonly isWanted: boolean
}

/** What is remembered of such runs, where that is asked for; and by what. */
export async function estimateFor(
  { history, config }: DomainServices,
  { prompt, model, effort }: RunRequest,
  { owner, workspace, isWanted }: Place,
): Promise<{ fingerprints?: string[]; timeoutEstimate?: TimeoutEstimate }> {
  if (!isWanted) return {}
  const fingerprints = fingerprintsOf({ owner, prompt, model, effort, workspace, tasks: 1 })
  return {
    fingerprints,
    timeoutEstimate: estimateTimeout(await fromStore(history.samples(fingerprints, config.simulatorUrl !== undefined))),
  }
}

/**
 * What `timeoutSeconds: "auto"` would mean for such a run. @throws ExecutorError INVALID_REQUEST, FORBIDDEN,
 * STORE_UNAVAILABLE
 */
export async function getEstimate(
  services: DomainServices,
  query: EstimateQuery,
  caller: Caller,
): Promise<TimeoutEstimate> {
  const workspace = (await nameFor(services, caller, { workspace: query.workspace }, '')).lock
  const { timeoutEstimate } = await estimateFor(services, toRunRequest(query), {
    owner: caller.id,
    workspace,
    isWanted: true,
  })
  return timeoutEstimate ?? estimateTimeout([])
}
