// Every check of cc-executor doctor, once with a machine on which it fails for real.
import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { checkClaude } from '../../src/main/doctor/check-claude.js'
import { checkCredentials } from '../../src/main/doctor/check-credentials.js'
import { checkContainment, findContainmentRemedy } from '../../src/main/doctor/check-containment.js'
import { checkHooks } from '../../src/main/doctor/check-hooks.js'
import {
  checkAllowedRoot,
  checkDisk,
  checkOwnFolder,
  checkTemporaryFolder,
  checkToken,
} from '../../src/main/doctor/check-folders.js'
import {
  checkClock,
  checkDependencies,
  checkEnvFile,
  checkLocalhost,
  checkMemory,
  checkNames,
  checkNode,
  checkOpenFiles,
  checkProcesses,
  checkUser,
} from '../../src/main/doctor/check-machine.js'
import { checkRedis, judgeRedis, judgeSkew } from '../../src/main/doctor/check-redis.js'
import { checkPort, describeLimits, describeWebhooks } from '../../src/main/doctor/check-service.js'
import { diagnose, toLine } from '../../src/main/doctor/diagnose.js'
import type { Finding } from '../../src/main/doctor/finding.js'
import { inspectClaude } from '../../src/main/lifecycle/inspect-claude.js'
import { readConfig, type Config } from '../../src/platform/config.js'
import { closeRedis, openRedis, type Redis } from '../../src/platform/redis.js'
import { createLogger } from '../../src/platform/logger.js'
import { makeFolder, startCli } from '../support/processes.js'
import { openTestRedis } from '../support/redis.js'
import { testEnvironment } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { ROOT } from '../support/paths.js'
import { findLastingPort } from '../support/ports.js'

const run = promisify(execFile)
const HERE = fileURLToPath(import.meta.url)
const isRoot = process.getuid?.() === 0

const of = (findings: readonly Finding[], part: string): Finding[] =>
  findings.filter((finding) => finding.part === part)
const configOf = (folder: string, env: NodeJS.ProcessEnv = {}): Config =>
  readConfig({ ...testEnvironment(folder), ...env })

async function makeProgram(folder: string, name: string, script: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
  return path
}

void t.test('the machine: Node, packages, user, memory, limits, clock, localhost', async (t) => {
  t.match(
    [checkNode(), checkNode('20.18.3'), checkNode('18.20.0'), checkNode('22.1.0')].map(({ status }) => status),
    ['ok', 'failed', 'failed', 'ok'],
  )
  t.equal(checkUser(0).status, 'warning')
  t.match(checkUser(1000), { status: 'ok', message: /1000/ })
  t.match(checkMemory(1), { status: 'ok' })
  t.match(checkMemory(100_000), {
    status: 'warning',
    message: /100000 concurrent executions, which need/,
    remedy: /CC_EXECUTOR_CONCURRENCY/,
  })
  t.match(await checkProcesses(10_000_000), { status: 'warning', remedy: /pids_limit/ })
  t.match(await checkClock(HERE), { status: 'ok' })
  t.match(await checkClock(HERE, 0), { status: 'failed', message: /1970-01-01/, remedy: /timedatectl/ })
  t.match(await checkLocalhost(), { status: 'ok', message: /127\.0\.0\.1/ })
  t.match(await checkLocalhost('localhost.invalid'), {
    status: 'warning',
    message: /not known/,
    remedy: /\/etc\/hosts/,
  })
  t.match(await checkLocalhost('::1'), { status: 'warning', message: /is ::1 and not 127\.0\.0\.1/ })
  const folder = await makeFolder(t)
  t.match(
    checkNames(
      configOf(folder, {
        CC_EXECUTOR_CONCURENCY: '3',
        CC_EXECUTOR_MINE: 'x',
        CC_EXECUTOR_CHILD_ENV: 'CC_EXECUTOR_MINE',
      }),
    ),
    { status: 'warning', message: /^CC_EXECUTOR_CONCURENCY is not a setting/ },
  )
  t.equal(checkNames(configOf(folder, { CC_EXECUTOR_CACHE_DIR: folder })), undefined)
  t.equal(await checkEnvFile(folder), undefined)
  await writeFile(join(folder, '.env'), 'CC_EXECUTOR_PORT=1\n')
  t.match(await checkEnvFile(folder), {
    status: 'warning',
    message: /\.env in this folder is read by cc-executor start only/,
  })
})

void t.test(
  'packages that are missing or of another version are counted; those of tests and other platforms are not',
  async (t) => {
    const lock = (packages: Record<string, object>): string => JSON.stringify({ packages: { '': {}, ...packages } })
    const wanted = {
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '1.0.0', dev: true },
      'node_modules/c': { version: '1.0.0', optional: true },
    }
    const folder = t.testdir({ 'package-lock.json': lock(wanted), node_modules: {} })
    t.match(await checkDependencies(folder), {
      status: 'failed',
      message: /^1 of 2 .* such as a$/,
      remedy: /npm run setup/,
    })
    await writeFile(join(folder, 'node_modules/.package-lock.json'), lock({ 'node_modules/a': { version: '1.0.0' } }))
    t.match(await checkDependencies(folder), { status: 'ok' })
    await writeFile(
      join(folder, 'node_modules/.package-lock.json'),
      lock({ 'node_modules/a': { version: '1.0.1' }, 'node_modules/c': { version: '0.9.0' } }),
    )
    t.match(await checkDependencies(folder), { status: 'failed', message: /^2 of 2/ })
    t.equal(await checkDependencies(t.testdir({})), undefined, 'no lock file: nothing is claimed')
  },
)

void t.test('open files: too few for the service, too few for its connections', async (t) => {
  // Measured where the limit is, in a process that was started with it.
  const check = async (limit: number): Promise<unknown> => {
    const script =
      'import { checkOpenFiles } from ' +
      `${JSON.stringify(join(ROOT, 'dist/src/main/doctor/check-machine.js'))}; ` +
      'console.log(JSON.stringify(checkOpenFiles({ maxConnections: 500, concurrency: 4 })))'
    const { stdout } = await run('bash', [
      '-c',
      `ulimit -n ${limit}; exec "$0" --input-type=module -e "$1"`,
      process.execPath,
      script,
    ])
    return JSON.parse(stdout)
  }
  t.match(await check(128), { status: 'failed', message: /^the limit of open files is 128/, remedy: /ulimit -n/ })
  t.match(await check(400), { status: 'warning', message: /enough for about 80 connections, but 500/ })
  t.match(await check(1_000), { status: 'ok', message: 'limit 1000' })
  t.match(checkOpenFiles({ maxConnections: 1, concurrency: 1 }, { openFiles: undefined, processes: undefined }), {
    status: 'ok',
  })
})

void t.test('folders: data, disk, temporary, allowed roots', async (t) => {
  const folder = await makeFolder(t)
  t.match(await checkOwnFolder(join(folder, 'a/b'), 'CC_EXECUTOR_DATA_DIR'), { status: 'ok' })
  await writeFile(join(folder, 'file'), '')
  t.match(await checkOwnFolder(join(folder, 'file'), 'CC_EXECUTOR_DATA_DIR'), {
    status: 'failed',
    message: /EEXIST/,
    remedy: /CC_EXECUTOR_DATA_DIR/,
  })
  t.match(await checkOwnFolder('/proc/cc-executor', 'CC_EXECUTOR_DATA_DIR'), { status: 'failed' })
  t.match(await checkTemporaryFolder(), { status: 'ok' })
  t.match(await checkTemporaryFolder(join(folder, 'nowhere')), {
    status: 'failed',
    message: /ENOENT/,
    remedy: /TMPDIR/,
  })
  t.match(await checkAllowedRoot(folder), { status: 'ok' })
  t.match(await checkAllowedRoot(join(folder, 'nowhere')), {
    status: 'failed',
    message: /does not exist/,
    remedy: /--root/,
  })
  t.match(await checkAllowedRoot(join(folder, 'file')), { status: 'failed', message: /is not a folder/ })
  t.match(await checkDisk(folder), { message: /MiB are free/ })
  t.equal(await checkDisk(join(folder, 'nowhere')), undefined)
})

void t.test('a disk that is nearly full, and a root that is read-only', async (t) => {
  const mount = (options: string, script: string): Promise<string> =>
    run('unshare', [
      '--mount',
      '--map-root-user',
      'sh',
      '-c',
      `mount -t tmpfs -o ${options} none /mnt && exec "$0" --input-type=module -e "$1"`,
      process.execPath,
      script,
    ]).then(({ stdout }) => stdout)
  const possible = await mount('size=1m', '').then(
    () => true,
    () => false,
  )
  if (!possible) {
    t.pass('no mount namespace can be made here: not tried')
    return
  }
  const module = JSON.stringify(join(ROOT, 'dist/src/main/doctor/check-folders.js'))
  const check = async (options: string, call: string): Promise<unknown> =>
    JSON.parse(
      await mount(
        options,
        `import { checkDisk, checkAllowedRoot } from ${module}; console.log(JSON.stringify(await ${call}))`,
      ),
    )
  t.match(await check('size=1m', 'checkDisk("/mnt")'), {
    status: 'failed',
    message: '1 MiB are free on the disk of /mnt',
  })
  t.match(await check('size=1g', 'checkDisk("/mnt")'), {
    status: 'warning',
    message: '1024 MiB are free on the disk of /mnt',
  })
  t.match(await check('size=1g,nr_inodes=1', 'checkDisk("/mnt")'), { status: 'failed', message: /no free inodes/ })
  t.match(await check('ro', 'checkAllowedRoot("/mnt")'), {
    status: 'failed',
    message: /cannot be written by this user \(EROFS\)/,
  })
})

void t.test('the token: made later, readable by others, of no use', async (t) => {
  const folder = await makeFolder(t)
  const file = join(folder, 'token')
  const config = configOf(folder, { CC_EXECUTOR_TOKEN_FILE: file })
  t.match(await checkToken(config), { status: 'ok', message: /created at the first start/ })
  await writeFile(file, 'a-token-of-sixteen-or-more\n', { mode: 0o600 })
  t.match(await checkToken(config), { status: 'ok' })
  await chmod(file, 0o644)
  t.match(await checkToken(config), { status: 'warning', message: /mode 644/, remedy: `chmod 600 ${file}` })
  await writeFile(file, 'short\n')
  t.match(await checkToken(config), { status: 'failed', message: /a token has at least 16 characters/ })
  t.match(
    await checkToken(configOf(folder, { CC_EXECUTOR_TOKENS: 'a=short', CC_EXECUTOR_TOKEN_FILE: join(folder, 'none') })),
    { status: 'failed' },
  )
  t.match(await checkToken(configOf(folder, { CC_EXECUTOR_TOKEN_FILE: join(file, 'below') })), {
    status: 'failed',
    message: /ENOTDIR/,
  })
  t.match(await checkToken(configOf(folder, { CC_EXECUTOR_AUTH: 'open' })), {
    status: 'warning',
    message: /every user/,
  })
})

void t.test('Claude: not there, no Claude, another version, one that does not start', async (t) => {
  const folder = await makeFolder(t)
  await mkdir(join(folder, 'data'))
  const check = (binary: string) => checkClaude(configOf(folder, { CC_EXECUTOR_CLAUDE_BIN: binary }))
  const version = 'if [ "$1" = --version ]; then echo "$V (Claude Code)"; exit; fi'
  t.match(await check(join(folder, 'nowhere')), [{ part: 'claude', status: 'failed', remedy: /npm run setup/ }])
  t.match(await check(await makeProgram(folder, 'other', 'echo 1.0')), [
    { status: 'failed', message: /cannot be used: it is not a Claude CLI: --version printed: 1\.0/ },
  ])
  t.match(await check(await makeProgram(folder, 'old', `V=1.0.3; ${version}; exit 1`)), [
    {
      part: 'claude',
      status: 'failed',
      message: /^CLAUDE_TOO_OLD: 1\.0\.3 .* is older than 2\.1\.197/,
      remedy: /--claude=latest/,
    },
  ])
  t.match(
    await check(await makeProgram(folder, 'broken', `V=2.1.250; ${version}; echo "error: unknown option" >&2; exit 1`)),
    [
      { part: 'claude', status: 'ok' },
      { part: 'claude start', status: 'failed', message: 'it does not start (exit code 1: error: unknown option)' },
    ],
  )
  t.match(await check(await makeProgram(folder, 'silent', `V=2.1.197; ${version}; exit 0`)), [
    { status: 'ok' },
    { part: 'claude start', status: 'failed', message: /exit code 0/ },
  ])
  const real = await checkClaude(configOf(folder))
  t.match(
    real.map(({ status }) => status),
    ['ok', 'ok', 'ok'],
    'the real one',
  )
  t.match(real[0]?.message, /^Claude CLI 2\.1\.\d+, default model claude-/)
  t.same((await run('ls', [join(folder, 'data')])).stdout, '', 'and leaves nothing')
})

void t.test('a Claude that is newer than the tests: well, tried out once, and nobody is told to go back', async (t) => {
  const folder = await makeFolder(t)
  await mkdir(join(folder, 'data'))
  const real = await inspectClaude(configOf(folder))
  if (real.kind !== 'usable') throw new Error(real.message)
  const { binary, behaviour } = real.claude
  const newer = await makeProgram(
    folder,
    'newer',
    `[ "$1" = --version ] && echo "2.1.9999 (Claude Code)" && exit; echo . >> ${folder}/starts; exec ${binary} "$@"`,
  )
  const starts = async (): Promise<number> => (await readFile(join(folder, 'starts'), 'utf8')).length
  const config = configOf(folder, { CC_EXECUTOR_CLAUDE_BIN: newer, ANTHROPIC_API_KEY: 'of-the-user' })
  const found = await checkClaude(config)
  t.match(
    found.map(({ part, status }) => `${part} ${status}`),
    ['claude ok', 'claude start ok', 'claude behaviour ok'],
  )
  t.match(
    found[0]?.message,
    `Claude CLI 2.1.9999 (newer than the tested 2.1.197 to 2.1.332, which is fine), default model ${behaviour.defaultModel}`,
  )
  t.match(
    found[2]?.message,
    `a resumed session reports the cost of ${behaviour.costAfterResume === 'own' ? 'the run' : 'the whole conversation'}`,
  )
  const before = await starts()
  t.same(await checkClaude(config), found)
  t.equal((await starts()) - before, 2, 'one start and no second self-check (each start writes two characters)')
  t.same(await readdir(join(folder, 'data')), ['claude-behaviour.json'])
  t.notMatch(await readFile(join(folder, 'data/claude-behaviour.json'), 'utf8'), 'of-the-user')
})

void t.test('credentials: none, one, several of which one counts and is billed', async (t) => {
  const folder = await makeFolder(t)
  const check = (env: NodeJS.ProcessEnv) => checkCredentials(configOf(folder, { HOME: folder, ...env }))
  t.match(check({}), [{ status: 'failed', remedy: /claude setup-token.*--simulate/ }])
  t.match(check({ CC_EXECUTOR_SIMULATOR_URL: 'http://127.0.0.1' }), [{ status: 'ok', message: /scripted model/ }])
  t.match(check({ ANTHROPIC_API_KEY: 'secret' }), [{ status: 'ok', message: 'ANTHROPIC_API_KEY, billed per use' }])
  t.match(check({ CLAUDE_CODE_OAUTH_TOKEN: 'secret' }), [
    { status: 'ok', message: 'CLAUDE_CODE_OAUTH_TOKEN, not billed per use' },
  ])
  await mkdir(join(folder, '.claude'))
  await writeFile(
    join(folder, '.claude/.credentials.json'),
    JSON.stringify({ claudeAiOauth: { accessToken: 'secret', refreshToken: 'secret' } }),
  )
  const all = check({ ANTHROPIC_API_KEY: 'secret', CLAUDE_CODE_OAUTH_TOKEN: 'secret' })
  t.match(all, [
    {
      status: 'warning',
      message: `ANTHROPIC_API_KEY is used and is billed per use; CLAUDE_CODE_OAUTH_TOKEN and ${folder}/.claude/.credentials.json do not`,
      remedy: /^unset ANTHROPIC_API_KEY/,
    },
  ])
  t.match(check({ ANTHROPIC_API_KEY: 'secret', ANTHROPIC_AUTH_TOKEN: 'secret' })[1], {
    status: 'warning',
    message: /the CLI sends both/,
  })
  t.match(check({ CLAUDE_CODE_USE_BEDROCK: '1', ANTHROPIC_API_KEY: 'secret' })[0], {
    status: 'warning',
    message: /^CLAUDE_CODE_USE_BEDROCK is used/,
  })
  t.notMatch(JSON.stringify([all, check({ CLAUDE_CODE_USE_BEDROCK: '1' })]), /secret/)
})

void t.test('several credentials: each of the file, a login that ends soon, and what the service knows', async (t) => {
  const folder = await makeFolder(t)
  const path = join(folder, 'credentials.json')
  const write = (...entries: unknown[]) => writeFile(path, JSON.stringify(entries), { mode: 0o600 })
  const check = (env: NodeJS.ProcessEnv = {}) =>
    checkCredentials(configOf(folder, { HOME: folder, CC_EXECUTOR_CREDENTIALS_FILE: path, ...env }), new Date(0))
  t.match(check(), [{ status: 'failed', message: /CC_EXECUTOR_CREDENTIALS_FILE: it cannot be read/ }])
  const day = 86_400_000
  const login = { accessToken: 'secret', refreshToken: 'secret', refreshTokenExpiresAt: 9 * day }
  await mkdir(join(folder, 'max'))
  await writeFile(join(folder, 'max/.credentials.json'), JSON.stringify({ claudeAiOauth: login }))
  await write(
    { name: 'key', kind: 'api_key', value: 'secret-of-the-key', weight: 3 },
    { name: 'max', kind: 'login', folder: join(folder, 'max') },
  )
  const findings = check({ ANTHROPIC_API_KEY: 'secret-of-the-user' })
  t.match(findings, [
    { status: 'ok', message: 'key (api_key, billed per use), weight 3' },
    { status: 'ok', message: /^max \(login, paid by its subscription\)/ },
    { status: 'warning', message: /the login in .*max expires on 1970-01-10/, remedy: /sign in again/ },
    { status: 'warning', message: /ANTHROPIC_API_KEY is set and not used/, remedy: 'unset ANTHROPIC_API_KEY' },
  ])
  t.notMatch(JSON.stringify(findings), /secret/)
  const limits = [{ name: 'five_hour', status: 'allowed', utilization: 0.934 }]
  const known = { name: 'max', method: 'login', billed: false, workers: 1, account: { limits } }
  t.same(describeLimits([known]), { status: 'ok', message: 'max: five_hour 93 %' })
  t.match(describeLimits([{ ...known, blockedUntil: '2026-11-30T18:00:00.000Z' }]), {
    status: 'warning',
    message: /max: its limit is reached until 2026-11-30T18:00/,
  })
  t.equal(describeLimits([{ ...known, account: undefined }]), undefined)
})

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

void t.test('containment: what stands in its way is named with its remedy', async (t) => {
  const folder = await makeFolder(t)
  const sysctls = (values: Record<string, Record<string, string>>): string => t.testdir(values)
  const config = configOf(folder)
  t.match(
    await findContainmentRemedy(config, sysctls({ kernel: { apparmor_restrict_unprivileged_userns: '1\n' } })),
    /AppArmor.*apparmor_restrict_unprivileged_userns=0/,
  )
  t.match(
    await findContainmentRemedy(config, sysctls({ kernel: { unprivileged_userns_clone: '0\n' } })),
    /unprivileged_userns_clone=1/,
  )
  t.match(
    await findContainmentRemedy(config, sysctls({ user: { max_user_namespaces: '0\n' } })),
    /max_user_namespaces=10000/,
  )
  t.match(await findContainmentRemedy(config, sysctls({})), /security_opt/)

  // A machine without bubblewrap and unshare; without tini as well the self-test's own escapee would outlive it.
  const path = join(folder, 'path')
  await mkdir(path)
  for (const name of ['tini', 'bash', 'env', 'sh', 'cat', 'sleep', 'setsid', 'mkfifo', 'rm', 'kill', 'nohup'])
    await run('bash', ['-c', `command -v ${name}`]).then(
      ({ stdout }) => (stdout.startsWith('/') ? symlink(stdout.trim(), join(path, name)) : undefined),
      () => undefined,
    )
  const { PATH } = process.env
  t.teardown(() => void (process.env['PATH'] = PATH))
  process.env['PATH'] = path
  const bare = { PATH: path, CC_EXECUTOR_CACHE_DIR: join(folder, 'cache') }
  t.match(await checkContainment(configOf(folder, bare)), {
    status: 'warning',
    message: /^weak: /,
    remedy: /apt-get install bubblewrap/,
  })
  t.match(await checkContainment(configOf(folder, { ...bare, CC_EXECUTOR_CONTAINMENT: 'required' })), {
    status: 'failed',
    remedy: /bubblewrap/,
  })
  process.env['PATH'] = PATH
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
