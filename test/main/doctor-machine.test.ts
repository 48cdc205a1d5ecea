// What the doctor finds about the machine, its folders and the token.
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
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
import { makeFolder } from '../support/processes.js'
import { ROOT } from '../support/paths.js'
import { configOf, run } from './doctor-scene.js'

const HERE = fileURLToPath(import.meta.url)

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
