import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import type { Event } from '../../src/protocol/events.js'
import { isTerminal } from '../../src/protocol/execution.js'
import { isWhole } from '../support/cluster.js'
import { describe, listMentioning } from '../support/processes.js'
import type { Scene, Watched } from './scene.js'
import { until } from '../support/deadlines.js'

/** What a deployment keeps that belongs to no execution; whose a folder is, as long as it is there. */
const HOUSE_KEYS =
  /^\{cc\}:(?:deployment|fence|receipt-keys|figures|figure-models|webhook-totals|workers|worker:.+|workspace-owners|workspaces-used|owned-within:.+|history:.+|usage(?:-by-credential)?:.+|budget:.+|lock:\w+|(?:executions|alarms):(?:meta|id|events|stalled-check|marker|pc|pausedCounter))$/
const INDEXES = [
  'waiting',
  'parked',
  'deadlines',
  'leases',
  'index',
  'owners',
  'finished',
  'finished-bytes',
  'finished-total',
]

/** What must hold after every fault, once all is well again: the promises of the protocol, read from outside. */
export async function checkInvariants(t: Test, scene: Scene): Promise<void> {
  await Promise.all(scene.executions.map((execution) => scene.ended(execution)))
  const listLeft = (): string[] => {
    const members = [...scene.apis, ...scene.workers]
    const lefts = listMentioning(scene.cluster.folder).filter(
      ({ pid, state }) => state !== 'Z' && !members.some((member) => member.pid === pid),
    )
    return describe([...lefts, ...listMentioning(scene.tag, 'cmdline')])
  }
  // What has held a run together ends a moment after it.
  await until(() => listLeft().length === 0, 'no process of any run is alive', 60_000).catch(() => undefined)
  t.same(listLeft(), [], 'no process of any run is alive')
  for (const execution of scene.executions) await t.test(execution.name, (t) => checkExecution(t, scene, execution))
  await checkKeys(t, scene)
}

async function checkExecution(t: Test, { cluster, apis }: Scene, { id, seen, mark }: Watched): Promise<void> {
  const [first] = apis
  if (!first) throw new Error('no API is left to ask')
  const log = await cluster.readLog(first, id)
  isWhole(t, log)
  for (const events of seen)
    t.same(findDifference(events, log), undefined, 'a subscriber has seen the log, each event once')
  const records = await Promise.all(apis.map((api) => cluster.get(api, id)))
  for (const record of records) {
    t.ok(isTerminal(record.status), record.status)
    t.match(log.at(-1)?.data, { outcome: record.outcome, usage: record.usage }, 'the record says what the log says')
    t.equal(record.lastSeq, log.length)
  }
  const [record] = records
  const parked = log.filter(({ type }) => type === 'execution.parked').length
  const allowed = (record?.request.maxAttempts ?? 1) + parked
  const starts = readFileSync(mark, 'utf8').split('\n').length - 1
  const announced = log.filter(({ type }) => type === 'execution.started').length
  t.ok(announced <= allowed, `${announced} attempts of ${allowed}`)
  t.ok(starts <= announced, `the CLI ran ${starts} times, and ${announced} starts were announced`)
  if (record?.status === 'succeeded') t.equal(starts, 1 + parked, 'what has succeeded ran')
  t.comment(`${record?.status ?? ''} ${record?.outcome?.code ?? ''}`)
}

/** Where two logs part: a comparison of all of them would fill the screen. */
function findDifference(some: readonly Event[], others: readonly Event[]): unknown {
  const index = Array.from({ length: Math.max(some.length, others.length) }).findIndex(
    (_, at) => JSON.stringify(some[at]) !== JSON.stringify(others[at]),
  )
  return index === -1 ? undefined : { index, seen: some[index] ?? null, logged: others[index] ?? null }
}

/** Nothing waits, nothing is leased, what is finished expires; and nothing is left of what was deleted. */
async function checkKeys(t: Test, { redis: { admin }, cluster, apis, executions, random }: Scene): Promise<void> {
  for (const index of ['waiting', 'parked', 'resting:budget', 'deadlines', 'leases'])
    t.equal(await admin.exists(`{cc}:${index}`), 0, `nothing is left in ${index}`)
  for (const { id, name } of executions) {
    const kept = (await admin.keys(`{cc}:*${id}*`)).filter((key) => !key.startsWith('{cc}:executions:'))
    const eternal = []
    for (const key of kept) if ((await admin.pttl(key)) < 0) eternal.push(key)
    t.same(eternal, [], `every key of ${name} has an end`)
  }
  const [api] = random.shuffle(apis)
  if (!api) throw new Error('no API is left to ask')
  for (const { id } of executions) t.equal(await cluster.forget(api, id), 204)
  let left: string[] = []
  // BullMQ's own books of a worker that died, or whose locks Redis has lost, are closed by the round after the lock's
  // end.
  await until(
    async () => {
      left = (await admin.keys('*')).filter((key) => !HOUSE_KEYS.test(key))
      return left.length === 0
    },
    'no key is left',
    180_000,
  ).catch(() => undefined)
  t.same(left, [], 'no key is left after deletion')
  for (const index of INDEXES) t.equal(await admin.exists(`{cc}:${index}`), 0, index)
}
