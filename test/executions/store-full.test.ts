// Redis at its maxmemory, which refuses whatever may need memory: what runs can be ended, and its end is told.
import { Redis } from 'ioredis'
import { join } from 'node:path'
import t from 'tap'
import { keyRoot } from '../../src/platform/redis.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

void t.test('where Redis is full, what runs keeps its lease and can be cancelled, and readiness says so', async (t) => {
  const service = await openTestService(t, {
    env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_LOCK_SECONDS: '12', CC_EXECUTOR_CONCURRENCY: '2' },
  })
  const admin = new Redis(service.redis.url.slice('unix://'.length))
  t.teardown(() => admin.disconnect())
  const setLimit = (bytes: string) => admin.config('SET', 'maxmemory', bytes)
  const ready = async (): Promise<string> =>
    (await service.call('GET', '/health/ready')).body.parts.redis.message as string
  const ticking = () =>
    service.submit({
      prompt: JSON.stringify([{ ticks: 100_000, everyMs: 20, until: join(service.directory, 'never') }]),
    })
  const [first, second] = [await ticking(), await ticking()]
  for (const { id } of [first, second]) await service.until(id, 'claude.message')
  const queued = await service.submit({ prompt: '[]', workspace: 'mine', priority: 'low' })

  await setLimit('1')
  t.teardown(() => setLimit('0'))
  t.match(await ready(), /Redis is full.*maxmemory.*can be cancelled/)
  t.equal((await service.call('GET', '/health/ready')).status, 503)
  t.match(await service.call('POST', '/execute', { body: { prompt: 'x' } }), {
    status: 503,
    body: { code: 'STORE_UNAVAILABLE', detail: /full/ },
  })
  const cancelled = await service.call('POST', `/executions/${first.id}/cancel`)
  // What was not taken has no end that could be waited for.
  if (!t.ok(cancelled.status === 200 || cancelled.status === 202, `cancelled: ${cancelled.text}`)) return
  t.match(await service.finished(first.id), { status: 'cancelled', outcome: { code: 'CANCELLED' } })
  t.match((await service.events(first.id)).slice(-1), [{ type: 'execution.finished' }])
  t.ok((await service.events(first.id)).some(({ type }) => type === 'execution.cancel_requested'))
  t.match(await service.call('GET', `/executions/${first.id}/receipt`), { status: 200 })
  // The place of the first is free, and nothing takes it: what is claimed now could not be started.
  t.match(await service.call('POST', `/executions/${queued.id}/cancel`), { body: { status: 'cancelled' } })
  t.equal((await service.call('DELETE', `/executions/${first.id}`)).status, 204, 'a deletion makes room')
  t.equal((await service.call('GET', `/executions/${second.id}`)).body.status, 'running')

  const lease = async (): Promise<number> => Number(await admin.zscore(`${keyRoot('cc')}:leases`, second.id))
  const renewed = await lease()
  await until(async () => (await lease()) > renewed, 'its lease is renewed although Redis is full')
  const held = (await service.events(second.id)).at(-1)!.seq
  await setLimit('0')
  t.equal(await ready(), 'answers')
  await until(async () => (await service.events(second.id, held)).length > 0, 'its events come when there is room')
  await service.call('POST', `/executions/${second.id}/cancel`)
  t.match(await service.finished(second.id), { status: 'cancelled' })
  const seqs = (await service.events(second.id)).map(({ seq }) => seq)
  t.same(
    seqs,
    seqs.map((_, index) => index + 1),
    'none is missing',
  )
})

void t.test('a Redis that may evict what was accepted takes nothing new, and says why', async (t) => {
  const service = await openTestService(t, {
    env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI },
    workers: 0,
    prepare: async ({ url }) => {
      const admin = new Redis(url.slice('unix://'.length))
      await admin.config('SET', 'maxmemory', '64mb', 'maxmemory-policy', 'allkeys-lru')
      admin.disconnect()
    },
  })
  t.match(await service.call('POST', '/execute', { body: { prompt: 'x' } }), {
    status: 503,
    body: {
      code: 'STORE_UNAVAILABLE',
      retryable: true,
      detail: /allkeys-lru.*noeviction.*New executions are rejected/,
    },
  })
  t.match((await service.call('GET', '/health/ready')).body, {
    parts: { redis: { message: /maxmemory-policy allkeys-lru/ } },
  })
  t.same((await service.call('GET', '/executions')).body.executions, [])
})
