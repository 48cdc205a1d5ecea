// Submissions that come together are written by one script: each has its own answer, and none is another's matter.
import { readdir, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { CreateAnswer, NewRecord } from '../../src/executions/store/transitions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { mintUuid } from '../../src/platform/mint-uuid.js'
import { openRedisServer, splitPath } from '../../src/platform/redis-server.js'
import { commandLineOf, treeOf, tryKill } from '../support/processes.js'
import { openTestRedis } from '../support/redis.js'
import { until } from '../support/deadlines.js'

const NOW = 1_796_000_000_000
/** As create-batches.ts has it. */
const MOST = 8

async function openScene(t: Test, options: { durable?: boolean } = {}) {
  const redis = await openTestRedis(t, options)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
  const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
  const { store, redis: keys } = domain
  /** How often each command was called, those of scripts included. */
  async function calls(command: string): Promise<number> {
    const info = await keys.info('commandstats')
    return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  }
  /** Everything that the store knows. */
  async function dump(): Promise<Record<string, unknown>> {
    const names = (await keys.keys('*')).sort()
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, (await keys.dumpBuffer(name))?.toString('base64')])),
    )
  }
  return { redis, store, log: domain.log, keys, calls, dump }
}

let made = 0
function toRecord(more: Partial<NewRecord> = {}): NewRecord {
  made += 1
  const id = mintUuid(NOW + made)
  const record = { id, owner: 'tester', request: { prompt: `${made}` }, requestDigest: 'digest' }
  return { ...record, priority: 'normal', createdAt: NOW + made, workspace: id, metadata: {}, simulated: true, ...more }
}
const toRecords = (count: number, more: Partial<NewRecord> = {}): NewRecord[] =>
  Array.from({ length: count }, () => toRecord(more))

type Scene = Awaited<ReturnType<typeof openScene>>
const createAll = ({ store }: Scene, records: readonly NewRecord[], most = 1_000): Promise<CreateAnswer[]> =>
  Promise.all(records.map((record) => store.create(record, most)))
const positionsOf = (answers: readonly CreateAnswer[]) =>
  answers.map((answer) => ('record' in answer ? answer.record?.position : answer.kind))

void t.test('what comes together is written by few scripts, in its order', async (t) => {
  const scene = await openScene(t)
  await createAll(scene, toRecords(1))
  const before = await scene.calls('evalsha')
  const records = toRecords(2 * MOST + 3)
  const answers = await createAll(scene, records)
  t.equal((await scene.calls('evalsha')) - before, 3)
  t.same(
    positionsOf(answers),
    records.map((_, index) => index + 2),
  )
  for (const [index, { id }] of records.entries()) {
    t.match(await scene.store.get(id), { state: 'queued', position: index + 2, request: records[index]?.request })
    const { events } = await scene.log.readAfter(id, 0, 1e6)
    t.same(
      events.map(({ seq, bytes }) => [seq, JSON.parse(bytes.toString()).data.position]),
      [[1, index + 2]],
    )
  }
})

void t.test('it leaves what the same records leave one after the other', async (t) => {
  const [together, inTurn] = [await openScene(t), await openScene(t)]
  const records = [
    ...toRecords(2),
    toRecord({ owner: 'other' }),
    toRecord({ priority: 'high', metadata: { a: 'b' } }),
    toRecord({ priority: 'low', queueDeadline: NOW + 60_000 }),
    toRecord({ idempotencyKey: 'key', requestDigest: 'one' }),
    toRecord({ workspace: 'named', workspaceLock: 'named' }),
  ]
  await createAll(together, records)
  for (const record of records) await createAll(inTurn, [record])
  const [dump, expected] = [await together.dump(), await inTurn.dump()]
  // The time when it was named; and the position in a first event is that of the moment, which others of it precede.
  for (const of of [dump, expected]) {
    delete of['{cc}:workspaces-used']
    delete of['{cc}:owners']
    for (const name of Object.keys(of)) if (/:(?:events|log):/.test(name)) of[name] = true
  }
  t.same(dump, expected)
  t.same(new Set(await together.keys.smembers('{cc}:owners')), new Set(['tester', 'other']))
  for (const { id } of records) t.same(await together.store.get(id), await inTurn.store.get(id))
  const again = await createAll(together, records)
  t.same(new Set(again.map(({ kind }) => kind)), new Set(['created']), 'sent again it is known')
  t.same(Object.keys(await together.dump()).length, Object.keys(dump).length + 2, 'and nothing is there twice')
})

void t.test('one that is refused, or fails, is no other’s matter', async (t) => {
  const scene = await openScene(t)
  const first = toRecord({ idempotencyKey: 'known', requestDigest: 'one' })
  await createAll(scene, [first, toRecord({ owner: 'other', workspace: 'theirs', workspaceLock: 'theirs' })])
  await scene.keys.sadd('{cc}:idempotency:tester:broken', 'no text')
  const twice = { idempotencyKey: 'twice', requestDigest: 'two' }
  const records = [
    toRecord(),
    toRecord({ idempotencyKey: 'known', requestDigest: 'one' }),
    toRecord({ idempotencyKey: 'known', requestDigest: 'another' }),
    toRecord({ workspace: 'theirs/below', workspaceLock: 'theirs/below' }),
    toRecord({ idempotencyKey: 'broken' }),
    toRecord(twice),
    toRecord(twice),
    toRecord(),
  ]
  const before = await scene.calls('evalsha')
  const settled = await Promise.allSettled(records.map((record) => scene.store.create(record, 5)))
  t.equal((await scene.calls('evalsha')) - before, 1, 'all in one')
  t.match(settled, [
    { value: { kind: 'created' } },
    { value: { kind: 'replayed', id: first.id } },
    { value: { kind: 'conflict', id: first.id } },
    { value: { kind: 'refused', refusal: { why: 'not_owned', detail: 'theirs/below' } } },
    { status: 'rejected', reason: { message: /WRONGTYPE/ } },
    { value: { kind: 'created' } },
    { value: { kind: 'replayed', id: records[5]?.id } },
    { value: { kind: 'created' } },
  ])
  const stored = await Promise.all(records.map(({ id }) => scene.keys.exists(`{cc}:execution:${id}`)))
  t.same(stored, [1, 0, 0, 0, 0, 1, 0, 1])
  t.same(positionsOf(await createAll(scene, toRecords(3), 7)), [6, 7, 'full'], 'and the queue’s limit cuts one in two')
  t.equal(await scene.keys.zcard('{cc}:index'), 7)
})

void t.test('where Redis takes no write, all of it is refused in Redis’ own words, and nothing is left', async (t) => {
  const scene = await openScene(t)
  await createAll(scene, toRecords(1))
  await scene.keys.config('SET', 'maxmemory', '1')
  const before = await scene.keys.dbsize()
  const settled = await Promise.allSettled(toRecords(3).map((record) => scene.store.create(record, 100)))
  await scene.keys.config('SET', 'maxmemory', '0')
  for (const one of settled) t.match(one, { status: 'rejected', reason: { message: /^OOM/ } })
  t.equal(await scene.keys.dbsize(), before)
})

void t.test('a long one is written alone, and holds none of the others', async (t) => {
  const scene = await openScene(t)
  await createAll(scene, toRecords(1))
  const before = await scene.calls('evalsha')
  const long = { request: { prompt: 'x'.repeat(4 * 1024 * 1024) } }
  const records = [...toRecords(2), toRecord(long), ...toRecords(2), toRecord(long)]
  t.same(positionsOf(await createAll(scene, records)), [2, 3, 4, 5, 6, 7])
  t.equal((await scene.calls('evalsha')) - before, 4)
  for (const { id, request } of records) t.same((await scene.store.get(id))?.request, request)
})

void t.test('where Redis dies in the midst of writing it, it is there as a whole or not at all', async (t) => {
  const scene = await openScene(t, { durable: true })
  const { server, directory } = scene.redis
  const kept = toRecords(MOST)
  await createAll(scene, kept)
  const lost = toRecords(MOST)
  await createAll(scene, lost)
  for (const { pid } of treeOf(server.pid)) if (/redis-server|valkey-server/.test(commandLineOf(pid))) tryKill(pid)
  await server.ended
  const folder = join(directory, 'appendonlydir')
  const name = (await readdir(folder)).find((file) => file.endsWith('.incr.aof'))
  if (name === undefined) throw new Error('no append-only file')
  const path = join(folder, name)
  // As if it had died there: in the midst of what the last one of them writes.
  await truncate(path, (await stat(path)).size - 600)
  const next = await openRedisServer({ directory, searchPath: splitPath(process.env['PATH']), durable: true })
  t.teardown(() => next.close())
  await until(async () => (await scene.keys.dbsize().catch(() => 0)) > 0, 'it is back')
  for (const { id } of kept) t.match(await scene.store.get(id), { state: 'queued' })
  for (const { id } of lost) t.same(await scene.keys.keys(`*${id}*`), [], 'nothing of it')
  t.equal(await scene.keys.zcard('{cc}:waiting'), MOST)
  t.equal(await scene.keys.zcard('{cc}:index:tester'), MOST)
  t.same(
    positionsOf(await createAll(scene, lost)),
    lost.map((_, index) => MOST + index + 1),
    'what was not answered is sent again, and taken',
  )
})

void t.test('nothing is accepted of a token that was revoked, whatever it brings along', async (t) => {
  const scene = await openScene(t)
  const revoked = { owner: `tok_${'0'.repeat(32)}` }
  const plain = [toRecord(), toRecord(revoked), toRecord()]
  t.same(positionsOf(await createAll(scene, plain)), [1, 'withdrawn', 2])
  const withBudget = toRecord({ ...revoked, wantedBudget: { usd: { run: 1 } } })
  t.same(positionsOf(await createAll(scene, [withBudget])), ['withdrawn'])
  t.equal(await scene.keys.zcard('{cc}:index'), 2)
})
