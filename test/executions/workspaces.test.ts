// Which folders may be workspaces, who has one, whose it is, and that what was looked at is what is used.
import { execFile } from 'node:child_process'
import { existsSync, renameSync, symlinkSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { prepareWorkspace } from '../../src/executions/workspaces/prepare-workspace.js'
import { nameWorkspace } from '../../src/executions/workspaces/workspace-name.js'
import { sweepOwners } from '../../src/executions/sweep/sweep-owners.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { readConfig, type Config } from '../../src/platform/config.js'
import { openFolder } from '../../src/platform/open-folder.js'
import { requireOwnFolders } from '../../src/platform/own-places.js'
import { ExecutorError } from '../../src/protocol/errors.js'
import type { Execution } from '../../src/protocol/execution.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { startSupervised, type SuperviseOptions } from '../../src/supervision/supervised-process.js'
import { readGitHead } from '../../src/verification/git-head.js'
import { DEFAULT_LIMITS, takeManifest } from '../../src/verification/manifest.js'
import { scripted, testEnvironment } from '../support/environment.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { until } from '../support/processes.js'
import { openTestService } from '../support/service.js'

const INIT = { line: { type: 'system', subtype: 'init', session_id: 'of-the-script' } }
const RESULT = {
  line: { type: 'result', subtype: 'success', is_error: false, result: 'released', usage: {}, num_turns: 1 },
}
const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-workspaces-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
for (const name of ['home/.local/share/cc-executor/redis', 'projects/one', 'other', 'hooks'])
  await mkdir(at(name), { recursive: true })
await symlink(at('projects'), at('alias'))
await symlink(at('home/.local/share'), at('other/share'))
const HOME = at('home')
const settings = (environment: NodeJS.ProcessEnv): Config => readConfig({ HOME, ...environment })
const DATA = at('home/.local/share/cc-executor')

const containment = await chooseContainment({
  policy: 'auto',
  extraPath: (testEnvironment('')['PATH'] ?? '').split(':'),
})
const bwrap = containment.programs?.bwrap
const skip = containment.level !== 'bubblewrap' && 'only bubblewrap hides, and makes mounts'

const BOTH = `${at('projects')},${at('alias')}`
const TOKENS = { alice: 'token-of-alice-0001', bob: 'token-of-bob-000002', carol: 'token-of-carol-0003' } as const
type Name = keyof typeof TOKENS
const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_CONCURRENCY: '8',
    CC_EXECUTOR_ALLOWED_ROOTS: BOTH,
    CC_EXECUTOR_SHARED_WORKSPACES: 'common,team/board',
    CC_EXECUTOR_TOKENS: Object.entries(TOKENS)
      .map(([name, token]) => `${name}=${token}`)
      .join(','),
  },
})

void t.test('a root in which runs would reach what the service lives by is refused by the name of its setting', (t) => {
  const refused = (environment: NodeJS.ProcessEnv, message: RegExp): void =>
    void t.throws(() => requireOwnFolders(settings(environment)), { name: 'ConfigError', message })
  const roots = (root: string, more: NodeJS.ProcessEnv = {}) => ({ CC_EXECUTOR_ALLOWED_ROOTS: root, ...more })
  for (const root of [HOME, at('home/.local'), DATA, `${DATA}/redis`, `${DATA}/sessions/x/home`, '/'])
    refused(roots(root), /^CC_EXECUTOR_ALLOWED_ROOTS \(--root\): .*\(CC_EXECUTOR_DATA_DIR\)/)
  refused(roots(at('other/share')), /\(CC_EXECUTOR_DATA_DIR\)/)
  refused(roots(at('home/.cache')), /\(CC_EXECUTOR_CACHE_DIR\)/)
  refused(roots(at('hooks'), { CC_EXECUTOR_HOOKS: at('hooks/hooks.json') }), /\(CC_EXECUTOR_HOOKS\)/)
  refused(roots(at('projects'), { CC_EXECUTOR_HOOKS: at('alias/one/hooks.json') }), /\(CC_EXECUTOR_HOOKS\)/)
  refused(roots(at('other'), { CC_EXECUTOR_TOKEN_FILE: at('other/token') }), /\(CC_EXECUTOR_TOKEN_FILE\)/)
  for (const name of ['other', 'with space', 'a%20b'])
    refused(roots(at(name), { REDIS_URL: `unix://${at(name, 'redis.sock')}` }), /\(REDIS_URL\)/)
  for (const root of [DATA, `${DATA}/sessions/below`, at('home')])
    refused({ CC_EXECUTOR_WORKSPACE_ROOT: root }, /^CC_EXECUTOR_WORKSPACE_ROOT: .*\(CC_EXECUTOR_DATA_DIR\)/)
  refused(
    { CC_EXECUTOR_WORKSPACE_ROOT: at('other'), CC_EXECUTOR_HOOKS: at('other/hooks.json') },
    /^CC_EXECUTOR_WORKSPACE_ROOT: .*\(CC_EXECUTOR_HOOKS\)/,
  )
  for (const fine of [
    {},
    roots(at('projects')),
    roots(at('alias')),
    roots(`${at('projects')},${at('nowhere')}`),
    roots(`${DATA}/workspaces`),
    { CC_EXECUTOR_WORKSPACE_ROOT: `${DATA}/others` },
    { CC_EXECUTOR_WORKSPACE_ROOT: at('other/ws') },
  ])
    t.doesNotThrow(() => requireOwnFolders(settings(fine)), JSON.stringify(fine))
  t.end()
})

void t.test('neither is one accepted as a workspace, whatever the roots say', async (t) => {
  const name = (workspace: string): string =>
    nameWorkspace(workspace, 'id', settings({ CC_EXECUTOR_ALLOWED_ROOTS: '/' })).name
  for (const workspace of [HOME, at('home/.local'), DATA, `${DATA}/redis`, `${DATA}/workspaces`, `${DATA}/x/y`, '/'])
    t.throws(() => name(workspace), { code: 'FORBIDDEN' }, workspace)
  t.equal(name(`${DATA}/workspaces/team/a`), 'team/a', 'what has a name by the workspace root has no other one')
  t.throws(() => name(`${DATA}/workspaces/01234567-0123-0123-0123-0123456789ab`), ExecutorError)
  t.equal(name(at('projects/')), at('projects'))
})

const prepare = async (workspace: string, environment: NodeJS.ProcessEnv): Promise<string> => {
  const { workspace: opened } = await prepareWorkspace({ id: 'x', home: 'x', workspace }, settings(environment))
  await opened.close()
  return opened.path
}

void t.test('nor by the worker, when links and mounts are resolved', async (t) => {
  const CC_EXECUTOR_ALLOWED_ROOTS = `/,${at('projects')}`
  for (const workspace of [HOME, `${DATA}/redis`, `${DATA}/workspaces/a`])
    await t.rejects(prepare(workspace, { CC_EXECUTOR_ALLOWED_ROOTS }), {
      name: 'WorkspaceError',
      message: /a folder of the service \(CC_EXECUTOR_(DATA_DIR|WORKSPACE_ROOT)\)/,
    })
  await t.rejects(prepare(at('other/share/cc-executor'), { CC_EXECUTOR_ALLOWED_ROOTS: at('other') }), /symbolic link/)
  t.equal(await prepare(at('projects/one'), { CC_EXECUTOR_ALLOWED_ROOTS }), at('projects/one'))
  t.equal(await prepare('team/a', {}), `${DATA}/workspaces/team/a`)
})

void t.test(
  'a bind mount is no other folder: neither of the service’s own, nor of one that somebody has',
  { skip },
  async (t) => {
    await mkdir(at('projects/bound/below'), { recursive: true })
    await mkdir(at('projects/same'), { recursive: true })
    const script = `
      import { prepareWorkspace } from '${ROOT}/dist/src/executions/workspaces/prepare-workspace.js'
      import { readConfig } from '${ROOT}/dist/src/platform/config.js'
      const config = readConfig({ HOME: '${HOME}', CC_EXECUTOR_ALLOWED_ROOTS: '${at('projects')}' })
      for (const workspace of ['bound', 'bound/below', 'same', 'one'].map((name) => '${at('projects')}/' + name)) {
        const prepared = await prepareWorkspace({ id: 'x', home: 'x', workspace }, config).catch((error) => error)
        console.log(prepared.message ?? JSON.stringify(prepared.workspace.places))
      }`
    const mounts = ['--bind', DATA, at('projects/bound/below'), '--bind', at('projects/one'), at('projects/same')]
    const { stdout } = await promisify(execFile)(bwrap ?? '', [
      '--dev-bind',
      '/',
      '/',
      ...mounts,
      '--',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ])
    const [around, within, same, one] = stdout.trim().split('\n')
    t.match(around, /own \(CC_EXECUTOR_DATA_DIR\)/, 'it is mounted below the workspace')
    t.match(within, /own \(CC_EXECUTOR_DATA_DIR\)/)
    t.equal(same, one)
    t.match(JSON.parse(one ?? ''), [/^@.+\/projects\/one$/, /^#/])
  },
)

void t.test('what is hidden is hidden last, also where what is shown holds it', { skip }, async (t) => {
  await mkdir(at('shown/own/ws'), { recursive: true })
  await mkdir(at('shown/tools'))
  for (const file of ['own/key', 'own/ws/mine', 'tools/program']) await writeFile(at('shown', file), `${file}\n`)
  const run = await startSupervised({
    containment,
    file: 'bash',
    args: ['-c', 'cat own/key own/ws/mine tools/program; echo x >> tools/program; echo mine > made'],
    cwd: at('shown'),
    env: { PATH: process.env['PATH'] ?? '' },
    marker: 'test/hidden',
    hiddenPaths: [at('shown/own')],
    exposedPaths: [at('shown'), at('shown/own/ws')],
    protectedPaths: [at('shown/tools')],
    heartbeatTimeoutMs: 60_000,
  })
  let said = ''
  run.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  run.stderr.resume()
  run.release()
  await run.exited
  await run.killAll()
  t.equal(said, 'own/ws/mine\ntools/program\n')
  t.equal(await readFile(at('shown/tools/program'), 'utf8'), 'tools/program\n', 'what is protected is not written')
  t.equal(await readFile(at('shown/made'), 'utf8'), 'mine\n')
})

void t.test('a workspace is opened once: exchanged after that, nothing is read or started elsewhere', async (t) => {
  await mkdir(at('exchanged/real/sub/.git'), { recursive: true })
  await mkdir(at('exchanged/secret/.git'), { recursive: true })
  await writeFile(at('exchanged/real/inside'), 'inside')
  await writeFile(at('exchanged/secret/key'), 'secret')
  await writeFile(at('exchanged/secret/HEAD'), `${'a'.repeat(40)}\n`)
  const workspace = await openFolder(at('exchanged/real'))
  t.teardown(() => workspace.close())
  await rename(at('exchanged/real'), at('exchanged/moved'))
  await symlink('secret', at('exchanged/real'))
  const { entries } = await takeManifest(workspace.address, { ...DEFAULT_LIMITS, ignored: [] })
  t.same(
    entries.map(({ path }) => path),
    ['inside'],
  )
  // Below it, too: what was a folder when it was listed.
  await symlink('../secret', at('exchanged/moved/.git'))
  t.equal(readGitHead(workspace.address), undefined)
  const start = (more: Partial<SuperviseOptions> = {}) =>
    startSupervised({
      containment,
      file: 'bash',
      args: ['-c', 'touch started'],
      cwd: at('exchanged/real'),
      folder: workspace,
      env: { PATH: process.env['PATH'] ?? '' },
      marker: 'test/exchanged',
      heartbeatTimeoutMs: 60_000,
      ...more,
    })
  for (const level of ['bubblewrap', 'unshare', 'weak'] as const)
    await t.rejects(start({ containment: { ...containment, level } }), { code: 'BAD_CWD' }, level)
  t.notOk(existsSync(at('exchanged/secret/started')))
})

const as = (name: Name) => ({ authorization: `Bearer ${TOKENS[name]}` })
const submit = (workspace: string, more: Record<string, unknown> = {}, name: Name = 'alice'): Promise<Execution> =>
  service.submit({ prompt: 'hello', workspace, ...more }, as(name))
const look = async ({ id }: { id: string }): Promise<Execution> =>
  (await service.call('GET', `/executions/${id}`, { headers: as('alice') })).body
async function finished({ id }: { id: string }): Promise<Execution> {
  for (;;) {
    const path = `/executions/${id}/events?types=execution.finished&waitSeconds=30`
    if ((await service.call('GET', path, { headers: as('alice') })).body.events.length > 0) return look({ id })
  }
}
let count = 0
async function hold(workspace: string, more: Record<string, unknown> = {}) {
  const file = join(service.directory, `go-${(count += 1)}`)
  const execution = await submit(workspace, { prompt: JSON.stringify([INIT, { file }, RESULT]), ...more })
  return { ...execution, release: () => writeFile(file, '') }
}
const isRunning = (execution: Execution): Promise<void> =>
  until(async () => (await look(execution)).status === 'running', `${execution.workspace} runs`)
const waits = (execution: Execution): Promise<void> =>
  until(async () => (await look(execution)).waitingFor === 'workspace', `${execution.workspace} waits`)

void t.test('what was listed as a folder and is a link when it is entered is not gone through', async (t) => {
  await mkdir(at('walked/z/sub'), { recursive: true })
  await mkdir(at('elsewhere/sub'), { recursive: true })
  await writeFile(at('elsewhere/sub/key'), 'secret')
  for (let file = 0; file < 150; file += 1) await writeFile(at(`walked/z/${file}`), '')
  const walk = takeManifest(at('walked'), { ...DEFAULT_LIMITS, ignored: [] })
  // It has listed z, and lets others have their turn before it enters z/sub.
  renameSync(at('walked/z'), at('walked-z'))
  symlinkSync(at('elsewhere'), at('walked/z'))
  const { entries } = await walk
  t.ok(entries.length >= 150)
  t.notOk(entries.some(({ path }) => path.endsWith('key')))
})

void t.test(
  'a workspace excludes the folders around it and in it while it is used, and nothing beside it',
  async (t) => {
    const inner = await hold('tree/a/b')
    await isRunning(inner)
    const outer = await hold('tree/a')
    const root = await submit('tree')
    const innermost = await submit('tree/a/b/c')
    for (const execution of [outer, root, innermost]) await waits(execution)
    const [beside, alike] = await Promise.all([hold('tree/c'), hold('tree/a-b')])
    await Promise.all([beside, alike].map(isRunning))
    await inner.release()
    await isRunning(outer)
    const below = await hold('tree/a/d')
    await waits(below)
    await waits(root)
    for (const execution of [outer, beside, alike, below]) await execution.release()
    for (const execution of [inner, outer, root, innermost, beside, alike, below])
      t.match(await finished(execution), { status: 'succeeded' }, execution.workspace)
    t.ok(String((await look(innermost)).startedAt) >= String((await look(outer)).finishedAt))
  },
)

void t.test('of many that wait for one folder and for parts of it, each has its turn', async (t) => {
  const first = await hold('crowd/x')
  await isRunning(first)
  const names = ['crowd', 'crowd/x', 'crowd/x/y', 'crowd/z/1', 'crowd/x/y', 'crowd', 'crowd/x']
  const others = await Promise.all(names.map((name) => submit(name)))
  // What waits can be cancelled, and leaves its place to the next.
  const cancelled = others[1]!
  await waits(cancelled)
  await service.call('POST', `/executions/${cancelled.id}/cancel`, { headers: as('alice'), body: {} })
  await first.release()
  const ended = await Promise.all(others.map(finished))
  t.same(
    ended.map(({ status }) => status),
    names.map((_name, index) => (index === 1 ? 'cancelled' : 'succeeded')),
  )
})

void t.test('one folder has one lock, whatever names lead to it', async (t) => {
  const first = await hold(at('projects/one'))
  await isRunning(first)
  const [same, below, free] = await Promise.all([
    submit(at('alias/one')),
    submit(at('alias/one/below')),
    submit(at('alias/two')),
  ])
  t.match(await finished(free), { status: 'succeeded' })
  await waits(same)
  await waits(below)
  await first.release()
  const [one, two, three] = await Promise.all([first, same, below].map(finished))
  for (const execution of [one, two, three]) t.match(execution, { status: 'succeeded' }, JSON.stringify(execution))
  for (const later of [two, three]) t.ok(String(later?.startedAt) >= String(one?.finishedAt))
})

void t.test('a task list has its folder under every name until its end', async (t) => {
  const file = join(service.directory, 'go-list')
  const list = await service.submit(
    { tasks: ['hello', JSON.stringify([INIT, { file }, RESULT])], workspace: at('projects/list') },
    as('alice'),
  )
  await until(async () => ((await look(list)).tasks?.length ?? 0) === 2, 'the second task')
  const other = await submit(at('alias/list'))
  await waits(other)
  await writeFile(file, '')
  t.match(await finished(list), { status: 'succeeded' })
  t.match(await finished(other), { status: 'succeeded' })
})

void t.test('a named workspace belongs to the token that made it first', async (t) => {
  const ask = async (name: Name, workspace: string, more: Record<string, unknown> = {}) =>
    service.call('POST', '/execute', { body: { prompt: 'hello', workspace, ...more }, headers: as(name) })
  const accepted = async (name: Name, workspace: string, more: Record<string, unknown> = {}): Promise<Execution> => {
    const { status, body } = await ask(name, workspace, more)
    t.equal(status, 202, `${name}: ${workspace} ${JSON.stringify(body)}`)
    return body
  }
  const refused = async (name: Name, workspace: string, more: Record<string, unknown> = {}): Promise<void> =>
    void t.match(
      await ask(name, workspace, more),
      { status: 404, body: { code: 'WORKSPACE_NOT_FOUND', errors: [{ path: 'workspace' }] } },
      `${name}: ${workspace}`,
    )
  // As one that was there before workspaces had owners.
  await mkdir(join(service.config.workspaceRoot, 'old'), { recursive: true })
  await accepted('bob', 'old')
  await refused('carol', 'old')
  const first = await accepted('alice', 'team/a')
  await finished(first)
  for (const workspace of ['team/a', './team//a/', 'team/a/b', 'team']) await refused('bob', workspace)
  await refused('bob', 'team/a', { tasks: ['x', 'y'], prompt: undefined })
  await accepted('bob', 'team/b')
  await refused('alice', 'team')
  for (const name of ['alice', 'bob', 'carol'] as const) {
    await accepted(name, 'common')
    await accepted(name, `common/${name}`)
    await accepted(name, 'team/board')
    await accepted(name, at('projects/everybodys'))
  }
  await accepted('alice', 'team/a/deeper')
  for (const alike of ['dead-beef-cafe-babe-f00d', 'AAAAAAAA-0000-0000-0000-000000000000']) {
    await accepted('alice', alike)
    await refused('bob', alike)
  }
  t.match(
    await ask('alice', 'x/'.repeat(100)),
    { status: 400, body: { errors: [{ path: 'workspace', message: 'must not be nested deeper than 64 folders' }] } },
    'each of them would be told of it',
  )
  // An absolute path to one is the same workspace.
  const within = (name: string): string => join(service.config.workspaceRoot, name)
  t.match(await ask('bob', within('team/a')), { status: 403 }, 'no allowed root holds it')
  t.match(await accepted('alice', 'team/a', { session: { resume: first.id } }), { workspace: 'team/a' })
  t.match(await ask('bob', 'team/a', { session: { resume: first.id } }), { status: 404 })
  await service.call('DELETE', `/executions/${first.id}`, { headers: as('alice') })
  await refused('bob', 'team/a')
})

void t.test('an owner is forgotten where nobody has named the workspace for long and its folder is gone', async (t) => {
  const { config } = service
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const logger = createLogger('silent', 'worker')
  const { store, redis } = openDomain({ config, redisUrl: service.redis.url, logger, lifetime }, 'keeper')
  const statusFor = async (name: Name, workspace: string): Promise<number> =>
    (await service.call('POST', '/execute', { body: { prompt: 'hello', workspace }, headers: as(name) })).status
  const take = (name: string): Promise<void> => rm(join(config.workspaceRoot, name), { recursive: true })
  /** As if all of them had been named so long ago. */
  const sweep = (): Promise<void> => sweepOwners({ store, config }, -60_000)
  for (const workspace of ['swept/a', 'swept/b']) await finished(await submit(workspace))
  await sweep()
  t.equal(await statusFor('bob', 'swept/a'), 404, 'its folder is there')
  await take('swept/a')
  await sweepOwners({ store, config })
  t.equal(await statusFor('bob', 'swept/a'), 404, 'it was named just now')
  await sweep()
  t.equal(await statusFor('bob', 'swept'), 404, 'it still holds what is alice’s')
  t.equal(await statusFor('bob', 'swept/b'), 404)
  await take('swept/b')
  await sweep()
  for (const left of ['swept/a', 'swept/b']) t.equal(await redis.hget('{cc}:workspace-owners', left), null)
  t.equal(await redis.exists('{cc}:owned-within:swept'), 0)
  t.equal(await redis.zscore('{cc}:workspaces-used', 'swept/a'), null)
  t.equal(await statusFor('bob', 'swept'), 202)
})

void t.test(
  'a run that exchanges a folder of its workspace for a link leads nobody elsewhere',
  { timeout: 600_000 },
  async (t) => {
    const real = await openTestService(t, {
      env: { CC_EXECUTOR_ALLOWED_TOOLS: 'Bash', CC_EXECUTOR_CONCURRENCY: '4', CC_EXECUTOR_SANDBOX: 'host' },
    })
    const [secret, go] = [join(real.directory, 'secret'), join(real.directory, 'go')]
    await mkdir(secret)
    await writeFile(join(secret, 'key'), 'secret')
    const exchange =
      `touch ${real.directory}/begun; until test -e ${go}; do rm -rf b; mkdir b; mv b c; ln -s ${secret} b; ` +
      'rm b; rm -rf c; done; rm -rf b; mkdir b'
    const first = await real.submit({
      prompt: scripted({ tool: 'Bash', input: { command: exchange } }, { text: 'done' }),
      workspace: 'a',
    })
    await until(() => existsSync(join(real.directory, 'begun')), 'it exchanges')
    const files = [{ path: 'given', content: 'given' }]
    const others = await Promise.all(
      Array.from({ length: 3 }, () => real.submit({ prompt: scripted({ text: 'hello' }), workspace: 'a/b', files })),
    )
    const seen = async (id: string): Promise<Execution> => (await real.call('GET', `/executions/${id}`)).body
    for (const { id } of others) {
      await until(
        async () => (await seen(id)).waitingFor === 'workspace' || (await seen(id)).finishedAt !== undefined,
        id,
      )
      t.match(await seen(id), { status: 'queued', waitingFor: 'workspace' })
    }
    await writeFile(go, '')
    await real.finished(first.id)
    for (const { id } of others) {
      t.match(await real.finished(id), { status: 'succeeded' })
      const { body } = await real.call('GET', `/executions/${id}/files`)
      t.same(
        body.files.map(({ path }: { path: string }) => path),
        ['given'],
      )
    }
    t.notOk(existsSync(join(secret, 'given')))
  },
)

void t.test('a service does not start with such a root', async (t) => {
  const environment = { ...service.environment, CC_EXECUTOR_ALLOWED_ROOTS: service.directory }
  for (const opened of [service.openApi(environment), service.openWorker(environment)])
    await t.rejects(Promise.resolve<unknown>(opened), { name: 'ConfigError', message: /\(CC_EXECUTOR_DATA_DIR\)/ })
})
