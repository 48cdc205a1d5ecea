// The CLIs that wait: when one is started, what has it thrown away, and that nothing of it is left then.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { behaviourOf } from '../../src/claude/behaviour.js'
import { claudeCommand } from '../../src/claude/command/claude-command.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { findCredentials } from '../../src/claude/install/credentials.js'
import { CredentialPool } from '../../src/executions/claim/credential-pool.js'
import type { RunServices } from '../../src/executions/claim/run-services.js'
import { sandboxLevelsOf } from '../../src/executions/claim/sandbox-levels.js'
import { NO_STANDBY } from '../../src/executions/claim/standby.js'
import { StartGate } from '../../src/executions/claim/start-gate.js'
import { isSame, mayBeHandedOver } from '../../src/executions/run/take-standby.js'
import { chooseTerms, whyNone } from '../../src/executions/standby/plan-standby.js'
import { toStandbyMarker } from '../../src/executions/standby/start-standby.js'
import { StandbyPool, type StandbyOptions } from '../../src/executions/standby/standby-pool.js'
import { removeUnneeded } from '../../src/executions/sweep/sweep-folders.js'
import { readStandbyNote } from '../../src/executions/workspaces/standby-folders.js'
import { hasFolders } from '../../src/executions/workspaces/prepare-workspace.js'
import { sweepProcesses } from '../../src/main/lifecycle/sweep-processes.js'
import { readHooks } from '../../src/hooks/hooks-file.js'
import { readConfig } from '../../src/platform/config.js'
import { createLogger } from '../../src/platform/logger.js'
import { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { testEnvironment } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { listMentioning } from '../support/processes.js'
import { until } from '../support/deadlines.js'

const GIB = 1024 ** 3
const simulator = await openSimulator()
t.teardown(() => simulator.close())
const containment = await chooseContainment({ policy: 'auto', extraPath: [] })

/** What a pool needs of a worker; there is no Redis, as one that waits asks it nothing. */
async function openServices(t: Test, env: NodeJS.ProcessEnv = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'cce-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const config = readConfig({
    ...testEnvironment(directory),
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_SIMULATOR_URL: simulator.url,
    ...env,
  })
  const logger = createLogger(config.logLevel, 'worker')
  const known = {
    config,
    logger,
    containment,
    workerId: 'worker',
    deploymentId: 'deployment',
    claude: { binary: SCRIPTED_CLI, version: '2.1.197', behaviour: behaviourOf('2.1.197') },
    credentials: new CredentialPool({
      config,
      sandboxesOf: (method) => sandboxLevelsOf(containment, config, method),
      onSecrets: () => undefined,
    }),
    hooks: await readHooks(config),
    gitIdentity: async () => ({}),
    startGate: new StartGate(2),
    standby: NO_STANDBY,
  }
  // Safe: what it lacks is Redis, and what stands on it.
  return { directory, services: known as unknown as { -readonly [Key in keyof RunServices]: RunServices[Key] } }
}

async function openPool(t: Test, options: Partial<StandbyOptions> & { readonly env?: NodeJS.ProcessEnv } = {}) {
  const { env, ...more } = options
  const { directory, services } = await openServices(t, env)
  const pool = new StandbyPool({ services, size: 1, mayStart: () => true, availableMemory: () => 8 * GIB, ...more })
  t.teardown(() => pool.close())
  const ready = async (count = 1): Promise<void> => {
    await pool.check()
    await until(() => pool.state().ready === count, `${count} stand by`)
  }
  const take = () => {
    const terms = chooseTerms(services)
    const taken = terms && pool.take(terms)
    if (!taken) throw new Error('none was there')
    return taken
  }
  const isGone = async (id: string): Promise<boolean> =>
    !(await hasFolders(id, services.config)) && listMentioning(id).length === 0
  return { pool, services, directory, ready, take, isGone }
}

void t.test('one stands by in folders of its own, is taken, given back, and assigned', async (t) => {
  const { pool, services, ready, take, isGone } = await openPool(t)
  await ready()
  const taken = take()
  t.same(pool.state(), { ready: 0, wanted: 1 })
  t.ok(pool.holds(taken.id))
  t.same(await readStandbyNote(taken.id, services.config), { workerId: 'worker' })
  t.equal(existsSync(join(services.config.workspaceRoot, taken.id)), true)
  taken.giveBack()
  t.equal(pool.state().ready, 1, 'it waits again')
  const again = take()
  t.equal(again.id, taken.id)
  await again.assign('5b0f8d6e-0000-4000-8000-000000000000')
  t.match(await readStandbyNote(again.id, services.config), { executionId: '5b0f8d6e-0000-4000-8000-000000000000' })
  t.ok(pool.holds(again.id), 'until its claim is over no sweep touches it')
  await again.close()
  t.equal(await hasFolders(again.id, services.config), true, 'the folders are the execution’s')
  t.same(listMentioning(again.id), [])
  t.notOk(pool.holds(again.id))
  await until(() => pool.state().ready === 1, 'the next one stands by')
  const next = take()
  t.not(next.id, again.id)
  next.giveBack()
  await pool.close()
  t.ok(await isGone(next.id), 'nothing is left of one that was not used')
})

const CHANGES: Record<string, (options: { services: { claude: RunServices['claude'] }; memory: number[] }) => void> = {
  'the CLI was updated': ({ services }) => {
    if (services.claude) services.claude = { ...services.claude, version: '2.1.332' }
  },
  'there is no CLI any more': ({ services }) => (services.claude = undefined),
  'memory is short': ({ memory }) => memory.splice(0, 1, GIB / 2),
}
for (const [name, change] of Object.entries(CHANGES))
  void t.test(`it is thrown away: ${name}`, async (t) => {
    const memory = [8 * GIB]
    const { pool, services, ready, take, isGone } = await openPool(t, { availableMemory: () => memory[0] ?? 0 })
    await ready()
    const { id, giveBack } = take()
    giveBack()
    await pool.check()
    t.ok(pool.holds(id), 'as long as nothing has changed it waits')
    change({ services, memory })
    await pool.check()
    await until(async () => !pool.holds(id) && (await isGone(id)), 'nothing is left of it')
  })

void t.test('it is thrown away when other credentials count', async (t) => {
  const { pool, services, ready, take, isGone } = await openPool(t)
  await ready()
  const { id, giveBack } = take()
  giveBack()
  services.credentials = new CredentialPool({
    config: services.config,
    sandboxesOf: () => ['host'],
    onSecrets: () => undefined,
  })
  await pool.check()
  await until(() => isGone(id), 'nothing is left of it')
})

void t.test('it is thrown away when the operator’s own instructions change', async (t) => {
  const folder = t.testdir({ 'CLAUDE.md': 'Be brief.' })
  const { pool, services, ready, take, isGone } = await openPool(t)
  await ready()
  const { id, giveBack } = take()
  giveBack()
  services.config = { ...services.config, environment: { ...services.config.environment, CLAUDE_CONFIG_DIR: folder } }
  await pool.check()
  if (!t.equal(pool.state().ready, 0, 'it does not wait any longer')) return
  await until(() => isGone(id), 'nothing is left of it')
})

void t.test('it is thrown away when it is too old, and when it has died', async (t) => {
  const old = await openPool(t, { maxAgeMs: 0 })
  await old.ready()
  const { id, giveBack } = old.take()
  giveBack()
  await until(() => old.isGone(id), 'the old one is gone')

  const died = await openPool(t)
  await died.ready()
  const dead = died.take()
  process.kill(dead.child.pid, 'SIGKILL')
  await dead.child.exited
  t.notOk(dead.isWaiting())
  dead.giveBack()
  await until(() => died.isGone(dead.id), 'the dead one is gone')
  await until(() => died.pool.state().ready === 1, 'another one stands by')
})

void t.test(
  'none is started while a run starts, on a paused worker, with little memory, or as it closes',
  async (t) => {
    const { pool, services } = await openPool(t)
    await services.startGate.enter()
    await pool.check()
    t.same(pool.state(), { ready: 0, wanted: 1 })
    const closed = pool.close()
    services.startGate.leave()
    await closed
    t.same(pool.state(), { ready: 0, wanted: 1 })
    await services.startGate.enter()
    await services.startGate.enter()
    services.startGate.leave()
    services.startGate.leave()

    for (const options of [{ mayStart: () => false }, { availableMemory: () => GIB }, { size: 0 }]) {
      const { pool: other, directory } = await openPool(t, options)
      await other.check()
      await other.close()
      t.equal(existsSync(join(directory, 'data/sessions')), false)
    }
  },
)

void t.test('who waits in no hurry passes the gate behind all others', async (t) => {
  const gate = new StartGate(1)
  const order: string[] = []
  await gate.enter()
  const last = gate.enterLast().then(() => order.push('last'))
  const first = gate.enter().then(() => order.push('first'))
  gate.leave()
  await first
  t.same(order, ['first'])
  gate.leave()
  await last
  t.same(order, ['first', 'last'])
})

void t.test('the sweeps leave what stands by to its worker, and take what is left of one that died', async (t) => {
  const { pool, services, ready, take } = await openPool(t)
  await ready()
  const { id, giveBack } = take()
  giveBack()
  const marker = toStandbyMarker(services, id)
  let announced = ['worker']
  const seenBy = (workerId: string): RunServices => ({
    ...services,
    workerId,
    standby: workerId === 'worker' ? pool : NO_STANDBY,
    live: new Map(),
    // Safe: what the sweeps ask for of one that no record knows.
    store: { needsFolders: async () => false, get: async () => undefined } as unknown as RunServices['store'],
    workers: { list: async () => announced.map((one) => ({ id: one })) } as unknown as RunServices['workers'],
  })
  for (const workerId of ['worker', 'another']) {
    await removeUnneeded(seenBy(workerId), id)
    t.equal(await hasFolders(id, services.config), true, `its folders are there after the sweep of ${workerId}`)
    t.equal(await sweepProcesses(seenBy(workerId)), 0)
  }
  const left = take()
  t.equal(left.id, id)
  t.match(marker, /^deployment\+standby\/worker\//)
  announced = []
  t.ok((await sweepProcesses(seenBy('another'))) > 0, 'its processes go with their worker')
  await removeUnneeded(seenBy('another'), id)
  t.equal(await hasFolders(id, services.config), false, 'and so do its folders')
  await left.close()
})

void t.test('what makes a run start by itself', async (t) => {
  const id = '5b0f8d6e-0000-4000-8000-000000000000'
  const record = { kind: 'run', attempt: 0, home: id, id, workspace: id } as const
  const fresh = { ...record, source: undefined, request: { prompt: 'x' } }
  t.equal(mayBeHandedOver(fresh), true)
  for (const other of [
    { kind: 'task' },
    { attempt: 1 },
    { home: 'other' },
    { workspace: 'named' },
    { source: { sessionId: 's', isForked: false } },
    { request: { prompt: 'x', files: [{ path: 'a', content: '' }] } },
    { request: { prompt: 'x', network: { hosts: [] } } },
    { request: { prompt: 'x', repository: { url: 'https://example.org/a' } } },
    { request: { prompt: 'x', worktree: { ref: 'main' } } },
  ])
    t.equal(mayBeHandedOver({ ...fresh, ...other } as typeof fresh), false, JSON.stringify(other))

  const commandOf = (request: Record<string, unknown>) =>
    claudeCommand(toRunRequest(ExecuteRequest.parse({ prompt: 'x', ...request })), {
      binary: '/bin/claude',
      sessionId: id,
      workspace: '/ws',
      home: '/home',
      tmpDir: '/tmp',
      input: '/input',
      credentials: findCredentials({}, { simulated: true }),
      env: {},
      childEnv: [],
      defaultPermissionMode: 'acceptEdits',
      extraAllowedTools: [],
      trustWorkspaces: false,
      asRoot: false,
      knowsPromptSnapshot: true,
      answer: request['json'] === true ? { schema: {} } : undefined,
    })
  const usual = commandOf({})
  for (const same of [
    { prompt: 'another one' },
    { permissionMode: 'acceptEdits' },
    { timeoutSeconds: 30, idleTimeoutSeconds: 5, backgroundTimeoutSeconds: 0, queueTimeoutSeconds: 5 },
    { priority: 'high', metadata: { a: 'b' }, literalPrompt: false, maxBudgetTokens: 5, maxAttempts: 2 },
    { verify: { files: ['a'] } },
  ])
    t.equal(isSame(commandOf(same), usual), true, JSON.stringify(same))
  for (const other of [
    { model: 'opus' },
    { fallbackModel: 'opus' },
    { effort: 'low' },
    { permissionMode: 'plan' },
    { onPermissionNeeded: 'ask' },
    { allowedTools: ['Bash'] },
    { disallowedTools: ['Bash'] },
    { maxTurns: 3 },
    { maxBudgetUsd: 1 },
    { systemPrompt: 'x' },
    { appendSystemPrompt: 'x' },
    { agents: { a: { description: 'x', prompt: 'y' } } },
    { mcpServers: { a: { type: 'http', url: 'https://example.org' } } },
    { json: true },
    { partialText: false },
  ])
    t.equal(isSame(commandOf(other), usual), false, JSON.stringify(other))
})

void t.test('on some workers none stands by', async (t) => {
  const { services } = await openServices(t)
  t.equal(whyNone(services), undefined)
  const hook = {
    name: 'hook',
    argv: ['/bin/true'] as [string],
    timeoutMs: 1,
    required: true,
    cwd: 'folder' as const,
    env: {},
    passEnv: [],
  }
  const { hooks } = services
  t.match(whyNone({ ...services, hooks: { ...hooks, stages: { ...hooks.stages, 'pre-execute': [hook] } } }), /pre-/)
  const groups = [{ hooks: [{ type: 'command' }] }]
  t.match(whyNone({ ...services, hooks: { ...hooks, claude: { SessionStart: groups } } }), /SessionStart/)
  t.equal(whyNone({ ...services, hooks: { ...hooks, claude: { Stop: groups } } }), undefined)
  t.match(whyNone({ ...services, tracing: {} as RunServices['tracing'] }), /TRACEPARENT/)
  const { services: caching } = await openServices(t, { CC_EXECUTOR_SHARED_CACHES: 'npm' })
  t.match(whyNone(caching), /CC_EXECUTOR_SHARED_CACHES/)
})
