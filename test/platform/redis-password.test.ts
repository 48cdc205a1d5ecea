// The password of Redis in a file: made once, read by whoever opens a connection, in no URL that is shown.
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { readConfig } from '../../src/platform/config.js'
import { describeConfig } from '../../src/platform/describe-config.js'
import { makeRedisPassword } from '../../src/platform/redis-password.js'
import { openRedisServer, splitPath } from '../../src/platform/redis-server.js'
import { redisOptions } from '../../src/platform/redis.js'
import { requireRedis } from '../../src/platform/require-redis.js'
import { testEnvironment } from '../support/environment.js'

const folder = await mkdtemp(join(tmpdir(), 'cce-password-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const file = join(folder, 'pass word')
const configOf = (url: string, more: NodeJS.ProcessEnv = {}) => {
  const config = readConfig({ HOME: folder, REDIS_URL: url, CC_EXECUTOR_REDIS_PASSWORD_FILE: file, ...more })
  return { ...config, redisUrl: config.redisUrl ?? '' }
}
const optionsOf = (...given: Parameters<typeof configOf>) => {
  const { redisUrl, redisAccess } = configOf(...given)
  return redisOptions({ url: redisUrl, access: redisAccess })
}

void t.test('it is made once, whole, and readable for the users of the other containers', async (t) => {
  const config = configOf('unix:///nowhere')
  await Promise.all([1, 2, 3].map(() => makeRedisPassword(config)))
  const first = await readFile(file, 'utf8')
  t.match(first, /^[0-9a-f]{64}\n$/)
  t.equal((await stat(file)).mode & 0o777, 0o444)
  await makeRedisPassword(config)
  t.equal(await readFile(file, 'utf8'), first)
  await t.rejects(makeRedisPassword({ redisAccess: { passwordFile: join(folder, 'no', 'where') } }), {
    message: /^CC_EXECUTOR_REDIS_PASSWORD_FILE: .* cannot be written \(ENOENT\)\.$/,
  })
})

void t.test('whoever opens a connection sends it, and no URL holds it', async (t) => {
  const server = await openRedisServer({
    directory: join(folder, 'redis #1'),
    searchPath: splitPath(testEnvironment(folder)['PATH']),
    durable: false,
  })
  t.teardown(() => server.close())
  await makeRedisPassword(configOf(server.url))
  const password = (await readFile(file, 'utf8')).trim()
  const admin = new Redis(redisOptions(server))
  await admin.config('SET', 'requirepass', password)
  admin.disconnect()
  const config = configOf(server.url)
  await requireRedis(config)
  await t.rejects(requireRedis({ ...config, redisAccess: {} }), { message: /NOAUTH/ })
  t.notMatch(JSON.stringify([config.redisUrl, describeConfig(config)]), password)
  const env = { ...testEnvironment(folder), REDIS_URL: server.url, CC_EXECUTOR_REDIS_PASSWORD_FILE: file }
  const check = spawnSync(process.execPath, ['deployment/check-worker.mjs'], { encoding: 'utf8', env })
  t.match([check.status, check.stderr], [1, /^this worker has not announced itself/], 'nor the check of a container')
  t.equal(describeConfig(config).find(({ name }) => name === 'REDIS_URL')?.value, server.url)
})

void t.test('a URL has a password or a file has it, not both; a file that is missing is told', async (t) => {
  await makeRedisPassword(configOf('redis://host'))
  const own = { CC_EXECUTOR_REDIS_PASSWORD_FILE: '' }
  t.match(optionsOf('rediss://user:own@host/3', own), { password: 'own', host: 'host', db: 3 })
  t.throws(() => configOf('rediss://user:own@host/3'), {
    name: 'ConfigError',
    message: 'CC_EXECUTOR_REDIS_PASSWORD_FILE: REDIS_URL also has a password; unset one of them.',
  })
  t.match(optionsOf('redis://user@host'), { username: 'user', password: /^[0-9a-f]{64}$/ })
  t.match(optionsOf('redis://host:7000'), { password: /^[0-9a-f]{64}$/, port: 7000 })
  const gone = join(folder, 'gone')
  t.throws(() => optionsOf('redis://host', { CC_EXECUTOR_REDIS_PASSWORD_FILE: gone }), {
    message: `CC_EXECUTOR_REDIS_PASSWORD_FILE: ${gone} cannot be read (ENOENT); the API creates it at its first start.`,
  })
  await writeFile(gone, 'another\n')
  t.match(optionsOf('redis://host', { CC_EXECUTOR_REDIS_PASSWORD_FILE: gone }), {
    password: 'another',
  })
})
