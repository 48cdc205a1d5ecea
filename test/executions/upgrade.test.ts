// Records of an older version, taken out of its Redis as it ran: what they are is read, and what they were to become is
// done.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { Execution } from '../../src/protocol/execution.js'
import type { Event } from '../../src/protocol/events.js'
import type { RedisServer } from '../../src/platform/redis-server.js'
import { FIXTURES, SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

/** As test/fixtures/upgrade/make-dump.mjs writes it. */
interface Dump {
  readonly commit: string
  readonly executions: Record<string, string>
  readonly keys: Record<string, { readonly ttlMs: number; readonly dump: string }>
}

const TOKEN = { authorization: 'Bearer a-long-enough-token' }
const COMMITS = ['6c4780c']

async function withRedis({ url }: RedisServer, work: (redis: Redis) => Promise<void>): Promise<void> {
  const redis = new Redis(url.replace('unix://', ''))
  try {
    await work(redis)
  } finally {
    redis.disconnect()
  }
}

const setLeases = async (redis: Redis, until: number): Promise<void> => {
  for (const id of await redis.zrange('{cc}:leases', '0', '-1')) await redis.zadd('{cc}:leases', until, id)
}

/** As it was when it was taken: the leases of the older workers go on until the test ends them. */
const restore = (server: RedisServer, { keys }: Dump): Promise<void> =>
  withRedis(server, async (redis) => {
    for (const [name, { ttlMs, dump }] of Object.entries(keys))
      await redis.restore(name, Math.max(ttlMs, 0), Buffer.from(dump, 'base64'))
    await setLeases(redis, Date.now() + 600_000)
  })

for (const commit of COMMITS) {
  // Safe: the script beside it wrote the file.
  const dump = JSON.parse(await readFile(join(FIXTURES, 'upgrade', `${commit}.json`), 'utf8')) as Dump
  const idOf = (name: string): string => {
    const id = dump.executions[name]
    if (id === undefined) throw new Error(`the dump of ${commit} has no ${name}`)
    return id
  }
  void t.test(`of ${commit}`, (t) =>
    t.test('this version reads, runs and ends what an older one has stored', async (t) => {
      const service = await openTestService(t, {
        workers: 0,
        env: {
          CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
          CC_EXECUTOR_TOKENS: 'tester=a-long-enough-token:admin',
          CC_EXECUTOR_CONCURRENCY: '4',
        },
        prepare: (redis) => restore(redis, dump),
      })
      const call = (method: string, path: string, body?: unknown, headers = {}) =>
        service.call(method, path, { headers: { ...TOKEN, ...headers }, ...(body !== undefined && { body }) })
      const get = async (name: string): Promise<Execution> =>
        Execution.parse((await call('GET', `/executions/${idOf(name)}`)).body)
      const eventsOf = async (name: string): Promise<Event[]> =>
        (await call('GET', `/executions/${idOf(name)}/events?limit=1000`)).body.events
      const names = Object.keys(dump.executions)
      async function verify(name: string): Promise<unknown> {
        const receipt = (await call('GET', `/executions/${idOf(name)}/receipt`)).text
        const events = (
          await call('GET', `/executions/${idOf(name)}/events`, undefined, { accept: 'application/x-ndjson' })
        ).text
        return (await call('POST', '/receipts/verify', { receipt, events })).body
      }

      await t.test('read', async (t) => {
        const statuses = Object.fromEntries(
          await Promise.all(names.map(async (name) => [name, (await get(name)).status])),
        )
        t.same(statuses, {
          succeeded: 'succeeded',
          failed: 'failed',
          finishedList: 'succeeded',
          delayed: 'queued',
          running: 'running',
          continued: 'running',
          paused: 'paused',
          holder: 'running',
          runningList: 'running',
          queued: 'queued',
          queuedLow: 'queued',
          parked: 'queued',
          queuedList: 'queued',
        })
        for (const name of names) {
          const log = await eventsOf(name)
          t.same(
            log.map(({ seq }) => seq),
            log.map((_event, index) => index + 1),
            `the log of ${name} has no gap`,
          )
        }
        t.match(await get('succeeded'), {
          metadata: { kept: 'yes' },
          simulated: true,
          outcome: { status: 'succeeded' },
        })
        const file = await call('GET', `/executions/${idOf('succeeded')}/files/note.txt`)
        t.same([file.status, file.text], [200, 'kept'], 'what it left is there')
        t.match(
          await verify('succeeded'),
          { valid: true, mismatches: [] },
          'its receipt fits its events, and its key is known',
        )
        const again = await call('POST', '/execute', (await get('queued')).request, {
          'idempotency-key': 'the-queued-one',
        })
        t.equal(again.body.id, idOf('queued'), 'its Idempotency-Key leads to it')
      })

      // Its worker knows of no messages: whoever ends the run tells what became of them.
      const said: Record<string, string> = {}
      for (const name of ['running', 'paused', 'continued', 'queued'])
        said[name] = (await call('POST', `/executions/${idOf(name)}/messages`, { text: 'And now?' })).body.id
      const missed = { text: 'instead', onDropped: 'follow_up' }
      const owed = (await call('POST', `/executions/${idOf('holder')}/messages`, missed)).body
      t.match(owed, { status: 'accepted', reason: undefined })

      // The older workers are gone.
      await withRedis(service.redis, (redis) => setLeases(redis, 1))
      await service.openWorker()
      await t.test('run and end', async (t) => {
        await Promise.all(
          names.map((name) => until(async () => (await get(name)).finishedAt !== undefined, `${name} has ended`)),
        )
        const ends = await Promise.all(
          names.map(async (name) => {
            const { attempt, outcome, kind } = await get(name)
            return [
              name,
              [
                outcome?.status,
                ...(outcome?.code ? [outcome.code] : []),
                ...(kind === 'task_list' ? [] : [attempt]),
              ].join(' '),
            ]
          }),
        )
        t.same(Object.fromEntries(ends), {
          succeeded: 'succeeded 1',
          failed: 'failed CLAUDE_EXITED 1',
          finishedList: 'succeeded',
          delayed: 'succeeded 3',
          running: 'failed WORKER_LOST 1',
          continued: 'succeeded 2',
          paused: 'failed WORKER_LOST 1',
          holder: 'failed WORKER_LOST 1',
          runningList: 'failed TASK_FAILED',
          queued: 'succeeded 1',
          queuedLow: 'succeeded 1',
          parked: 'succeeded 1',
          queuedList: 'succeeded',
        })
        for (const name of names) {
          const log = await eventsOf(name)
          t.same(
            log.map(({ seq }) => seq),
            log.map((_event, index) => index + 1),
            `the log of ${name} has no gap`,
          )
          t.equal(log.filter(({ type }) => type === 'execution.finished').length, 1, `${name} ended once`)
          t.match(await verify(name), { valid: true, mismatches: [] }, `the receipt of ${name} fits its events`)
        }
        for (const [name, id] of Object.entries(said)) {
          const [message] = (await call('GET', `/executions/${idOf(name)}/messages`)).body.messages
          const told = (await eventsOf(name)).flatMap(({ type, data }) =>
            'messageId' in data && data.messageId === id ? type : [],
          )
          t.same(told, ['message.accepted', `message.${message.status}`], `what was said to ${name} has one end`)
        }
        const [dropped] = (await call('GET', `/executions/${idOf('holder')}/messages`)).body.messages
        t.match(dropped, { id: owed.id, status: 'dropped', reason: 'failed' })
        await until(
          async () => (await call('GET', `/executions/${dropped.followUpId}`)).body.finishedAt !== undefined,
          'its follow-up has ended',
        )
        await call('DELETE', `/executions/${dropped.followUpId}`)
      })

      await t.test('forget', async (t) => {
        for (const name of names) t.equal((await call('DELETE', `/executions/${idOf(name)}`)).status, 204)
        await withRedis(service.redis, async (redis) => {
          for (const index of [
            'waiting',
            'parked',
            'delayed',
            'due',
            'deadlines',
            'leases',
            'index',
            'owners',
            'finished',
            'finished-bytes',
            'finished-total',
            'unsettled',
          ]) {
            t.equal(await redis.exists(`{cc}:${index}`), 0, `nothing is left in ${index}`)
          }
          const listLeft = async () =>
            (await redis.keys('*')).filter((key) =>
              names.some((name) => key.includes(idOf(name)) && !key.startsWith('{cc}:executions:')),
            )
          // BullMQ removes a job that a worker has just looked at a moment later.
          await until(async () => (await listLeft()).length === 0, 'nothing is left', 20_000).catch(() => undefined)
          t.same(await listLeft(), [])
        })
      })
    }),
  )
}
