// Who has a workspace, and whose it is; which folders may be one is told in own-folders.test.ts.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sweepOwners } from '../../src/executions/sweep/sweep-owners.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Execution } from '../../src/protocol/execution.js'
import { submitHeld, type HeldRun } from '../support/held-run.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { openWaiters } from '../support/waiters.js'
import { until } from '../support/deadlines.js'

const INIT = { line: { type: 'system', subtype: 'init', session_id: 'of-the-script' } }
const RESULT = {
  line: { type: 'result', subtype: 'success', is_error: false, result: 'released', usage: {}, num_turns: 1 },
}
const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-workspaces-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
await mkdir(at('projects/one'), { recursive: true })
await symlink(at('projects'), at('alias'))
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

const as = (name: Name) => ({ authorization: `Bearer ${TOKENS[name]}` })
const submit = (workspace: string, more: Record<string, unknown> = {}, name: Name = 'alice'): Promise<Execution> =>
  service.submit({ prompt: 'hello', workspace, ...more }, as(name))
const look = async ({ id }: { id: string }): Promise<Execution> =>
  (await service.call('GET', `/executions/${id}`, { headers: as('alice') })).body
const waiters = openWaiters((method, path) => service.call(method, path, { headers: as('alice') }))
const finished = ({ id }: Pick<Execution, 'id'>): Promise<Execution> => waiters.finished(id)
const hold = (workspace: string, more: Record<string, unknown> = {}): Promise<HeldRun> =>
  submitHeld(service.directory, (prompt) => submit(workspace, { prompt, ...more }))
const isRunning = (execution: Execution): Promise<void> =>
  until(async () => (await look(execution)).status === 'running', `${execution.workspace} runs`)
const waits = (execution: Execution): Promise<void> =>
  until(async () => {
    const { waitingFor, startedAt } = await look(execution)
    if (startedAt !== undefined) throw new Error(`${execution.workspace} did not wait`)
    return waitingFor === 'workspace'
  }, `${execution.workspace} waits`)

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
  const gates = ['go-first', 'go-second'].map((name) => join(service.directory, name))
  const tasks = gates.map((file) => JSON.stringify([INIT, { file }, RESULT]))
  const list = await service.submit({ tasks, workspace: at('projects/list') }, as('alice'))
  await isRunning(list)
  // It waits from the first task on, and would be next if that task were the one who has the folder.
  const other = await submit(at('alias/list'))
  await waits(other)
  for (const gate of gates) await writeFile(gate, '')
  const ended = await finished(list)
  t.match(ended, { status: 'succeeded' })
  const later = await finished(other)
  t.match(later, { status: 'succeeded' })
  t.ok(String(later.startedAt) >= String(ended.finishedAt), 'not between its tasks')
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
  const sweep = (graceMs = 0): Promise<void> => sweepOwners({ store, config }, { unusedMs: -60_000, graceMs })
  for (const workspace of ['swept/a', 'swept/b']) await finished(await submit(workspace))
  await sweep()
  t.equal(await statusFor('bob', 'swept/a'), 404, 'its folder is there')
  await take('swept/a')
  await sweep(600_000)
  t.equal(await statusFor('bob', 'swept/a'), 404, 'another worker, which has a folder of that name, has time to say so')
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
    const onHost = await openTestService(t, {
      env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_CONCURRENCY: '4', CC_EXECUTOR_SANDBOX: 'host' },
    })
    const [secret, go] = [join(onHost.directory, 'secret'), join(onHost.directory, 'go')]
    await mkdir(secret)
    await writeFile(join(secret, 'key'), 'secret')
    const exchange =
      `touch ${onHost.directory}/begun; until test -e ${go}; do rm -rf b; mkdir b; mv b c; ln -s ${secret} b; ` +
      'rm b; rm -rf c; done; rm -rf b; mkdir b'
    const first = await onHost.submit({
      prompt: JSON.stringify([INIT, { tool: exchange }, RESULT]),
      workspace: 'a',
    })
    await until(() => existsSync(join(onHost.directory, 'begun')), 'it exchanges')
    const files = [{ path: 'given', content: 'given' }]
    const others = await Promise.all(
      Array.from({ length: 3 }, () => onHost.submit({ prompt: 'hello', workspace: 'a/b', files })),
    )
    const seen = async (id: string): Promise<Execution> => (await onHost.call('GET', `/executions/${id}`)).body
    for (const { id } of others) {
      await until(
        async () => (await seen(id)).waitingFor === 'workspace' || (await seen(id)).finishedAt !== undefined,
        id,
      )
      t.match(await seen(id), { status: 'queued', waitingFor: 'workspace' })
    }
    await writeFile(go, '')
    await onHost.finished(first.id)
    for (const { id } of others) {
      t.match(await onHost.finished(id), { status: 'succeeded' })
      const { body } = await onHost.call('GET', `/executions/${id}/files`)
      t.same(
        body.files.map(({ path }: { path: string }) => path),
        ['given'],
      )
    }
    t.notOk(existsSync(join(secret, 'given')))
  },
)

void t.test('a workspace that leads out by a symbolic link, or is no folder, is WORKSPACE_ERROR', async (t) => {
  const root = service.config.workspaceRoot
  await mkdir(root, { recursive: true })
  await symlink(service.directory, join(root, 'leak'))
  await symlink('/nowhere/at/all', join(root, 'dangling'))
  await writeFile(join(root, 'file'), '')
  for (const workspace of ['leak', 'leak/below', 'dangling', 'dangling/below', 'file', 'file/below']) {
    const execution = await submit(workspace)
    const { status, outcome } = await finished(execution)
    t.match({ status, outcome }, { status: 'failed', outcome: { code: 'WORKSPACE_ERROR' } }, workspace)
    if (workspace.startsWith('leak')) t.match(outcome?.message, /leads out of the allowed folders/, workspace)
    t.notMatch(outcome?.message, service.directory)
  }
  t.notOk(existsSync(join(service.directory, 'below')), 'nothing was made where the link leads')
})

void t.test(
  'a workspace has one name: through a symbolic link inside the root it is refused, and its name told',
  async (t) => {
    const root = service.config.workspaceRoot
    await mkdir(join(root, 'folder', 'below'), { recursive: true })
    await symlink('folder', join(root, 'alias'))
    for (const [workspace, name] of [
      ['alias', 'folder'],
      ['alias/below', 'folder/below'],
    ] as const) {
      const execution = await submit(workspace)
      t.match(
        (await finished(execution)).outcome,
        { code: 'WORKSPACE_ERROR', message: `name the folder itself: "${name}".` },
        workspace,
      )
    }
  },
)

void t.test('a service does not start with such a root', async (t) => {
  const environment = { ...service.environment, CC_EXECUTOR_ALLOWED_ROOTS: service.directory }
  for (const opened of [service.openApi(environment), service.openWorker(environment)])
    await t.rejects(Promise.resolve<unknown>(opened), { name: 'ConfigError', message: /\(CC_EXECUTOR_DATA_DIR\)/ })
})
