import { outlookOf, type Place, type QueueOutlook } from '../../history/queue-outlook.js'
import type { Execution } from '../../protocol/execution.js'
import type { BlockedCredential, WorkerState } from '../../protocol/service-state.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { ReadServices } from '../services.js'

/** An outlook is good for so long: a list of queued executions does not ask for it anew each time. */
const OUTLOOK_MS = 500

/** Of a worker of an older version, the one that it has. */
export const credentialsOf = ({ credential, credentials }: WorkerState): readonly string[] =>
  credentials?.map(({ name }) => name) ?? [credential]

/** Whether it has a credential whose limit is not reached. */
export const canPay = (worker: WorkerState, blocked: ReadonlyArray<Pick<BlockedCredential, 'credential'>>): boolean =>
  credentialsOf(worker).some((name) => !blocked.some(({ credential }) => credential === name))

/** Neither stopping nor paused. */
export const isTaking = ({ draining, pausedBecause }: Pick<WorkerState, 'draining' | 'pausedBecause'>): boolean =>
  !draining && pausedBecause === undefined

/** The places of the workers that take something: not of those that stop, or that could not pay. */
export function listPlaces(
  present: readonly WorkerState[],
  active: readonly ExecutionRecord[],
  blocked: ReadonlyArray<Pick<BlockedCredential, 'credential'>>,
  now: number,
): Place[] {
  return present.flatMap((worker): Place[] => {
    const { id, concurrency } = worker
    if (!isTaking(worker) || !canPay(worker, blocked)) return []
    const taken = active
      .filter(({ workerId }) => workerId === id)
      .map(({ state, startedAt }): Place => (state === 'paused' ? 'paused' : { since: startedAt ?? now }))
    return [...taken, ...Array.from({ length: Math.max(0, concurrency - taken.length) }, (): Place => 'free')]
  })
}

export function createOutlook({
  store,
  workers,
  history,
  config,
}: Pick<ReadServices, 'store' | 'workers' | 'history' | 'config'>): () => Promise<QueueOutlook> {
  let known: { readonly at: number; readonly outlook: Promise<QueueOutlook> } | undefined
  async function readOutlook(): Promise<QueueOutlook> {
    const [{ active }, present, blocked, durations] = await Promise.all([
      store.count(),
      workers.list(),
      store.listBlocked(),
      history.places(config.simulatorUrl !== undefined),
    ])
    const now = Date.now()
    return outlookOf(listPlaces(present, await store.getMany(active), blocked, now), durations, now)
  }
  return () => {
    const now = performance.now()
    if (!known || now - known.at > OUTLOOK_MS) known = { at: now, outlook: readOutlook() }
    return known.outlook
  }
}

/**
 * Adds `estimatedStartAt` to those that wait for a place and for nothing else; what cannot be looked up is not known.
 */
export async function withExpectedStart<One extends Execution>(
  { outlook }: ReadServices,
  executions: readonly One[],
): Promise<One[]> {
  if (executions.every(({ position }) => position === undefined)) return [...executions]
  const known = await outlook().catch(() => undefined)
  return executions.map((execution) => {
    const start = execution.position === undefined ? undefined : known?.startOf(execution.position)
    return start === undefined
      ? execution
      : { ...execution, estimatedStartAt: new Date(Math.max(start, Date.now())).toISOString() }
  })
}

export const withOneExpectedStart = async (services: ReadServices, execution: Execution): Promise<Execution> =>
  (await withExpectedStart(services, [execution]))[0] ?? execution
