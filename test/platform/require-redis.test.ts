// What is asked of a Redis before anything is started, and what is said where it will not do.
import { execFileSync, spawn } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { readConfig } from '../../src/platform/config.js'
import { createLogger } from '../../src/platform/logger.js'
import { closeRedis, openRedis, redisOptions } from '../../src/platform/redis.js'
import { PROBED_COMMANDS } from '../../src/platform/redis-rights.js'
import { requireRedis } from '../../src/platform/require-redis.js'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { ROOT } from '../support/paths.js'
import { listenOn, openTestRedis, type TestRedis } from '../support/redis.js'
import { once } from '../support/deadlines.js'

const PASSWORD = 'a/b#c?d%e=f'
const READY = { prefix: 'cc' }
/** Where the machine has left Redis no time for an answer it is asked again. */
async function ask(redisUrl: string, redisAccess = {}, tries = 20): Promise<void> {
  try {
    await requireRedis({ redisUrl, redisAccess, ...READY })
  } catch (error) {
    if (tries === 0 || !/no response for/.test(String(error))) throw error
    await ask(redisUrl, redisAccess, tries - 1)
  }
}

/** They send nothing, or what is asked apart from the table. */
const OF_THE_DRIVER = new Set(['on', 'once', 'disconnect', 'pipeline', 'call', 'select', 'subscribe', 'push'])

/** The same Redis on a port as well. */
async function openPort(t: Test): Promise<TestRedis & { port: number; admin: Redis }> {
  const redis = await openTestRedis(t)
  const admin = new Redis(redisOptions(redis))
  t.teardown(() => admin.disconnect())
  const port = await listenOn((free) => admin.config('SET', 'port', String(free)))
  return { ...redis, port, admin }
}

void t.test('a REDIS_URL says what is wrong with it, and nothing of its password', async (t) => {
  for (const [url, reason] of [
    ['redis://:kl/mno+pqr=@127.0.0.1:6390', /%2F %23|%2F, # %23/],
    ['redis://:ab#cd@127.0.0.1:6390', /# %23/],
    ['redis://:50%off@127.0.0.1:6390', /% %25/],
    ['redis://:ab?cd@127.0.0.1:6390', /\? %3F/],
    ['redis://127.0.0.1:6390/cache', /the database must be a number/],
    ['redis://127.0.0.1:6390?db=3', /unknown parameter "db".*redis:\/\/host:port\/3/],
    ['redis://127.0.0.1:6390/#3', /must end with the database/],
    ['redis://', /expected a host/],
    ['http://127.0.0.1', /expected redis:\/\//],
  ] as const) {
    t.throws(() => readConfig({ REDIS_URL: url }), { message: reason }, url)
    try {
      readConfig({ REDIS_URL: url })
    } catch (error) {
      t.match((error as Error).message, /^REDIS_URL: /)
      t.notMatch((error as Error).message, /kl\/mno|ab#cd|50%off|ab\?cd/)
    }
  }
})

void t.test('a password with every such character, a database that is there, and one that is not', async (t) => {
  const { port, admin } = await openPort(t)
  await admin.call('ACL', 'SETUSER', 'default', `>${PASSWORD}`, 'resetpass', `>${PASSWORD}`)
  const url = `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`
  await ask(`${url}/15`)
  await t.rejects(ask(`${url}/16`), { name: 'ConfigError', message: /…@127\.0\.0\.1:\d+\/16 has no database 16: / })
  await t.rejects(ask(`redis://:wrong@127.0.0.1:${port}`), { message: /correct the user and the password.*WRONGPASS/ })
  await t.rejects(ask(`redis://127.0.0.1:${port}`), { message: /correct the user and the password.*NOAUTH/ })
})

void t.test('a replica and a cluster are refused', async (t) => {
  const { url, admin } = await openPort(t)
  await admin.call('REPLICAOF', '127.0.0.1', '1')
  await t.rejects(ask(url), { message: /it is a read-only replica: use the primary\.$/ })

  const binary = await findExecutable(['redis-server', 'valkey-server'], splitPath(process.env['PATH']))
  const directory = t.testdir({})
  // Its second port is ten thousand above the first, and there is none above 65535.
  const port = await listenOn(async (free) => {
    if (free > 55_000) throw new Error(`${free} is too high`)
    const options = ['--port', String(free), '--cluster-enabled', 'yes', '--dir', directory, '--save', '']
    const cluster = spawn(binary ?? '', options, { stdio: ['ignore', 'pipe', 'ignore'] })
    t.teardown(async () => {
      if (cluster.exitCode === null && cluster.kill('SIGKILL')) await once(cluster, 'exit')
    })
    let said = ''
    for await (const chunk of cluster.stdout.setEncoding('utf8')) if (/Ready to accept/i.test((said += chunk))) return
    throw new Error(said)
  })
  await t.rejects(ask(`redis://127.0.0.1:${port}`), { message: /it is a Redis Cluster, which is not supported/ })
})

void t.test('every right is asked for, and the one that is missing is named', async (t) => {
  const { port, admin } = await openPort(t)
  const url = `redis://limited:secret@127.0.0.1:${port}`
  const allow = (...rules: string[]) => admin.call('ACL', 'SETUSER', 'limited', 'reset', 'on', '>secret', ...rules)
  const manual = await readFile(join(ROOT, 'deployment', 'README.md'), 'utf8')
  const least = /ACL SETUSER \S+ on >\S+ (.+)/.exec(manual)?.[1]?.split(' ') ?? []
  t.ok(least.length > 3, 'the manual has the least rights')
  await allow(...least)
  await ask(url)
  for (const command of [...PROBED_COMMANDS.filter((name) => name !== 'exec'), 'select', 'subscribe']) {
    await allow(...least, `-${command}`)
    await t.rejects(ask(url), { message: new RegExp(`its user may not send ${command.toUpperCase()} `) }, command)
  }
  await allow(...least, 'resetkeys', '~{other}*')
  await t.rejects(ask(url), { message: /its user may not use the keys \{cc\}\*/ })
  await allow(...least, 'resetchannels', '&{other}*')
  await t.rejects(ask(url), { message: /its user may not use the channels \{cc\}\*/ })
  t.same(await admin.keys('*'), [], 'the questions leave nothing')
})

void t.test('no script and no call sends a command that is not asked for', async (t) => {
  const bullmq = join(ROOT, 'node_modules', 'bullmq', 'dist', 'cjs')
  const sources = [
    ...(await readdir(join(bullmq, 'scripts'))).map((name) => join(bullmq, 'scripts', name)),
    ...(await readdir(join(ROOT, 'src'), { recursive: true }))
      .filter((name) => name.endsWith('.lua'))
      .map((name) => join(ROOT, 'src', name)),
  ]
  const texts = await Promise.all(sources.map((path) => readFile(path, 'utf8')))
  const sent = new Set(
    texts.flatMap((text) => [...text.matchAll(/\b(?:rcall|p?call)\(\s*['"]([A-Za-z]+)['"]/g)].map(([, name]) => name)),
  )
  t.ok(sent.size > 50)
  const files = (await readdir(join(ROOT, 'src'), { recursive: true })).filter((name) => name.endsWith('.ts'))
  const code = await Promise.all(files.map((name) => readFile(join(ROOT, 'src', name), 'utf8')))
  const called = code
    .flatMap((text) => [...text.matchAll(/\b(?:redis|pipeline)(?:\s*\.[a-z]+\((?:[^()]|\([^()]*\))*\))+/g)])
    .flatMap(([chain]) => [...chain.matchAll(/(?:\)|redis|pipeline)\s*\.([a-z]+)\(/g)])
    .map(([, name = '']) => name)
    .filter((name) => name in Redis.prototype && !OF_THE_DRIVER.has(name))
  t.ok(called.includes('zrevrangebylex') && called.includes('ping') && called.includes('smembers'))
  for (const name of called) sent.add(name)
  t.same(
    [...sent].filter((name) => !PROBED_COMMANDS.includes(name?.toLowerCase() ?? '')),
    [],
  )
})

void t.test('TLS: each way in which the two do not fit is told with its remedy', async (t) => {
  const { port: plain, admin } = await openPort(t)
  const folder = t.testdir({})
  const file = (name: string): string => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore', cwd: folder })
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '1',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=authority',
  )
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'key.pem',
    '-out',
    'request.pem',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
  )
  openssl(
    'x509',
    '-req',
    '-in',
    'request.pem',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '1',
    '-copy_extensions',
    'copy',
    '-out',
    'cert.pem',
  )
  const files = ['tls-cert-file', file('cert.pem'), 'tls-key-file', file('key.pem'), 'tls-ca-cert-file', file('ca.pem')]
  const port = await listenOn((free) =>
    admin.config('SET', ...files, 'tls-port', String(free), 'tls-auth-clients', 'no'),
  )
  const ca = file('ca.pem')
  const url = `rediss://localhost:${port}`
  await ask(url, { ca })
  await t.rejects(ask(url), { message: /CC_EXECUTOR_REDIS_CA/ })
  await t.rejects(ask(`rediss://127.0.0.1:${port}`, { ca }), { message: /its certificate is for another name/ })
  await t.rejects(ask(`redis://localhost:${port}`), { message: /write rediss:\/\// })
  // Here no response is the answer: once is enough, in 3 s.
  await t.rejects(ask(`rediss://localhost:${plain}`, { ca }, 0), {
    message: /does not use TLS: then write redis:\/\//,
  })
  await t.rejects(ask(url, { ca: file('none.pem') }), { message: /^CC_EXECUTOR_REDIS_CA: .*none\.pem.*ENOENT/ })
  await admin.config('SET', 'tls-auth-clients', 'yes')
  await t.rejects(ask(url, { ca }), { message: /CC_EXECUTOR_REDIS_CERT and CC_EXECUTOR_REDIS_KEY/ })
  await ask(url, { ca, cert: file('cert.pem'), key: file('key.pem') })
})

void t.test('a primary that was made a replica is left for the primary of today', async (t) => {
  const [old, today] = [await openPort(t), await openPort(t)]
  let leadsTo = old.port
  const proxy = createServer((socket) => {
    const onward = connect(leadsTo, '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    for (const end of [socket, onward]) end.on('error', () => undefined).on('close', () => void onward.destroy())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const { port } = proxy.address() as AddressInfo
  const redis = openRedis({
    url: `redis://127.0.0.1:${port}`,
    logger: createLogger('silent', 'test'),
    role: 'caller',
  })
  t.teardown(() => closeRedis(redis))
  await redis.set('before', '1')
  await old.admin.call('REPLICAOF', '127.0.0.1', String(today.port))
  leadsTo = today.port
  t.equal(await redis.set('after', '1'), 'OK', 'the very command that was refused is sent again')
  t.equal(await today.admin.get('after'), '1')
  // A primary that ends waits for its replicas.
  await old.admin.call('REPLICAOF', 'NO', 'ONE')
})
