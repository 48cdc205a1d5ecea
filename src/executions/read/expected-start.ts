import { outlookOf, type Place, type QueueOutlook, type StartOutlook } from '../../history/queue-outlook.js'
import type { Execution } from '../../protocol/execution.js'
import type { BlockedCredential, WorkerState } from '../../protocol/service-state.js'
import { isHeldBack, toExecution, type ExecutionRecord, type ShownRecord } from '../records/execution-record.js'
import type { ActiveRun } from '../store/queue-reads.js'
import type { ReadServices } from '../services.js'

/** An outlook is good for so long: a list of queued executions does not ask for it anew each time. */
const OUTLOOK_MS = 500
/** Who looks at the queue has a newer one, unless so many have started that it costs some milliseconds. */
const NEWER_MS_EACH = 5

/** Of a worker of an older version, the one that it has. */
export const credentialsOf = ({ credential, credentials }: WorkerState): readonly string[] =>
  credentials?.map(({ name }) => name) ?? [credential]

/** Whether it has a credential whose limit is not reached. */
export const canPay = (worker: WorkerState, blocked: ReadonlyArray<Pick<BlockedCredential, 'credential'>>): boolean =>
  credentialsOf(worker).some((name) => !blocked.some(({ credential }) => credential === name))

/** Neither stopping nor paused. */
export const isTaking = ({ draining, pausedBecause }: Pick<WorkerState, 'draining' | 'pausedBecause'>): boolean =>
  !draining && pausedBecause === undefined

const toPlace = ({ state, startedAt }: ActiveRun, now: number): Place =>
  state === 'paused' ? 'paused' : { since: startedAt ?? now }

const free = (count: number): Place[] => Array.from({ length: Math.max(0, count) }, (): Place => 'free')

/** The places of the workers that take something: not of those that stop, or that could not pay. */
function listPlaces(
  present: readonly WorkerState[],
  active: readonly ActiveRun[],
  blocked: ReadonlyArray<Pick<BlockedCredential, 'credential'>>,
  now: number,
): Place[] {
  const taken = new Map<string, Place[]>()
  for (const run of active) {
    const own = taken.get(run.workerId) ?? []
    own.push(toPlace(run, now))
    taken.set(run.workerId, own)
  }
  return present.flatMap((worker): Place[] => {
    if (!isTaking(worker) || !canPay(worker, blocked)) return []
    const own = taken.get(worker.id) ?? []
    return [...own, ...free(worker.concurrency - own.length)]
  })
}

export function createOutlook({
  store,
  workers,
  history,
  config,
}: Pick<ReadServices, 'store' | 'workers' | 'history' | 'config'>): ReadServices['outlook'] {
  let known: { readonly at: number; readonly newerMs: number; readonly outlook: Promise<StartOutlook> } | undefined
  async function readOutlook(): Promise<StartOutlook & { readonly started: number }> {
    const [active, present, blocked, durations] = await Promise.all([
      store.listActive(),
      workers.list(),
      store.listBlocked(),
      history.places(config.simulatorUrl !== undefined),
    ])
    const now = Date.now()
    const outlook = outlookOf(listPlaces(present, active, blocked, now), durations, now)
    const ofOwners = new Map<string, QueueOutlook>()
    return {
      ...outlook,
      started: active.length,
      ofOwner(owner, limit) {
        const name = `${limit} ${owner}`
        const own = active.filter((each) => each.owner === owner).map((each) => toPlace(each, now))
        const known = ofOwners.get(name) ?? outlookOf([...own, ...free(limit - own.length)], durations, now)
        ofOwners.set(name, known)
        return known
      },
    }
  }
  return (age) => {
    const now = performance.now()
    if (!known || now > known.at + (age === 'newer' ? known.newerMs : OUTLOOK_MS)) {
      const reading = { at: now, newerMs: OUTLOOK_MS, outlook: readOutlook() }
      known = reading
      void reading.outlook.then(
        ({ started }) => (reading.newerMs = Math.min(OUTLOOK_MS, started * NEWER_MS_EACH)),
        () => (reading.newerMs = 0),
      )
    }
    return known.outlook
  }
}

function startOf({ position, owner, ownTurn }: ShownRecord, outlook: StartOutlook): number | undefined {
  const start = position === undefined ? undefined : outlook.startOf(position)
  if (start === undefined || !ownTurn || !isHeldBack(ownTurn)) return start
  const own = outlook.ofOwner(owner, ownTurn.limit).startOf(ownTurn.place)
  return own === undefined ? undefined : Math.max(start, own)
}

/**
 * As they are shown, with `estimatedStartAt` of those that wait for a place, or for the ends of others of their token,
 * and for nothing else; what cannot be looked up is not known.
 */
export async function showExecutions(
  { outlook }: Pick<ReadServices, 'outlook'>,
  records: readonly ShownRecord[],
): Promise<Execution[]> {
  const waits = records.some(({ state, position }) => state === 'queued' && position !== undefined)
  const known = waits ? await outlook().catch(() => undefined) : undefined
  return records.map((record) => {
    const start = record.state === 'queued' && known ? startOf(record, known) : undefined
    const estimatedStartAt = start === undefined ? undefined : new Date(Math.max(start, Date.now())).toISOString()
    return Object.assign(toExecution(record), { estimatedStartAt })
  })
}

export async function showExecution(
  { outlook }: Pick<ReadServices, 'outlook'>,
  record: ExecutionRecord,
): Promise<Execution> {
  return (await showExecutions({ outlook }, [record]))[0] ?? toExecution(record)
}
