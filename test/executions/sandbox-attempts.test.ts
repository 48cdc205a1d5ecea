// A hostile agent: the real CLI runs a program that makes every attempt of the table, at each level; with
// CC_EXECUTOR_TEST_ALL as root and as an ordinary user.
import { createHash } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { chmod, copyFile, link, mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findClaude } from '../../src/claude/install/find-claude.js'
import type { Execution } from '../../src/protocol/execution.js'
import { SandboxLevel } from '../../src/protocol/sandbox.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { findProgram } from '../../src/supervision/find-program.js'
import { execa } from 'execa'
import {
  ALL_ATTEMPTS,
  ATTEMPTS,
  LIMIT_ATTEMPTS,
  RUN_LIMITS,
  toScript,
  toTable,
  type Attempt,
  type Expected,
} from '../support/attempts.js'
import { scripted, testEnvironment } from '../support/environment.js'
import { ROOT } from '../support/paths.js'
import { makeFolder, startCli } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { once } from '../support/deadlines.js'

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534
const CREDENTIAL = 'sk-of-the-operator'
const PAGE = join(ROOT, 'deployment/SANDBOX.md')
const [BEGIN, END] = ['<!-- attempts: generated from test/support/attempts.ts -->', '<!-- end of attempts -->']

const { sandbox: means } = await chooseContainment({
  policy: 'auto',
  extraPath: (testEnvironment('')['PATH'] ?? '').split(':'),
})
const skip = means === undefined && 'this machine has no sandbox'

async function listen(test: { teardown(fn: () => void): void }, server: Server, where: string | 0): Promise<number> {
  if (where === 0) server.listen(0, '127.0.0.1')
  else server.listen(where)
  await once(server, 'listening')
  test.teardown(() => void server.close())
  const address = server.address() as AddressInfo | string
  return typeof address === 'string' ? 0 : address.port
}
const web = (): Server => createHttpServer((_request, response) => response.end('web'))
const sink = (): Server => createServer((socket) => socket.on('error', () => undefined).end())

/** A machine's worth of things to reach for, all below one folder, which belongs to the user that the worker is. */
async function prepareHost(test: Parameters<typeof makeFolder>[0] & { teardown(fn: () => void): void }, uid: number) {
  const folder = await realpath(await makeFolder(test))
  const at = (...names: string[]): string => join(folder, ...names)
  const put = async (path: string, text: string, mode = 0o600): Promise<void> => {
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, text, { mode })
  }
  const data = at('data')
  for (const path of [
    'token',
    'receipt-keys/signing-key.pem',
    'keep/thing',
    'workspaces/other/secret',
    'sessions/other/home/transcript.jsonl',
  ])
    await put(join(data, path), 'secret')
  // The worker reads keys at its start: one that is none would end it.
  await rm(join(data, 'receipt-keys'), { recursive: true })
  for (const path of ['.ssh/id', '.npmrc', '.profile', '.config/gh/hosts.yml'])
    await put(at('operator', path), 'secret')
  await put(at('hooks', 'hooks.json'), '{}')
  await put(at('cache/bin/redis-server'), 'program', 0o755)
  const find = async (name: string): Promise<string> =>
    (await findProgram(name, (testEnvironment('')['PATH'] ?? '').split(':'), '/')) ?? ''
  for (const name of ['bwrap', 'tini']) {
    await copyFile(await find(name), at('cache/bin', name))
    await chmod(at('cache/bin', name), 0o755)
  }
  const claude = await realpath(
    (await findClaude({
      explicit: process.env['CC_EXECUTOR_CLAUDE_BIN'],
      path: testEnvironment('')['PATH'] ?? '',
      cacheBin: '',
    })) ?? '',
  )
  await mkdir(at('cache/packages'), { recursive: true })
  await link(claude, at('cache/packages/claude')).catch(() => copyFile(claude, at('cache/packages/claude')))
  await chmod(at('cache/packages/claude'), 0o755)
  await put(at('in-tmp'), 'seen', 0o644)
  const inShm = `/dev/shm/cce-attempt-${process.pid}-${uid}`
  await writeFile(inShm, 'seen')
  test.teardown(() => rm(inShm, { force: true }))
  const abstract = `cce-attempt-${process.pid}-${uid}`
  const [port, closed, inner] = [
    await listen(test, web(), 0),
    await listen(test, web(), 0),
    await listen(test, web(), 0),
  ]
  await listen(test, sink(), `\0${abstract}`)
  await mkdir(join(data, 'redis'))
  for (const path of [join(data, 'redis/redis.sock'), at('daemon.sock')]) await listen(test, sink(), path)
  await execa('chown', ['-R', `${uid}:${uid}`, folder, inShm])
  // The link to the CLI is the cache's own file.
  await execa('chown', ['0:0', at('cache/packages/claude')])
  await chmod(folder, 0o755)
  return { folder, at, data, port, closed, inner, abstract, inShm }
}

const isExpected = (expected: Expected, done: boolean, asRoot: boolean): boolean =>
  expected === 'any' || done === (expected === 'yes' || (expected === 'root' && asRoot))

async function attack(test: Test, uid: number): Promise<void> {
  const host = await prepareHost(test, uid)
  const service = await openTestService(test, {
    workers: 0,
    env: {
      CC_EXECUTOR_SANDBOX: 'host',
      CC_EXECUTOR_NETWORK_HOSTS: `127.0.0.1:${host.port},localhost:${host.inner}`,
      CC_EXECUTOR_SANDBOX_WRITE: '',
      CC_EXECUTOR_SANDBOX_READ: '',
    },
  })
  // The socket of Redis is the only thing of the test's that the worker needs.
  await execa('chmod', ['-R', 'a+rwX', join(service.directory, 'redis')])
  await chmod(service.directory, 0o755)
  const command =
    uid === process.getuid?.()
      ? [process.execPath]
      : ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', process.execPath]
  const worker = startCli(
    test,
    ['worker'],
    {
      ...service.environment,
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: host.at('operator'),
      REDIS_URL: service.redis.url,
      CC_EXECUTOR_DATA_DIR: host.data,
      CC_EXECUTOR_CACHE_DIR: host.at('cache'),
      CC_EXECUTOR_HOOKS: host.at('hooks/hooks.json'),
      CC_EXECUTOR_CLAUDE_BIN: host.at('cache/packages/claude'),
      CC_EXECUTOR_ALLOWED_TOOLS: 'Bash',
      CC_EXECUTOR_RUN_LIMITS: RUN_LIMITS,
      CC_EXECUTOR_SIMULATOR_URL: '',
      ANTHROPIC_BASE_URL: service.simulator.url,
      ANTHROPIC_API_KEY: CREDENTIAL,
    },
    '/',
    command,
  )
  await worker.said(/worker \S+: \d+ at once/)
  const variables = {
    DATA: host.data,
    HOOKS: host.at('hooks/hooks.json'),
    HOOKS_FOLDER: host.at('hooks'),
    OTHER: join(host.data, 'workspaces/other'),
    SESSION: join(host.data, 'sessions/other/home'),
    DIST: join(ROOT, 'dist'),
    TOOLS: host.at('cache/bin'),
    CLAUDE: host.at('cache/packages/claude'),
    OPERATOR: host.at('operator'),
    DAEMON: host.at('daemon.sock'),
    IN_TMP: host.at('in-tmp'),
    IN_SHM: host.inShm,
    CREDENTIAL_SUM: createHash('sha256').update(CREDENTIAL).digest('hex').slice(0, 16),
    HOST_NAME: hostname(),
    WORKER: String(worker.pid),
    WORKER_NAME: 'cli.js worker',
    PORT: String(host.port),
    CLOSED: String(host.closed),
    INNER: String(host.inner),
    API: new URL(service.url()).port,
    ABSTRACT: host.abstract,
  }
  for (const level of SandboxLevel.options) {
    const attempts = level === 'host' ? Object.values(ATTEMPTS).flat() : ALL_ATTEMPTS
    const run = async (workspace: string): Promise<Execution> => {
      const { id } = await service.submit({
        prompt: scripted(
          { tool: 'Bash', input: { command: 'bash attempts.sh > results', timeout: 600_000 } },
          { text: 'done' },
        ),
        workspace,
        sandbox: level,
        files: [{ path: 'attempts.sh', content: toScript(attempts, variables) }],
        ...(level === 'locked' && { network: { hosts: [`127.0.0.1:${host.port}`, `localhost:${host.inner}`] } }),
      })
      return service.finished(id)
    }
    let workspace = `attempts-${level}`
    let execution = await run(workspace)
    // At the limit of processes the CLI itself gets no thread, and a newer one that wants one right then aborts.
    for (let again = 1; execution.outcome?.signal === 'SIGABRT' && again <= 3; again += 1)
      execution = await run((workspace = `attempts-${level}-${again}`))
    test.match(
      execution,
      { status: 'succeeded', outcome: { sandbox: { level } } },
      `${level}: ${JSON.stringify(execution.outcome)}`,
    )
    const results = new Map(
      (await readFile(join(host.data, `workspaces/${workspace}/results`), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => [line.split(' ')[0], line.split(' ')[1] === 'yes']),
    )
    const wrong = attempts.filter((attempt, index) => {
      const done = results.get(`@${index}`)
      const expected = level !== 'host' && LIMIT_ATTEMPTS.includes(attempt) ? 'no' : attempt[level]
      return done === undefined || !isExpected(expected, done, uid === 0)
    })
    test.equal(results.size, attempts.length, `${level}: every attempt was made`)
    test.same(
      wrong.map(({ name }: Attempt) => name),
      [],
      `${level}, uid ${uid}: what must fail fails, and what the level admits is done`,
    )
  }
}

void t.test('every attempt, as the user of the tests', { skip, timeout: 600_000 }, (test) =>
  attack(test, process.getuid?.() ?? 0),
)
void t.test(
  'every attempt, as an ordinary user',
  {
    skip:
      skip ||
      (!process.env['CC_EXECUTOR_TEST_ALL'] && 'only in npm run test:all') ||
      (!isRoot && 'only root can become another user'),
    timeout: 600_000,
  },
  (test) => attack(test, NOBODY),
)

void t.test('the manual shows the table', async (test) => {
  const page = await readFile(PAGE, 'utf8')
  const [before = '', rest = ''] = page.split(BEGIN)
  const [shown = '', after = ''] = rest.split(END)
  if (process.env['CC_EXECUTOR_WRITE_TABLE'])
    await writeFile(PAGE, `${before}${BEGIN}\n\n${toTable()}\n\n${END}${after}`)
  else test.equal(shown.trim(), toTable(), 'CC_EXECUTOR_WRITE_TABLE=1 writes it')
  test.ok(Object.values(ATTEMPTS).flat().length >= 60)
})
