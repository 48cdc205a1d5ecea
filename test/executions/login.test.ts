// The operator's login and the runs that use it, with the real CLI: who holds what, when tokens end, whose settings
// count.
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command } })
const DONE = { text: 'done' }
const OPERATOR_WORDS = 'words of the operator'

/** About twenty starts of the CLI: `npm test` has the first half of them. */
const isLong = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
/** Of each of two workers. */
const PLACES = isLong ? 2 : 1
const long = { skip: !isLong && 'npm run test:all' }

for (const { name, env } of listClaudeVersions())
  void t.test(name, { timeout: 600_000 }, async (t) => {
    const operator = await mkdtemp(join(tmpdir(), 'cce-operator-'))
    t.teardown(() => rm(operator, { recursive: true, force: true }))
    const file = join(operator, '.credentials.json')
    const service = await openTestService(t, { workers: 0, env: { CC_EXECUTOR_SIMULATOR_URL: '', ...env } })
    const { simulator } = service
    const { logins } = simulator
    const write = (login: object, more: object = {}): Promise<void> =>
      writeFile(
        file,
        JSON.stringify({ claudeAiOauth: { subscriptionType: 'max', scopes: ['user:inference'], ...login }, ...more }),
      )
    const read = async () => JSON.parse(await readFile(file, 'utf8')).claudeAiOauth
    await write(logins.issue())
    await writeFile(join(operator, 'CLAUDE.md'), OPERATOR_WORDS)
    const planted = { hooks: { UserPromptSubmit: [{ hooks: [{ type: 'command', command: 'touch hooked' }] }] } }
    await writeFile(join(operator, 'settings.json'), JSON.stringify(planted))
    const open = () =>
      service.openWorker({
        ...env,
        CLAUDE_CONFIG_DIR: operator,
        ANTHROPIC_BASE_URL: simulator.url,
        CC_EXECUTOR_LOGIN_TOKEN_URL: `${simulator.url}/v1/oauth/token`,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        // Whatever the CLI might want to ask beside the base URL is refused at once.
        HTTPS_PROXY: 'http://127.0.0.1:9',
        NO_PROXY: '127.0.0.1',
        CC_EXECUTOR_CONCURRENCY: String(PLACES),
      })
    await Promise.all([open(), open()])

    const begin = (steps: readonly unknown[], more: Record<string, unknown> = {}) =>
      service.submit({ prompt: scripted(...steps), allowedTools: ['Bash'], ...more })
    const run = async (steps: readonly unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
      service.finished((await begin(steps, more)).id)
    const succeed = (t: Test, execution: Execution) =>
      t.match(execution, { status: 'succeeded' }, JSON.stringify(execution.outcome))
    const made = async ({ id }: { id: string }, path: string) =>
      readFile(join(service.config.workspaceRoot, id, path), 'utf8').catch(() => undefined)
    const of = <Type extends Event['type']>(events: readonly Event[], type: Type) =>
      events.filter((event) => event.type === type) as unknown as Array<Event<Type>>
    const isPrepared = ({ id }: Execution) =>
      access(join(service.config.dataDir, 'sessions', id, 'home/.claude')).then(
        () => true,
        () => false,
      )
    const renewals = () => logins.renewals.map(({ status }) => status)

    await t.test('a run has an access token, no refresh token, and a configuration of its own', async (t) => {
      const login = await read()
      const execution = await run([
        bash(`cat ~/.claude/.credentials.json | tee held; env > environment; ls ${operator} > listed; true`),
        DONE,
      ])
      succeed(t, execution)
      const held = (await made(execution, 'held')) ?? ''
      t.match(JSON.parse(held), {
        claudeAiOauth: { accessToken: login.accessToken, refreshToken: '', subscriptionType: 'max' },
      })
      t.notMatch(held + (await made(execution, 'environment')), login.refreshToken)
      const projects = join(service.config.dataDir, 'sessions', execution.id, 'home/.claude/projects')
      const names = (await readdir(projects, { recursive: true })).filter((name) => name.endsWith('.jsonl'))
      const transcript = await readFile(join(projects, names[0] ?? ''), 'utf8')
      t.match(transcript, '[masked]', 'its transcript is masked where it is')
      t.notMatch(transcript, login.accessToken)
      t.notMatch(await made(execution, 'environment'), operator)
      t.equal(await made(execution, 'listed'), '', 'the operator’s folder is not there')
      t.equal(await made(execution, 'hooked'), undefined, 'the operator’s own settings are not a run’s')
      t.same((await readdir(operator)).sort(), ['.credentials.json', 'CLAUDE.md', 'settings.json'])
      t.same(renewals(), [])
    })

    await t.test('two workers at the moment of a refresh ask once, and both runs go on', async (t) => {
      const old = logins.issue()
      await write({ ...old, expiresAt: 1 }, { mcpOAuth: 'kept' })
      let release = (): void => undefined
      logins.hold(new Promise<void>((resolve) => (release = resolve)))
      // More than one worker has places for.
      const both = await Promise.all(Array.from({ length: PLACES + 1 }, () => begin([DONE])))
      await until(async () => (await Promise.all(both.map(isPrepared))).every(Boolean), 'all are being prepared')
      release()
      for (const { id } of both) succeed(t, await service.finished(id))
      t.same(renewals(), [200])
      t.not((await read()).refreshToken, old.refreshToken)
      t.match(JSON.parse(await readFile(file, 'utf8')), {
        mcpOAuth: 'kept',
        claudeAiOauth: { subscriptionType: 'max' },
      })
    })

    await t.test('a token that ends in a run: the next attempt goes on in the session with another', async (t) => {
      const before = renewals().length
      // Another than the worker has just renewed: that one it does not exchange on the word of a run for a minute.
      await write(logins.issue())
      const { accessToken } = await read()
      const { id } = await begin([bash('echo once >> ran; until test -e go; do sleep 0.1; done'), DONE])
      await until(async () => (await made({ id }, 'ran')) !== undefined, 'its tool works')
      logins.expire(accessToken)
      await writeFile(join(service.config.workspaceRoot, id, 'go'), '')
      const execution = await service.finished(id)
      succeed(t, execution)
      t.equal(execution.attempt, 2)
      const started = of(await service.events(id), 'execution.started').map(({ data }) => data.resumed)
      t.same(started, [undefined, true])
      t.equal(await made({ id }, 'ran'), 'once\n')
      t.same(renewals().slice(before), [200])
    })

    await t.test('a login that is renewed while a run goes on reaches that run', long, async (t) => {
      const { accessToken, refreshToken } = await read()
      const { id } = await begin([bash('touch began; until test -e go; do sleep 0.1; done'), DONE])
      await until(async () => (await made({ id }, 'began')) !== undefined, 'its tool works')
      await write({ accessToken, refreshToken, expiresAt: Date.now() + 60_000 })
      // One for each place of the workers, so that the run's own worker is among those that ask.
      for (const other of await Promise.all([begin([DONE]), begin([DONE]), begin([DONE])]))
        succeed(t, await service.finished(other.id))
      const renewed = (await read()).accessToken
      t.not(renewed, accessToken)
      const home = join(service.config.dataDir, 'sessions', id, 'home/.claude/.credentials.json')
      await until(async () => (await readFile(home, 'utf8')).includes(renewed), 'its file holds the new one')
      logins.expire(accessToken)
      await writeFile(join(service.config.workspaceRoot, id, 'go'), '')
      const execution = await service.finished(id)
      succeed(t, execution)
      t.equal(execution.attempt, 1)
    })

    await t.test('locked: a stand-in only, and a token that ends is exchanged beneath the run', long, async (t) => {
      const { accessToken, refreshToken, ...more } = logins.issue()
      await write({ accessToken, refreshToken, ...more })
      logins.expire(accessToken)
      const execution = await run([bash('cat ~/.claude/.credentials.json > held'), DONE], { sandbox: 'locked' })
      succeed(t, execution)
      t.equal(execution.attempt, 1)
      t.match(await made(execution, 'held'), /"placeholder"/)
      t.notMatch(
        await made(execution, 'held'),
        new RegExp(`${accessToken}|${refreshToken}|${(await read()).accessToken}`),
      )
    })

    await t.test('a server of tokens that cannot be reached is transient, and says nothing of the login', async (t) => {
      const ended = () => write({ ...logins.issue(), expiresAt: 1 })
      await ended()
      logins.failNext(503, 3)
      const { id } = await begin([DONE], { maxAttempts: 2 })
      const execution = await service.finished(id)
      succeed(t, execution)
      t.equal(execution.attempt, 1, 'the one that did not start is none')
      t.match(of(await service.events(id), 'execution.retrying'), [
        { data: { reason: 'CLAUDE_OVERLOADED', nextAttempt: 1, message: /did not renew it \(status 503/ } },
      ])
      await ended()
      logins.failNext(503, 3)
      let release = (): void => undefined
      logins.hold(new Promise<void>((resolve) => (release = resolve)))
      const cancelled = await begin([DONE])
      await until(
        async () => (await service.events(cancelled.id)).length > 0 && (await isPrepared(cancelled)),
        'it waits for its login',
      )
      await service.call('POST', `/executions/${cancelled.id}/cancel`, { body: { reason: 'no' } })
      release()
      t.match(await service.finished(cancelled.id), { status: 'cancelled', outcome: { code: 'CANCELLED' } })
      const [asked] = of(await service.events(cancelled.id), 'execution.cancel_requested')
      t.match(asked, { data: { reason: 'no' } }, 'and who asked for it is told')
      logins.recover()
      await write(logins.issue())
      if (!isLong) return
      const code = 'CLAUDE_OVERLOADED'
      for (const sandbox of ['workspace', 'locked']) {
        await ended()
        logins.failNext(503, 3)
        const message = /^The access token of the Claude login has expired, and http:\S+ did not renew it/
        t.match((await run([DONE], { maxAttempts: 1, sandbox })).outcome, { code, message }, `${sandbox}: none at all`)
        const login = logins.issue()
        await write(login)
        logins.failNext(503, 100)
        const begun = await begin([bash('touch began; until test -e go; do sleep 0.1; done'), DONE], { sandbox })
        await until(async () => (await made(begun, 'began')) !== undefined, 'its tool works')
        logins.expire(login.accessToken)
        await writeFile(join(service.config.workspaceRoot, begun.id, 'go'), '')
        t.match((await service.finished(begun.id)).outcome, { code, message }, `${sandbox}: its token ended`)
        logins.recover()
        succeed(t, await run([DONE], { sandbox }))
      }
    })

    await t.test('what a run leaves in its home and workspace is nobody’s configuration', async (t) => {
      const settings = JSON.stringify({
        ...planted,
        permissions: { allow: ['Bash'], defaultMode: 'bypassPermissions' },
      })
      const plant = [
        `for f in ~/.claude $CLAUDE_CONFIG_DIR .claude; do mkdir -p "$f" && echo '${settings}' > "$f/settings.json"; done`,
        'echo "touch $PWD/sourced" | tee ~/.bashrc ~/.profile ~/.bash_profile ~/.zshrc >/dev/null',
        'mkdir -p ~/.claude/agents ~/.claude/skills/x; echo x > ~/.claude/CLAUDE.md; echo {} > ~/.claude.json',
      ]
      const first = await run([bash(plant.join('; ')), DONE])
      succeed(t, first)
      const asked = await begin([bash('ls -A'), bash(`perl -e 'open F, ">allowed"'`), DONE], {
        allowedTools: [],
        session: { resume: first.id },
      })
      const second = await service.finished(asked.id)
      succeed(t, second)
      t.match(second.outcome, { permissionDenials: [{ tool: 'Bash' }] })
      for (const path of ['allowed', 'hooked', 'sourced']) t.equal(await made(first, path), undefined, path)
      t.ok(
        simulator.requests.at(-1)?.said?.some((text) => text.includes('.bash_profile')),
        'it knows the conversation',
      )
      const mode = of(await service.events(second.id), 'claude.message')
        .map(({ data }) => data.message)
        .find(({ subtype }) => subtype === 'init')
      t.match(mode, { permissionMode: 'acceptEdits' })
      const home = join(service.config.dataDir, 'sessions', first.id, 'home')
      const left = [...(await readdir(home)), ...(await readdir(join(home, '.claude')))]
      t.ok(left.includes('projects'))
      t.notMatch(left.join(), /bashrc|settings\.json|CLAUDE\.md|agents|skills/)
    })

    await t.test(
      'CLAUDE.md is a text: of the operator, and of the workspace unless it is not wanted',
      long,
      async (t) => {
        const systemOf = async (workspace: string, more = {}) => {
          succeed(t, await run([DONE], { workspace, ...more }))
          return simulator.requests.at(-1)?.system?.join('\n') ?? ''
        }
        const folder = join(service.config.workspaceRoot, 'project')
        await mkdir(join(folder, '.claude'), { recursive: true })
        await writeFile(join(folder, 'CLAUDE.md'), 'words of the project')
        await writeFile(join(folder, '.claude/settings.json'), JSON.stringify(planted))
        const both = await systemOf('project', { appendSystemPrompt: 'words of the caller' })
        for (const who of ['operator', 'project', 'caller']) t.match(both, `words of the ${who}`)
        const without = await systemOf('project', { projectInstructions: false })
        t.match(without, OPERATOR_WORDS)
        t.notMatch(without, 'words of the project')
        t.notOk((await readdir(folder)).includes('hooked'))
      },
    )

    await t.test('a conversation that began in the operator’s own folder goes on', long, async (t) => {
      const first = await run([{ text: 'remember me' }])
      succeed(t, first)
      const home = join(service.config.dataDir, 'sessions', first.id, 'home/.claude')
      // So releases before this one left it.
      await rename(join(home, 'projects'), join(operator, 'projects'))
      const second = await run([DONE], { session: { resume: first.id } })
      succeed(t, second)
      t.equal(second.sessionId, first.sessionId)
      t.ok(simulator.requests.at(-1)?.said?.some((text) => text.includes('remember me')))
      t.ok((await readdir(join(home, 'projects'))).length > 0)
    })

    await t.test('a renewal that is refused fails runs by name, and the next login is taken up', long, async (t) => {
      const login = await read()
      logins.revoke(login.refreshToken)
      await write({ ...login, expiresAt: 1 })
      const content = await readFile(file, 'utf8')
      t.match((await run([DONE])).outcome, { code: 'CLAUDE_NOT_AUTHENTICATED', message: /Log in again/ })
      t.match((await run([DONE], { sandbox: 'locked' })).outcome, { code: 'CLAUDE_NOT_AUTHENTICATED' })
      t.equal(await readFile(file, 'utf8'), content, 'the file is as it was')
      await write(logins.issue())
      succeed(t, await run([DONE]))
    })
  })

void t.test(
  'a run holds no refresh token, also where the operator has opened their folder, and nothing of the run before it',
  { timeout: 600_000 },
  async (t) => {
    const operator = await mkdtemp(join(tmpdir(), 'cce-operator-'))
    t.teardown(() => rm(operator, { recursive: true, force: true }))
    const service = await openTestService(t, { workers: 0, env: { CC_EXECUTOR_SIMULATOR_URL: '' } })
    const { simulator } = service
    const login = simulator.logins.issue()
    await writeFile(join(operator, '.credentials.json'), JSON.stringify({ claudeAiOauth: login }))
    await writeFile(join(operator, 'settings.json'), '{}')
    await service.openWorker({
      CLAUDE_CONFIG_DIR: operator,
      ANTHROPIC_BASE_URL: simulator.url,
      CC_EXECUTOR_LOGIN_TOKEN_URL: `${simulator.url}/v1/oauth/token`,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      HTTPS_PROXY: 'http://127.0.0.1:9',
      NO_PROXY: '127.0.0.1',
      CC_EXECUTOR_SANDBOX_READ: operator,
    })
    const look = `ls ${operator}; ls -A ~; cat ${operator}/.credentials.json ~/.claude/.credentials.json`
    const run = async (more: Record<string, unknown> = {}): Promise<string> => {
      const prompt = scripted(bash(`(${look}) > held; echo planted > ~/.bashrc`), DONE)
      const execution = await service.finished((await service.submit({ prompt, allowedTools: ['Bash'], ...more })).id)
      t.match(execution, { status: 'succeeded' }, JSON.stringify(execution.outcome))
      return readFile(join(service.config.workspaceRoot, 'both', 'held'), 'utf8')
    }
    const held = await run({ workspace: 'both' })
    t.match(held, 'settings.json', 'what is opened is there')
    t.match(held, login.accessToken)
    t.notMatch(held, login.refreshToken)
    const { executions } = (await service.call('GET', '/executions')).body
    t.notMatch(await run({ workspace: 'both', session: { resume: executions[0].id } }), '.bashrc')
  },
)

void t.test('starts that failed count, also after one that did not', { ...long, timeout: 600_000 }, async (t) => {
  const operator = await mkdtemp(join(tmpdir(), 'cce-operator-'))
  t.teardown(() => rm(operator, { recursive: true, force: true }))
  const env = { CC_EXECUTOR_SIMULATOR_URL: '', CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI }
  const service = await openTestService(t, { workers: 0, env })
  const { url, logins } = service.simulator
  await writeFile(
    join(operator, '.credentials.json'),
    JSON.stringify({ claudeAiOauth: { scopes: ['user:inference'], ...logins.issue(), expiresAt: 1 } }),
  )
  logins.failNext(503, 3)
  await service.openWorker({
    ...env,
    CLAUDE_CONFIG_DIR: operator,
    ANTHROPIC_BASE_URL: url,
    CC_EXECUTOR_LOGIN_TOKEN_URL: `${url}/v1/oauth/token`,
  })
  const overloaded = {
    type: 'result',
    subtype: 'success',
    is_error: true,
    result: 'API Error: Repeated 529 Overloaded errors.',
    api_error_status: null,
  }
  const { id } = await service.submit({ prompt: JSON.stringify([{ line: overloaded }]), maxAttempts: 2 })
  t.match(await service.finished(id), { status: 'failed', attempt: 1, outcome: { code: 'CLAUDE_OVERLOADED' } })
  t.equal((await service.events(id)).filter(({ type }) => type === 'execution.retrying').length, 1)
})
