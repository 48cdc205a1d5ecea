// What cc-executor doctor finds about Redis, the service, its hooks and webhooks, and the whole of it. What stands in
// their way does so for real, here and in the files beside this one.
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { checkHooks } from '../../src/main/doctor/check-hooks.js'
import { checkRedis, judgeRedis, judgeSkew } from '../../src/main/doctor/check-redis.js'
import { checkPort, describeWebhooks } from '../../src/main/doctor/check-service.js'
import { diagnose, toLine } from '../../src/main/doctor/diagnose.js'
import type { Finding } from '../../src/main/doctor/finding.js'
import { closeRedis, openRedis, type Redis } from '../../src/platform/redis.js'
import { createLogger } from '../../src/platform/logger.js'
import { makeFolder, startCli } from '../support/processes.js'
import { openTestRedis } from '../support/redis.js'
import { testEnvironment } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { findLastingPort } from '../support/ports.js'
import { configOf, isRoot, of } from './doctor-scene.js'

void t.test('webhooks that fail, or were disabled for that, are named', async (t) => {
  const at = '2026-11-30T18:00:00.000Z'
  const known = {
    id: 'whk_1',
    url: 'https://hooks.example/',
    events: ['*'],
    enabled: true,
    allTokens: false,
    createdAt: at,
    createdBy: 'default',
    pendingDeliveries: 0,
    droppedDeliveries: 0,
  }
  t.equal(describeWebhooks([]), undefined)
  t.equal(describeWebhooks(undefined), undefined)
  t.match(describeWebhooks([known]), { status: 'ok' })
  t.match(describeWebhooks([known, { ...known, id: 'whk_2', failingSince: at }]), {
    status: 'warning',
    message: `whk_2 fails since ${at}`,
  })
  const disabled = { ...known, enabled: false, disabledAt: at, failingSince: at }
  t.match(describeWebhooks([{ ...disabled, disabledReason: 'gone' }]), { message: 'whk_1 was disabled (gone)' })
  t.match(describeWebhooks([{ ...disabled, disabledReason: 'request' }]), { status: 'ok' })
})

const statusesOf = (findings: readonly Finding[], part: string): string[] =>
  of(findings, part).map(({ status }) => status)

void t.test('Redis at REDIS_URL: version, replica, eviction, persistence, a full one, clocks', async (t) => {
  const folder = await makeFolder(t)
  const { url, server } = await openTestRedis(t, { durable: true })
  const check = () => checkRedis(configOf(folder, { REDIS_URL: url }))
  t.same(
    (await check()).map(({ part, status }) => `${part} ${status}`),
    ['redis ok', 'redis eviction ok', 'redis persistence ok', 'redis clock ok'],
  )
  const redis: Redis = openRedis({ url, logger: createLogger('silent', 'test'), role: 'keeper' })
  t.teardown(() => closeRedis(redis))
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  t.match(of(await check(), 'redis eviction'), [{ status: 'failed', message: /allkeys-lru/, remedy: /noeviction/ }])
  await redis.config('SET', 'maxmemory-policy', 'noeviction')
  await redis.config('SET', 'maxmemory', '1048576')
  t.match(of(await check(), 'redis eviction'), [{ status: 'ok' }, { status: 'warning', message: /% of maxmemory/ }])
  await redis.config('SET', 'maxmemory', '0')
  await redis.config('SET', 'appendonly', 'no')
  t.match(of(await check(), 'redis persistence'), [
    { status: 'warning', message: /no append-only file/, remedy: /appendonly yes/ },
  ])
  const info = await redis.info()
  t.match(judgeRedis(info.replace(/^redis_version:.*$/m, 'redis_version:5.0.14'))[0], {
    status: 'failed',
    message: /5\.0\.14 is too old/,
    remedy: /6\.2/,
  })
  t.match(
    of(judgeRedis(info.replace(/^aof_last_write_status:ok/m, 'aof_last_write_status:err')), 'redis persistence'),
    [{ status: 'failed', message: /aof_last_write_status/ }],
  )
  t.same(statusesOf(judgeRedis(info.replace(/^loading:0/m, 'loading:1')), 'redis'), ['ok', 'failed'])
  t.same(statusesOf(judgeRedis(info.replace(/^maxmemory_policy:.*$/m, '')), 'redis eviction'), ['warning'])
  t.match(judgeSkew(Date.now() - 60_000), [{ status: 'warning', message: /60 s apart/ }])
  await redis.replicaof('127.0.0.1', 1)
  t.match(of(await check(), 'redis')[1], { status: 'failed', message: /replica/ })
  await redis.replicaof('NO', 'ONE')
  await redis.config('SET', 'requirepass', 'a-secret')
  t.match(await check(), [{ status: 'failed', message: /NOAUTH/, remedy: /password/ }])
  await server.close()
  const gone = await check()
  t.match(gone, [{ status: 'failed', message: /REDIS_URL does not answer \(ENOENT\)/ }])
  t.equal(gone.length, 1, 'what was not seen is not told')
})

void t.test('the private Redis: no program, a path too long for a socket', async (t) => {
  const folder = await makeFolder(t)
  t.match(await checkRedis(configOf(folder)), [{ status: 'ok', message: /runs a private one/ }])
  t.match(await checkRedis(configOf(folder, { PATH: folder, CC_EXECUTOR_CACHE_DIR: folder })), [
    { status: 'failed', remedy: /npm run setup/ },
  ])
  t.match(await checkRedis(configOf(folder, { CC_EXECUTOR_DATA_DIR: join(folder, 'x'.repeat(100)) })), [
    { status: 'failed', message: /too long/ },
  ])
})

void t.test('the port: free, somebody else’s, ours, ours and not well, no address', async (t) => {
  const folder = await makeFolder(t)
  const check = (port: number, env: NodeJS.ProcessEnv = {}) =>
    checkPort(configOf(folder, { CC_EXECUTOR_PORT: String(port), ...env }))
  const port = await findLastingPort()
  const other = createServer((_request, response) => response.end('{"service":"another"}')).listen(port, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  t.match(await check(port), { status: 'failed', message: /something else listens/, remedy: /CC_EXECUTOR_PORT/ })
  other.closeAllConnections()
  await new Promise((resolve) => other.close(resolve))
  t.match(await check(port), { status: 'ok', message: /is free/ })
  t.match(await check(port, { CC_EXECUTOR_HOST: '192.0.2.1' }), {
    status: 'failed',
    message: /not an address of this machine/,
  })
  if (!isRoot) t.match(await check(1), { status: 'failed', message: /cannot be opened/ })
  const service = await openTestService(t, { workers: 0 })
  const ours = Number(new URL(service.url()).port)
  t.match(await check(ours), { status: 'warning', message: /has problems: .*workers: / })
  await service.openWorker()
  t.match(await check(ours), { status: 'ok', message: /runs on .* already, simulated/ })
})

void t.test('hooks: none, some, one without its program, a wrong file', async (t) => {
  const folder = await makeFolder(t)
  const file = join(folder, 'hooks.json')
  const check = async (content: object) => {
    await writeFile(file, JSON.stringify(content))
    return checkHooks(configOf(folder, { CC_EXECUTOR_HOOKS: file, CC_EXECUTOR_SANDBOX_WRITE: '' }))
  }
  t.match(await checkHooks(configOf(folder)), { status: 'ok', message: /^none \(.*hooks\.json does not exist\)$/ })
  t.match(
    await check({ 'pre-execute': 'true', claude: { Stop: [{ hooks: [{ type: 'command', command: 'true' }] }] } }),
    { status: 'ok', message: /^pre-execute, claude:Stop \(/ },
  )
  t.match(await check({ 'on-failure': [{ name: 'alarm', command: ['./none.sh'] }] }), {
    status: 'warning',
    message: /the program is missing for alarm/,
  })
  t.match(await check({ 'pre-exec': 'true' }), {
    status: 'failed',
    message: /hooks\.json: pre-exec: unknown field/,
    remedy: /no worker starts/,
  })
})

void t.test(
  'the whole of it: a wrong setting is a finding, a failure ends with 1, a warning does not, and --json says the same',
  async (t) => {
    t.match(await diagnose({ CC_EXECUTOR_PORT: 'many' }), [
      { part: 'settings', status: 'failed', message: /^CC_EXECUTOR_PORT: expected a whole number/ },
    ])
    t.equal(
      toLine({ part: 'a', status: 'warning', message: 'two\n lines', remedy: 'this' }),
      'warn  a: two lines → this',
    )
    const folder = await makeFolder(t)
    const projects = join(folder, 'projects')
    await mkdir(projects)
    const env = { ...testEnvironment(folder), CC_EXECUTOR_CONCURRENCY: '256', CC_EXECUTOR_ALLOWED_ROOTS: projects }
    const doctor = async (args: string[], more: NodeJS.ProcessEnv = {}) => {
      const cli = startCli(t, ['doctor', ...args], { ...env, ...more })
      const { code } = await cli.ended
      await cli.drained
      return { code, text: cli.stdout() }
    }
    const well = await doctor(['--json', '--simulate'])
    t.equal(well.code, 0, well.text)
    const { ok, findings } = JSON.parse(well.text) as { ok: boolean; findings: Finding[] }
    t.equal(ok, true)
    t.same(
      findings.map(({ part }) => part),
      [
        'node',
        'packages',
        'user',
        'memory',
        'open files',
        'processes',
        'clock',
        'localhost',
        'temporary folder',
        'redis',
        'claude',
        'claude start',
        'claude behaviour',
        'credentials',
        'containment',
        'port',
        'data folder',
        'disk',
        'workspaces',
        'allowed root',
        'token',
        'hooks',
      ],
    )
    t.ok(
      findings.every(({ status, remedy }) => (status === 'ok') === (remedy === undefined)),
      'what is not well has a remedy',
    )
    t.ok(
      findings.some(({ status }) => status === 'warning'),
      'the memory is not enough for 256 at once',
    )
    const ill = await doctor([], {
      CC_EXECUTOR_ALLOWED_ROOTS: join(folder, 'nowhere'),
      HOME: folder,
      ANTHROPIC_API_KEY: 'a-secret',
      REDIS_URL: 'redis://me:another-secret@127.0.0.1:1',
    })
    t.equal(ill.code, 1)
    t.match(ill.text, /^FAIL {2}redis: REDIS_URL does not answer \(ECONNREFUSED\) → start Redis there/m)
    t.match(ill.text, /^FAIL {2}allowed root: .*nowhere does not exist → create it/m)
    t.ok(
      ill.text
        .trim()
        .split('\n')
        .every((line) => /^(?:ok {4}|warn {2}|FAIL {2}|Not checked: )/.test(line)),
      'one line each',
    )
    t.notMatch(ill.text, /secret/)
  },
)
