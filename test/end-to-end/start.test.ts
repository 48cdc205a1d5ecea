// `cc-executor start` and its neighbours as a user meets them: real processes, a private Redis, the real CLI and the
// scripted model; the scripted CLI where only the processes are looked at.
import { execFile, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { openServiceProcess } from '../../src/main/lifecycle/service-process.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { VERSION } from '../../src/platform/version.js'
import { lasting, scripted, testEnvironment } from '../support/environment.js'
import { CLI, SCRIPTED_CLI } from '../support/paths.js'
import { openTestRedis } from '../support/redis.js'
import {
  commandLineOf,
  describe,
  listMentioning,
  livingOf,
  makeFolder,
  startCli,
  treeOf,
  tryKill,
  type CliProcess,
} from '../support/processes.js'
import { once, until } from '../support/deadlines.js'

t.jobs = 3
const TEST_ALL = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined

/**
 * From the request to stop, or the SIGKILL, to the last process: a few seconds, and as many again for a busy machine.
 */
const GONE_MS = 120_000
const LONG_RUN = scripted({ tool: 'Bash', input: { command: lasting(250) } }, { text: 'done' })
const ANSWER = { line: { type: 'result', subtype: 'success', is_error: false, result: 'survived' } }
const byScript = (tool: string): string => JSON.stringify([{ tool }, ANSWER])
const WITH_SCRIPTED_CLI = { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI }

interface Running extends CliProcess {
  readonly url: string
  readonly folder: string
  call(method: string, path: string, body?: unknown): Promise<{ status: number; body: ReturnType<typeof JSON.parse> }>
}

async function start(
  t: Test,
  args: string[] = [],
  { env = {}, cwd }: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Running> {
  // As a home may be called.
  const folder = join(await makeFolder(t), "Zoe's files")
  await mkdir(folder)
  const cli = startCli(t, ['start', '--simulate', ...args], { ...testEnvironment(folder), ...env }, cwd)
  await cli.said(/Ctrl-C stops it/)
  const [, url = ''] = await cli.said(/address +(http\S+)/)
  const token = await readFile(join(folder, 'data', 'token'), 'utf8').catch(() => '')
  return {
    ...cli,
    url,
    folder,
    async call(method, path, body) {
      const headers = {
        ...(token !== '' && { authorization: `Bearer ${token.trim()}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      }
      const response = await fetch(url + path, {
        method,
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: await response.json() }
    },
  }
}

/** Submits a run whose tool takes long, and waits until its process is there. */
async function startLongRun({ call, folder }: Running, prompt = LONG_RUN): Promise<void> {
  const { status } = await call('POST', '/execute', {
    prompt,
    permissionMode: 'acceptEdits',
    allowedTools: ['Bash'],
  })
  if (status !== 202) throw new Error(`not accepted: ${status}`)
  await until(
    () =>
      treeOf(process.pid).some(
        ({ pid }) => commandLineOf(pid) === lasting(250) && listMentioning(folder).some((entry) => entry.pid === pid),
      ),
    'the tool runs',
  )
}

/** Ends `start` somehow and looks at everything that it had started, and at whatever else refers to its folder. */
async function nothingIsLeft(t: Test, { pid, folder }: Running, end: () => void): Promise<void> {
  const everything = treeOf(pid)
  const commands = everything.map((entry) => commandLineOf(entry.pid)).join('\n')
  for (const part of [/cli\.js start/, /cli\.js api/, /cli\.js worker/, /(redis|valkey)-server/])
    t.match(commands, part, 'it was there before')
  end()
  const left = () => [...livingOf(everything), ...listMentioning(folder)]
  await until(() => left().length === 0, 'all are gone', GONE_MS).catch(() => undefined)
  t.same(describe(left()), [], 'nothing is left')
}

async function runToEnd(t: Test, args: string[], env: NodeJS.ProcessEnv, cwd?: string) {
  const cli = startCli(t, args, env, cwd)
  const ended = await cli.ended
  await cli.drained
  return { ...ended, stdout: cli.stdout(), stderr: cli.stderr() }
}

/** What a refused start owes: one sentence on stderr, exit code 1, within five seconds. */
async function refused(t: Test, args: string[], env: NodeJS.ProcessEnv, sentence: RegExp): Promise<void> {
  // At its own level of logging: what is logged counts as well.
  const start = () => runToEnd(t, args, { ...env, LOG_LEVEL: undefined })
  const { code, stdout, stderr, afterMs } = await start()
  t.match(stderr, sentence)
  t.match(stderr, /^cc-executor: [^\n]+[.)]\n$/, 'one sentence')
  t.equal(stdout, '')
  t.equal(code, 1)
  // On a busy machine a process that has nothing to do takes seconds as well, and loading an API several times that.
  const isQuick = async (tookMs: number): Promise<boolean> =>
    tookMs < 5_000 || tookMs < 5_000 + 10 * (await runToEnd(t, ['--version'], env)).afterMs
  t.ok((await isQuick(afterMs)) || (await isQuick((await start()).afterMs)), `after ${Math.round(afterMs)} ms`)
}

void t.test('start tells all that a person needs, and its curl line works', async (t) => {
  const service = await start(t)
  const banner = service.stdout()
  t.match(banner, /address +http:\/\/127\.0\.0\.1:\d+\n/)
  t.match(banner, /docs +http:\/\/127\.0\.0\.1:\d+\/docs\n/)
  t.match(banner, /credentials +A scripted model answers/)
  t.match(banner, /permissions +acceptEdits\n/)
  t.match(banner, /containment +\w+: /)
  t.match(banner, /workspaces +\/.+\/workspaces\n/)
  t.match(banner, /simulated: /)
  t.notMatch(banner, (await readFile(join(service.folder, 'data', 'token'), 'utf8')).trim(), 'the token goes to no log')
  const [, line = ''] = await service.said(/try it +(curl .+)\n/)
  const { stdout } = await promisify(execFile)('bash', ['-c', line], {
    env: { PATH: process.env['PATH'] ?? '' },
    timeout: 600_000,
  })
  t.match(stdout, /"type":"execution.finished".*"status":"succeeded"/)

  await t.test('a second start on the same data folder is refused', async (t) => {
    await refused(
      t,
      ['start', '--simulate'],
      testEnvironment(service.folder),
      /Another cc-executor is running on this data folder/,
    )
    t.equal((await service.call('GET', '/health/ready')).status, 200, 'the first one goes on')
  })
  await t.test('token prints what clients send', async (t) => {
    const { stdout, code } = await runToEnd(t, ['token'], testEnvironment(service.folder))
    t.equal(code, 0)
    t.equal(
      (await fetch(`${service.url}/queue`, { headers: { authorization: `Bearer ${stdout.trim()}` } })).status,
      200,
    )
  })
  await t.test('Ctrl-C in mid-run ends everything, exit code 0', async (t) => {
    await startLongRun(service)
    await nothingIsLeft(t, service, () => {
      service.killGroup('SIGINT')
      // npm, which got it from the terminal as well, passes it on.
      void service.said(/stopping \(SIGINT\)/).then(() => service.kill('SIGINT'))
    })
    t.match(await service.ended, { code: 0, signal: null })
    t.notMatch(service.stderr(), /starting it again|Error/)
  })
})

void t.test('--open needs no token, --root admits a folder, .env is read; SIGKILL leaves nothing', async (t) => {
  const [root, cwd] = [await makeFolder(t), await makeFolder(t)]
  await writeFile(
    join(cwd, '.env'),
    // With the byte order mark that some editors begin a file with.
    '\u{feff}CC_EXECUTOR_CREDENTIAL=of-dot-env\nCC_EXECUTOR_DRAIN_SECONDS=20\nCC_EXECUTOR_CONCURRENCY=7\n',
  )
  // What is set already stays: three and not seven.
  const service = await start(t, ['--open', '--root', root], {
    cwd,
    env: { ...WITH_SCRIPTED_CLI, CC_EXECUTOR_CONCURRENCY: '3', CC_EXECUTOR_DRAIN_SECONDS: undefined },
  })
  t.match(service.stdout(), `workspaces  ${service.folder}/data/workspaces, ${root}`)
  t.match((await service.call('GET', '/queue')).body, { workers: [{ credential: 'of-dot-env', concurrency: 3 }] })
  const { stdout } = await runToEnd(t, ['config'], testEnvironment(service.folder), cwd)
  t.match(stdout, /CC_EXECUTOR_CREDENTIAL=\(unset\)\n/, 'no other command reads .env')

  const prompt = byScript('printf "by the run" > written.txt')
  const workspace = join(root, 'project')
  const response = await fetch(`${service.url}/execute`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ prompt, workspace }),
  })
  t.match(await response.json(), { status: 'succeeded' })
  t.equal(await readFile(join(workspace, 'written.txt'), 'utf8'), 'by the run')
  t.equal(
    (await service.call('POST', '/execute', { prompt: 'x', workspace: '/etc' })).status,
    403,
    'other folders are refused',
  )

  await startLongRun(service, byScript(lasting(250)))
  await nothingIsLeft(t, service, () => service.kill('SIGKILL'))
})

void t.test('what dies is started again; SIGTERM in mid-run ends everything', { timeout: 600_000 }, async (t) => {
  const service = await start(t, [], { env: WITH_SCRIPTED_CLI })
  const isServing = async (): Promise<boolean> =>
    (await fetch(`${service.url}/health/ready`).catch(() => undefined))?.status === 200
  const get = async (id: string) => (await service.call('GET', `/executions/${id}`)).body
  const isOver = async (id: string): Promise<boolean> => (await get(id)).status === 'succeeded'

  await t.test('a worker or an API, at the same address', async () => {
    const childOf = (name: string) =>
      treeOf(service.pid).find(({ pid }) => commandLineOf(pid).endsWith(`cli.js ${name}`))?.pid
    for (const name of ['worker', 'api']) {
      const before = childOf(name)
      tryKill(before ?? 0)
      await service.said(new RegExp(`the ${name} ended \\(SIGKILL\\); starting it again`))
      await until(() => ![undefined, before].includes(childOf(name)), `there is another ${name}`)
    }
    await until(isServing, 'it serves again')
    const { body } = await service.call('POST', '/execute', { prompt: 'Say hello' })
    await until(() => isOver(body.id), 'it works')
  })

  await t.test(
    'the private Redis that is killed is started again on its folder, also when its keeper was: what runs goes on, what was asked is known',
    async (t) => {
      const redisOf = (pattern: RegExp) => treeOf(service.pid).find(({ pid }) => pattern.test(commandLineOf(pid)))?.pid
      const SERVER = /^(?:\S*\/)?(?:redis|valkey)-server/
      const go = join(service.folder, 'go')
      const prompt = byScript(`until [ -e "${go}" ]; do sleep 0.1; done`)
      const { body } = await service.call('POST', '/execute', { prompt })
      await until(async () => (await get(body.id)).status === 'running', 'it runs')
      for (const pattern of [SERVER, /cc-executor-redis/]) {
        // Its last second may not be on disk; what is older is.
        await sleep(1_500)
        const before = redisOf(SERVER)
        tryKill(redisOf(pattern) ?? 0)
        await until(() => ![undefined, before].includes(redisOf(SERVER)), 'there is another Redis', 90_000)
        await until(isServing, 'it serves again')
      }
      await writeFile(go, '')
      await until(() => isOver(body.id), 'the run came to its end')
      t.match(await get(body.id), { outcome: { result: 'survived' }, attempt: 1 })
      t.match(service.stderr(), /the Redis ended \(.*\); starting it again/)
    },
  )
  // Without its Redis nothing of what follows comes to an end.
  if (!t.passing()) return
  await startLongRun(service, byScript(lasting(250)))
  await nothingIsLeft(t, service, () => service.kill('SIGTERM'))
  t.match(await service.ended, { code: 0, signal: null })
})

void t.test('a process that is closed while it is being started again is gone with it', async (t) => {
  const folder = await makeFolder(t)
  const { url } = await openTestRedis(t)
  const nothing = (): void => undefined
  const opened = await openServiceProcess({
    name: 'api',
    environment: { ...testEnvironment(folder), REDIS_URL: url, CC_EXECUTOR_INSTANCE_ID: randomUUID() },
    onRestart: nothing,
    onIdle: nothing,
  })
  const first = opened.pid
  const living = () => listMentioning(folder).filter(({ pid }) => pid !== first)
  tryKill(first)
  await until(() => living().length > 0, 'another one is being started')
  await opened.close(GONE_MS)
  t.same(describe(living()), [])
})

void t.test('SIGKILL or SIGTERM while it starts leaves nothing either', async (t) => {
  for (const delayMs of TEST_ALL ? Array.from({ length: 24 }, (_, index) => index * 75) : [150, 900]) {
    for (const signal of TEST_ALL ? (['SIGKILL', 'SIGTERM'] as const) : (['SIGKILL'] as const)) {
      const folder = await makeFolder(t)
      const cli = startCli(t, ['start', '--simulate'], testEnvironment(folder))
      await sleep(delayMs)
      cli.kill(signal)
      await cli.ended
      await until(() => listMentioning(folder).length === 0, 'all are gone', GONE_MS).catch(() => undefined)
      t.same(describe(listMentioning(folder)), [], `${signal} after ${delayMs} ms`)
    }
  }
})

void t.test(
  'asked to stop while its worker looks at the CLI it waits for nothing, and nothing outlives it',
  async (t) => {
    const folder = await makeFolder(t)
    const [asked, hangs, claude] = [join(folder, 'asked'), join(folder, 'hangs'), join(folder, 'claude')]
    // `start` asks it first, and is answered.
    const hang = `[ ! -e ${asked} ] || { : > ${hangs}; exec tail -f ${asked}; }; : > ${asked}`
    await writeFile(claude, `#!/bin/sh\n${hang}\necho "2.1.332 (Claude Code)"\n`, { mode: 0o755 })
    const stop = async (): Promise<number> => {
      await rm(asked, { force: true })
      await rm(hangs, { force: true })
      const cli = startCli(t, ['start', '--simulate'], { ...testEnvironment(folder), CC_EXECUTOR_CLAUDE_BIN: claude })
      await until(() => existsSync(hangs), 'the worker asks for the version')
      const askedAt = performance.now()
      // A terminal that is closed: as with SIGTERM.
      cli.kill('SIGHUP')
      const { code } = await cli.ended
      const tookMs = performance.now() - askedAt
      t.same(describe(listMentioning(folder)), [], 'when it has ended, all that it has started has')
      t.equal(code, 0)
      return tookMs
    }
    // A busy machine may hold it up once.
    const tookMs = await stop()
    t.ok(tookMs < 9_000 || (await stop()) < 9_000, 'it did not wait for the 10 s that the CLI has')
  },
)

void t.test('under a program that keeps a channel to it, as pm2 does, an API is nobody’s child', async (t) => {
  const folder = await makeFolder(t)
  const { url } = await openTestRedis(t)
  const fromPm2 = (command: string, env: NodeJS.ProcessEnv) => {
    const child = fork(CLI, [command], { execArgv: [], env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    t.teardown(() => void child.kill('SIGKILL'))
    const texts: string[] = []
    child.stderr?.setEncoding('utf8').on('data', (text: string) => texts.push(text))
    const told: unknown[] = []
    child.on('message', (message) => told.push(message))
    return { child, told, stderr: () => texts.join(''), ended: once(child, 'exit') }
  }
  const refused = fromPm2('worker', testEnvironment(folder))
  t.same(await refused.ended, [1, null])
  t.match(refused.stderr(), /^cc-executor: REDIS_URL: is required/, 'why it cannot start')

  const api = fromPm2('api', { ...testEnvironment(folder), REDIS_URL: url })
  await until(() => /API on http/.test(api.stderr()), 'it says where it is')
  const [, address = ''] = /API on (http\S+),/.exec(api.stderr()) ?? []
  api.child.disconnect()
  await sleep(500)
  t.equal((await fetch(`${address}/health`)).status, 200, 'it goes on without the channel')
  api.child.kill('SIGINT')
  t.same(await api.ended, [0, null], 'and obeys a SIGINT')
  t.same([...refused.told, ...api.told], [], 'to the channel it says nothing')
})

void t.test('what cannot work is refused with one sentence', async (t) => {
  t.jobs = 2
  const folder = await makeFolder(t)
  const env = testEnvironment(folder)
  const occupied = createServer().listen(0, '127.0.0.1')
  await once(occupied, 'listening')
  t.teardown(() => void occupied.close())
  const address = occupied.address()
  const port = String(typeof address === 'object' ? address?.port : 0)
  await writeFile(join(folder, 'a-file'), '')
  await mkdir(join(folder, 'empty'))
  const old = join(folder, 'old-claude')
  await writeFile(old, '#!/bin/sh\necho "2.1.100 (Claude Code)"\n', { mode: 0o755 })
  const hidden = {
    PATH: join(folder, 'empty'),
    HOME: join(folder, 'empty'),
    CC_EXECUTOR_CACHE_DIR: join(folder, 'empty'),
  }
  const nowhere = { REDIS_URL: 'redis://somebody:secret-of-redis@127.0.0.1:1' }
  /** Like another one. */
  const VARIANTS = [
    'the data folder cannot be made',
    'the data folder cannot be written',
    'REDIS_URL refuses (worker)',
    'REDIS_URL refuses (start)',
    'no REDIS_URL (api)',
  ]
  const cases: Array<[string, string[], NodeJS.ProcessEnv, RegExp]> = [
    [
      'the port is in use',
      ['start', '--simulate'],
      { CC_EXECUTOR_PORT: port },
      new RegExp(`Port ${port} on 127.0.0.1 is in use: .*CC_EXECUTOR_PORT`),
    ],
    [
      'the data folder lies below a file',
      ['start', '--simulate'],
      { CC_EXECUTOR_DATA_DIR: join(folder, 'a-file', 'data') },
      /CC_EXECUTOR_DATA_DIR: .*a-file\/data cannot be used \(ENOTDIR\)/,
    ],
    [
      'the data folder cannot be made',
      ['start', '--simulate'],
      { CC_EXECUTOR_DATA_DIR: '/proc/cc-executor' },
      /CC_EXECUTOR_DATA_DIR: \/proc\/cc-executor cannot be used/,
    ],
    [
      'the data folder cannot be written',
      ['start', '--simulate'],
      { CC_EXECUTOR_DATA_DIR: '/proc/self' },
      /CC_EXECUTOR_DATA_DIR: \/proc\/self cannot be used/,
    ],
    [
      'a root is not there',
      ['start', '--simulate', '--root', join(folder, 'none')],
      {},
      /--root: \S+\/none is not a folder; create it first/,
    ],
    [
      'a variable is wrong',
      ['start', '--simulate'],
      { CC_EXECUTOR_CONCURRENCY: 'many' },
      /CC_EXECUTOR_CONCURRENCY: expected a whole number .*"many"/,
    ],
    [
      'there is no Redis',
      ['start', '--simulate'],
      hidden,
      /No redis-server was found: install .*, run npm run setup, or set REDIS_URL/,
    ],
    [
      'open on every address',
      ['start', '--simulate', '--open'],
      { CC_EXECUTOR_HOST: '0.0.0.0' },
      /CC_EXECUTOR_AUTH: open is allowed on a loopback address only/,
    ],
    [
      'REDIS_URL refuses (api)',
      ['api'],
      nowhere,
      /REDIS_URL: no Redis answers at redis:\/\/…@127\.0\.0\.1:1 \(ECONNREFUSED\): start one there/,
    ],
    ['REDIS_URL refuses (worker)', ['worker'], nowhere, /REDIS_URL: no Redis answers .*ECONNREFUSED/],
    ['REDIS_URL refuses (start)', ['start'], nowhere, /REDIS_URL: no Redis answers .*ECONNREFUSED/],
    [
      'REDIS_URL is a socket that is not there',
      ['api'],
      { REDIS_URL: `unix://${folder}/none.sock` },
      /REDIS_URL: no Redis answers at unix:\/\/.*ENOENT/,
    ],
    [
      'the CLI is too old (start)',
      ['start', '--simulate'],
      { CC_EXECUTOR_CLAUDE_BIN: old },
      /CLAUDE_TOO_OLD: the Claude CLI 2\.1\.100 \(.*old-claude\) is older than 2\.1\.197, .*npm run setup -- --claude=latest/,
    ],
    ['no REDIS_URL (api)', ['api'], {}, /REDIS_URL: is required/],
    ['no token yet', ['token'], { CC_EXECUTOR_DATA_DIR: join(folder, 'none') }, /There is no token yet/],
  ]
  for (const [name, args, variables, sentence] of cases)
    void t.test(name, { skip: VARIANTS.includes(name) && !TEST_ALL && 'only in npm run test:all' }, (t) =>
      refused(t, args, { ...env, ...variables }, sentence),
    )
  void t.test('a call that does not exist says where help is, exit code 2', async (t) => {
    for (const args of [
      ['serve'],
      ['start', '--fast'],
      ...(TEST_ALL
        ? [
            ['start', '--root'],
            ['api', 'now'],
          ]
        : []),
    ]) {
      const { code, stderr } = await runToEnd(t, args, env)
      t.equal(code, 2, args.join(' '))
      t.match(
        stderr,
        args.length === 1
          ? /^cc-executor: .+\n\n(?:cc-executor|node \S+cli\.js) help lists the commands\.\n$/
          : /^cc-executor: .+\n\n(?:cc-executor|node \S+cli\.js) (start|api) --help shows its usage\.\n$/,
      )
    }
  })
})

void t.test('config, help and --version answer', async (t) => {
  const folder = await makeFolder(t)
  const env = {
    ...testEnvironment(folder),
    CC_EXECUTOR_TOKENS: 'ci=a-secret-of-sixteen-or-more',
    REDIS_URL: 'redis://me:another-secret@127.0.0.1:1',
  }
  const config = await runToEnd(t, ['config'], env)
  t.equal(config.code, 0)
  t.match(config.stdout, /CC_EXECUTOR_TOKENS=\(set\)\n/)
  t.match(config.stdout, /REDIS_URL=redis:\/\/…@127\.0\.0\.1:1\n +.+ \(environment\)/)
  t.match(config.stdout, /CC_EXECUTOR_LOCK_SECONDS=30\n +.+ \(default\)/)
  t.notMatch(config.stdout, /secret/)

  for (const help of TEST_ALL ? ['help', '--help'] : ['--help'])
    t.match(await runToEnd(t, [help], env), { code: 0, stdout: /^cc-executor .*\n\nUsage: /, stderr: '' })
  t.match(await runToEnd(t, ['--version'], env), { code: 0, stdout: `${VERSION}\n` })
})
