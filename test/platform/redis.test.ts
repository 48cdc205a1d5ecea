import { createConnection, createServer, type Socket } from 'node:net'
import t from 'tap'
import { createEventLog } from '../../src/events/event-log.js'
import { readConfig } from '../../src/platform/config.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { createLogger } from '../../src/platform/logger.js'
import { waitLonger } from '../../src/platform/command-deadline.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { openTestRedis } from '../support/redis.js'
import { once } from '../support/deadlines.js'

const logger = createLogger('silent', 'test')

void t.test('an answer that has come while the process was busy counts', async (t) => {
  const { url } = await openTestRedis(t)
  const redis = openRedis({ url, logger, role: 'caller' })
  t.teardown(() => closeRedis(redis))
  await redis.set('key', 'here')
  const answers = await withLongerClocks(1.2, async (seconds) => {
    const asked = [redis.get('key'), redis.pipeline().get('key').strlen('key').exec()]
    // The commands are on their way, and this thread sleeps longer than the deadline.
    await new Promise(setImmediate)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1_000)
    // Where Redis itself had no time meanwhile, there was no answer to count.
    return Promise.all(asked).catch(() => undefined)
  })
  t.same(answers, [
    'here',
    [
      [null, 'here'],
      [null, 4],
    ],
  ])
})

void t.test('a REDIS_URL that cannot be one is refused without its password', async (t) => {
  for (const value of ['http://user:secret@host', 'redis:/user:secret@host', 'user:secret@host:6379']) {
    t.throws(() => readConfig({ REDIS_URL: value }), { message: /^REDIS_URL: expected redis:.*it is "…@host/ }, value)
  }
})

void t.test('a listener that is closed while Redis is away keeps no process alive', async (t) => {
  const { server, url } = await openTestRedis(t)
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  await server.close()
  const before = timers()
  const redis = openRedis({ url, logger, role: 'subscriber' })
  await new Promise((resolve) => void redis.once('reconnecting', resolve))
  closeRedis(redis)
  t.ok(timers() <= before + 1, 'one of ioredis’ own is left, which ends with its two seconds')
})

void t.test('a caller hears within a second that nobody answers', async (t) => {
  const sockets = new Set<Socket>()
  let isReady = true
  const silent = createServer((socket) => {
    sockets.add(socket)
    // What it is asked before it counts as ready, for once.
    socket.on('data', (data) => {
      if (isReady && data.includes('info')) socket.write('$9\r\nloading:0\r\n')
      isReady = false
    })
  }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const address = silent.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const redis = openRedis({ url: `redis://127.0.0.1:${address.port}`, logger, role: 'caller' })
  t.teardown(() => {
    closeRedis(redis)
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const starting = openRedis({ url: `redis://127.0.0.1:${address.port}`, logger, role: 'caller' })
  t.teardown(() => closeRedis(starting))
  const serve = waitLonger(starting, 600_000)
  let isOver = false
  const asked = starting.get('key').finally(() => (isOver = true))
  await t.rejects(redis.get('key'), { message: 'Redis took longer than 900 ms' })
  t.notOk(isOver, 'a process that does not serve yet has more time')
  serve()
  await t.rejects(asked, { message: 'Redis took longer than 900 ms' })
  const log = createEventLog(redis, 'cc')
  const begun = performance.now()
  const reads = await Promise.allSettled(Array.from({ length: 150 }, () => log.readLast('x')))
  t.ok(reads.every(({ status }) => status === 'rejected'))
  const took = performance.now() - begun
  t.ok(took < 30_000, `${took} ms for readers of logs, who wait for one another only while pages come`)
})

void t.test('an address that leads to two primaries in turn is no failover without end', async (t) => {
  const both = await Promise.all([openTestRedis(t), openTestRedis(t)])
  let connections = 0
  const balancer = createServer((socket) => {
    const { url } = both[connections % 2] ?? both[0]
    connections += 1
    const redis = createConnection(url.slice('unix://'.length))
    socket.pipe(redis).pipe(socket)
    for (const [one, other] of [
      [socket, redis],
      [redis, socket],
    ] as const)
      one.on('error', () => undefined).on('close', () => other.destroy())
  }).listen(0, '127.0.0.1')
  await once(balancer, 'listening')
  const address = balancer.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const url = `redis://127.0.0.1:${address.port}`
  const open = async () => {
    const redis = openRedis({ url, logger, role: 'keeper' })
    await once(redis, 'ready')
    return redis
  }
  const opened = [await open(), await open()]
  for (let round = 0; round < 60; round += 1) {
    await Promise.all(opened.map((redis) => redis.ping()))
    await sleep(25)
  }
  for (const redis of opened) closeRedis(redis)
  balancer.close()
  t.ok(connections <= 4, `each is left once at most: ${connections} connections`)
})
