// DNS that is silent, as after a restart of containers: what it said before counts, and few threads wait for it.
import type { LookupFunction } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { openRedisServer, splitPath } from '../../src/platform/redis-server.js'
import { createLookup, RedisConnector } from '../../src/platform/redis-connector.js'
import { redisOptions } from '../../src/platform/redis.js'
import { testEnvironment } from '../support/environment.js'
import { listenOn } from '../support/redis.js'

const DEADLINE_MS = 50
const look = (lookup: LookupFunction, options = {}): Promise<unknown> =>
  new Promise((resolve, reject) => {
    lookup('redis.example', options, (error, address) => (error ? reject(error) : resolve(address)))
  })

void t.test('a silent DNS is waited for until the deadline, by two threads at most', async (t) => {
  let asked = 0
  const never = new Promise<never>(() => undefined)
  const lookup = createLookup(() => ((asked += 1), never), DEADLINE_MS)
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => look(lookup)))
  t.ok(answers.every(({ status }) => status === 'rejected'))
  await t.rejects(look(lookup), { message: /looking up redis\.example took longer than 50 ms/ })
  t.equal(asked, 2)
})

void t.test('what it said before counts meanwhile, and what it says next does again', async (t) => {
  let answer: Promise<{ address: string; family: number }[]> = Promise.resolve([{ address: '10.0.0.1', family: 4 }])
  const lookup = createLookup(() => answer, DEADLINE_MS)
  t.equal(await look(lookup), '10.0.0.1')
  answer = new Promise(() => undefined)
  t.equal(await look(lookup), '10.0.0.1')
  answer = Promise.reject(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }))
  t.equal(await look(lookup), '10.0.0.1')
  const again = createLookup(() => Promise.resolve([{ address: '10.0.0.2', family: 4 }]), DEADLINE_MS)
  t.same(await look(again, { all: true }), [{ address: '10.0.0.2', family: 4 }])
  await t.rejects(look(again, { family: 6 }), { code: 'ENOTFOUND' })
})

void t.test('Redis is reached by name, and through it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cce-dns-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const server = await openRedisServer({
    directory: folder,
    searchPath: splitPath(testEnvironment(folder)['PATH']),
    durable: false,
  })
  t.teardown(() => server.close())
  const admin = new Redis(redisOptions(server))
  t.teardown(() => admin.disconnect())
  const port = await listenOn((free) => admin.config('SET', 'port', free))
  const options = redisOptions({ url: `redis://localhost:${port}` })
  t.equal(options.Connector, RedisConnector)
  const redis = new Redis(options)
  t.teardown(() => redis.disconnect())
  t.equal(await redis.ping(), 'PONG')
})
