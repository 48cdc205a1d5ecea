import { sleep } from '../../platform/abort-signals.js'
import { gauge, toOwnFamilies, toSharedFamilies, type Family, type Sample } from '../../telemetry/exposition.js'
import { OTHER } from '../../telemetry/figure-fields.js'
import type { WorkerState } from '../../protocol/service-state.js'
import type { ExecutionServices } from '../services.js'
import { credentialsOf } from './expected-start.js'

/** Credentials are the operator's to name; still no more of them are told apart. */
const CREDENTIALS_KEPT = 50
/** Workers look every second whether their figures are wanted. */
const FIRST_WAIT_MS = 2_500
const LOOK_MS = 100

type StandbyCount = NonNullable<WorkerState['standby']>
type Metrics = NonNullable<ExecutionServices['metrics']>
type Reading = Pick<ExecutionServices, 'store' | 'workers' | 'figures'>

/** A pressure that Prometheus sees before requests are refused. */
function toMemory(info: string): Family[] {
  const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return [
    gauge('redis_memory_bytes', 'What Redis holds, as its limit counts it.', [
      { value: read('used_memory') - read('mem_not_counted_for_evict') },
    ]),
    gauge('redis_memory_limit_bytes', 'maxmemory of Redis; 0: no limit.', [{ value: read('maxmemory') }]),
  ]
}

const sumOf = (workers: readonly WorkerState[], count: (standby: StandbyCount) => number): number =>
  workers.reduce((sum, { standby }) => sum + (standby ? count(standby) : 0), 0)

async function readGauges({ store, workers }: Reading): Promise<Family[]> {
  const [{ byPriority }, { running, paused }, present, blocked, approvals] = await Promise.all([
    store.count(),
    store.countActive(),
    workers.list(),
    store.listBlocked(),
    store.countOpenApprovals(),
  ])
  const names = [...new Set(present.flatMap(credentialsOf))].toSorted()
  const credentials: Sample[] = []
  for (const [index, name] of names.entries()) {
    const value = blocked.some(({ credential }) => credential === name) ? 1 : 0
    if (index < CREDENTIALS_KEPT) credentials.push({ labels: { credential: name }, value })
    else if (value === 1 || index === CREDENTIALS_KEPT) {
      credentials.splice(CREDENTIALS_KEPT, 1, { labels: { credential: OTHER }, value })
      if (value === 1) break
    }
  }
  return [
    gauge(
      'queue_depth',
      'Executions that wait, by priority.',
      Object.entries(byPriority).map(([priority, value]) => ({ labels: { priority }, value })),
    ),
    gauge('running', 'Executions that run or are paused.', [{ value: running + paused }]),
    gauge('workers', 'Workers that are present.', [{ value: present.length }]),
    gauge('standby', 'CLIs that stand by (ready), and those that should besides (missing), of all workers.', [
      { labels: { state: 'ready' }, value: sumOf(present, ({ ready }) => ready) },
      { labels: { state: 'missing' }, value: sumOf(present, ({ ready, wanted }) => Math.max(0, wanted - ready)) },
    ]),
    gauge('approvals_pending', 'Approvals that wait for a decision.', [{ value: approvals }]),
    gauge('credential_blocked', '1: the limit of this credential of a worker is reached.', credentials),
  ]
}

/** Who is asked for the first time in a while has nothing to tell yet. */
async function listProcesses({ workers }: Reading, { store }: Metrics): Promise<Family[]> {
  const wereWanted = await store.want()
  const deadline = performance.now() + FIRST_WAIT_MS
  for (;;) {
    const published = await store.list('worker')
    if (wereWanted || performance.now() > deadline) return published.flat()
    const reporting = published.filter((families) => families.length > 0)
    if (reporting.length >= (await workers.list()).length) return reporting.flat()
    await sleep(LOOK_MS)
  }
}

async function readService(services: Reading, metrics: Metrics): Promise<Family[]> {
  await metrics.keeper.flush()
  const [fields, gauges, processes, info] = await Promise.all([
    metrics.store.readAll(),
    readGauges(services),
    listProcesses(services, metrics),
    metrics.store.readMemory(),
  ])
  return [...toSharedFamilies(fields), ...gauges, ...toMemory(info), ...processes]
}

/** Everything that is counted, as Prometheus reads it; where Redis is away what this process knows by itself. */
export async function readFigures(services: Reading & Pick<ExecutionServices, 'metrics'>): Promise<string> {
  const { figures, metrics } = services
  if (!figures || !metrics) throw new Error('metrics are off')
  const { keeper } = metrics
  const [client, shared, name] = await Promise.all([
    keeper.process(),
    readService(services, metrics).catch(() => undefined),
    keeper.name().catch(() => undefined),
  ])
  const up = gauge('redis_up', '1: Redis answered.', [{ value: shared ? 1 : 0 }])
  return client.print([...(shared ?? []), up, ...toOwnFamilies(figures), ...(await client.read(name ?? 'api'))])
}
