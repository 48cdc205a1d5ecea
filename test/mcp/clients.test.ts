// Clients of MCP as they are: their habits by the SDK's client in every run, the programs themselves from npm in
// test:all.
import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSimulator } from '../../src/simulator/simulator.js'
import { scripted } from '../support/environment.js'
import { CLI, SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { CLIENTS, installFromNpm, PROBES, type PinnedClient, type RemoteServer } from './clients/pinned-clients.js'
import { openStandInModel, type StandInModel, type Turn } from './clients/stand-in-model.js'
import { openMcpFolder } from './harness.js'
import { once } from '../support/deadlines.js'

const HANGING = scripted({ text: 'Well' }, { hangMs: 120_000 })
const CLIENT_MS = 150_000

void t.test(
  'the habits of clients: texts for values, null for absent, a parameter of their own, a cancel after the answer',
  async (t) => {
    const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
    const { token } = service
    const mcp = await openMcpFolder(t, { CC_EXECUTOR_URL: service.url(), CC_EXECUTOR_TOKEN: token })
    const { client, call, failures } = await mcp.connect({ args: [CLI, 'mcp'] })
    const habits = {
      waitSeconds: '0',
      partialText: 'false',
      maxTurns: '5',
      timeoutSeconds: '90',
      metadata: '{"by": "texts"}',
      allowedTools: '["Read"]',
      model: null,
      session: null,
      wait_for_previous: true,
    }
    const { structured, isError, text } = await call('execute', { prompt: '[{"hang":true}]', ...habits })
    t.notOk(isError, text)
    t.match(structured, { isFinished: false, metadata: { by: 'texts' } })
    // Of all requests so far: opencode sends one for each call that was answered.
    for (let requestId = 0; requestId < 10; requestId += 1)
      await client.notification({ method: 'notifications/cancelled', params: { requestId, reason: 'it was answered' } })
    const executionId: string = structured.id
    t.match(
      (await call('wait_for_execution', { executionId, waitSeconds: '0.2', wait_for_previous: false })).structured,
      { isFinished: false, status: /running|queued/ },
    )
    t.match((await call('get_execution', { executionId, resultOffset: null })).structured, { isFinished: false })
    t.match((await call('get_executor_status', { wait_for_previous: true })).structured, { simulated: true })

    const refused = await call('execute', { prompt: 'x', maxTurns: 'many', partialText: 'yes' })
    t.match(refused, { isError: true, structured: { code: 'INVALID_REQUEST' } })
    t.same(
      refused.structured.errors.map(({ path }: { path: string }) => path).sort(),
      ['maxTurns', 'partialText'],
      'what is not clear is refused by its name',
    )
    t.match(await call('execute', { prompt: 'x', wait_for_next: true }), {
      isError: true,
      structured: { code: 'INVALID_REQUEST', detail: /wait_for_next/ },
    })

    for (const body of [{ maxTurns: '5' }, { model: null }, { wait_for_previous: true }]) {
      const { status } = await fetch(`${service.url()}/execute`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ prompt: 'x', ...body }),
      })
      t.equal(status, 400, `REST stays strict: ${JSON.stringify(body)}`)
    }
    t.match((await call('cancel_execution', { executionId, waitSeconds: '45' })).structured, { status: 'cancelled' })
    t.same(failures, [])
  },
)

interface Used {
  readonly code: number | null
  readonly output: string
  /** The names of the client's variables that our server was given. */
  readonly handedOn: string[]
}

/** Runs a client once, with our server as its only one: one that it starts, or one that runs elsewhere. */
async function useClient(
  t: Test,
  client: PinnedClient,
  modules: string,
  modelUrl: string,
  prompt: string,
  remote?: RemoteServer,
): Promise<Used> {
  const mcp = await openMcpFolder(t)
  const home = join(mcp.folder, 'home')
  const work = join(home, 'work')
  await mkdir(work, { recursive: true })
  const command = join(mcp.folder, 'server')
  const handed = join(mcp.folder, 'handed-on')
  // The probes end here: they are to be seen, not obeyed.
  await writeFile(
    command,
    `#!/bin/sh\nenv > ${handed}\nunset ${Object.keys(PROBES).join(' ')}\nexec ${process.execPath} ${CLI} mcp --simulate\n`,
  )
  await chmod(command, 0o755)
  const env = Object.fromEntries(Object.entries(mcp.env).filter(([name]) => name.startsWith('CC_EXECUTOR_')))
  const server = remote ?? { command, env }
  const started = await client.prepare({ home, modules, modelUrl, server }, prompt)
  // Nothing of a client reaches beyond this machine.
  const outside = {
    HTTP_PROXY: 'http://127.0.0.1:9',
    HTTPS_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
  }
  const child = spawn(started.file, started.args, {
    cwd: work,
    env: {
      PATH: mcp.env['PATH'],
      HOME: home,
      LANG: 'C.UTF-8',
      TERM: 'xterm-256color',
      ...outside,
      ...PROBES,
      XDG_DATA_HOME: join(home, PROBES.XDG_DATA_HOME),
      ...started.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const timer = setTimeout(() => process.kill(-Number(child.pid), 'SIGKILL'), CLIENT_MS)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  const names = (await readFile(handed, 'utf8').catch(() => '')).split('\n').map((line) => line.split('=')[0] ?? '')
  return {
    code,
    output,
    handedOn: Object.keys(PROBES)
      .filter((name) => names.includes(name))
      .sort(),
  }
}

const idOf = (answer = ''): string => /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/.exec(answer)?.[0] ?? 'none'

/** A run to its end; one that goes on over an answered call, is looked at and cancelled. */
const conversation = (habits: Record<string, unknown>): Turn[] => [
  { tool: 'execute', input: { prompt: 'Say hello', waitSeconds: 40, ...habits } },
  { tool: 'execute', input: { prompt: HANGING, waitSeconds: 0 } },
  (answers) => ({ tool: 'get_execution', input: { executionId: idOf(answers[1]) } }),
  (answers) => ({ tool: 'cancel_execution', input: { executionId: idOf(answers[1]), reason: 'it is enough' } }),
  { text: 'All is done.' },
]

const skip =
  process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? false : 'only in npm run test:all: hundreds of megabytes from npm'
void t.test('each client, as npm has it', { skip }, async (t) => {
  async function withClient(t: Test, client: PinnedClient, use: (modules: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'cce-client-'))
    t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
    await use(await installFromNpm(folder, client.packages))
  }
  const service = await openTestService(t)
  const remote = { url: `${service.url()}/mcp`, token: service.token }

  async function converse(
    t: Test,
    client: PinnedClient,
    modules: string,
    habits: Record<string, unknown>,
    server?: RemoteServer,
  ): Promise<StandInModel> {
    const model = await openStandInModel(conversation(habits))
    t.teardown(() => model.close())
    const { code, output, handedOn } = await useClient(t, client, modules, model.url, 'Do it.', server)
    t.equal(code, 0, output.slice(-2_000))
    t.match(output, 'All is done.')
    t.same(handedOn, server ? [] : [...client.handsOn].sort(), 'what the README says it hands on')
    const [first, second, third, last] = model.answers()
    t.match(first, /"status":"succeeded"|Succeeded\./)
    t.match(second, /"isFinished":false|Still (?:running|queued)/)
    t.match(third, /"isFinished":false|Still (?:running|queued)/, 'the end of the call before it ended nothing')
    t.match(last, /"status":"cancelled"|Cancelled/)
    return model
  }
  /** With a server that it starts, and with one over HTTP. */
  async function talk(t: Test, client: PinnedClient, habits: Record<string, unknown> = {}): Promise<StandInModel> {
    let model: StandInModel | undefined
    await withClient(t, client, async (modules) => {
      model = await converse(t, client, modules, habits)
      await converse(t, client, modules, habits, remote)
    })
    if (!model) throw new Error('it was not used')
    return model
  }
  const offered = (model: StandInModel, tool: string) => model.offered().find(({ name }) => name.endsWith(tool))
  const waitOf = (model: StandInModel): unknown =>
    (offered(model, 'wait_for_execution')?.parameters as { properties?: Record<string, unknown> } | undefined)
      ?.properties?.['waitSeconds']

  await t.test('Codex CLI: the limit of a wait reaches its model in the words of the tool', async (t) => {
    const model = await talk(t, CLIENTS.codex, {
      maxTurns: '5',
      model: null,
      partialText: 'false',
      allowedTools: '["Read"]',
    })
    t.match(offered(model, 'execute'), { namespace: 'mcp__cc_executor', description: /at most 45/ })
    t.notMatch(waitOf(model), { maximum: 45 })
  })
  await t.test('Gemini CLI: a parameter of its own with each call', async (t) => {
    const model = await talk(t, CLIENTS.gemini, { wait_for_previous: true })
    t.equal(offered(model, 'get_executor_status')?.name, 'mcp_cc-executor_get_executor_status')
    t.match(offered(model, 'execute')?.parameters, { properties: { wait_for_previous: { type: 'boolean' } } })
  })
  await t.test('opencode: texts and null as the model wrote them', async (t) => {
    const model = await talk(t, CLIENTS.opencode, {
      maxTurns: '5',
      model: null,
      partialText: 'false',
      allowedTools: '["Read"]',
    })
    t.equal(offered(model, 'cancel_execution')?.name, 'cc-executor_cancel_execution')
    t.match(waitOf(model), { maximum: 45 })
  })
  await t.test('Claude Code', async (t) => {
    const simulator = await openSimulator()
    t.teardown(() => simulator.close())
    const tool = 'mcp__cc-executor__execute'
    const prompt = scripted(
      { tool: 'ToolSearch', input: { query: `select:${tool}`, max_results: 1 } },
      { turn: true },
      { tool, input: { prompt: 'Say hello', waitSeconds: '40', model: null } },
      { text: 'I was told: ${lastToolResult}' },
    )
    await withClient(t, CLIENTS.claude, async (modules) => {
      const { code, output, handedOn } = await useClient(t, CLIENTS.claude, modules, simulator.url, prompt)
      t.equal(code, 0, output.slice(-2_000))
      t.match(output, /I was told: .*\\"status\\":\\"succeeded\\"/)
      t.same(handedOn, [...CLIENTS.claude.handsOn].sort())
      const overHttp = await useClient(t, CLIENTS.claude, modules, simulator.url, prompt, remote)
      t.equal(overHttp.code, 0, overHttp.output.slice(-2_000))
      t.match(overHttp.output, /I was told: .*\\"status\\":\\"succeeded\\"/)
    })
  })
  await t.test('MCP Inspector: one request for each start', async (t) => {
    await withClient(t, CLIENTS.inspector, async (modules) => {
      const listed = await useClient(t, CLIENTS.inspector, modules, '', JSON.stringify(['--method', 'tools/list']))
      t.match(listed, { code: 0, output: /"name": "cancel_execution"/, handedOn: [] })
      const input = ['--tool-arg', 'prompt=Say hello', 'waitSeconds=40', 'partialText=false']
      const execute = JSON.stringify(['--method', 'tools/call', '--tool-name', 'execute', ...input])
      for (const server of [undefined, remote]) {
        const called = await useClient(t, CLIENTS.inspector, modules, '', execute, server)
        t.equal(called.code, 0, called.output.slice(-2_000))
        t.match(called.output, /"status": "succeeded"/)
      }
      const read = JSON.stringify(['--method', 'resources/list'])
      t.match(await useClient(t, CLIENTS.inspector, modules, '', read, remote), {
        code: 0,
        output: /"uri": "executor:\/\/executions\/[0-9a-f-]{36}"/,
      })
    })
  })
})
