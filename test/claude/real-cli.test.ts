// The real CLI takes what claudeCommand says, against the simulator: no account, no network.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { classifyExit } from '../../src/claude/classify-exit.js'
import { claudeCommand } from '../../src/claude/claude-command.js'
import { findCredentials } from '../../src/claude/credentials.js'
import { findClaude, probeClaude } from '../../src/claude/find-claude.js'
import { createLineSplitter } from '../../src/claude/line-splitter.js'
import { toRunRequest } from '../../src/claude/run-request.js'
import { createTranslator } from '../../src/claude/translate-message.js'
import { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { openSimulator, type Simulator } from '../../src/simulator/simulator.js'

const binary = await findClaude({ explicit: process.env['CC_EXECUTOR_CLAUDE_BIN'], path: process.env['PATH'] ?? '', cacheBin: join(process.env['CC_EXECUTOR_CACHE_DIR'] ?? join(homedir(), '.cache/cc-executor'), 'bin/claude') })
const skip = binary === undefined ? 'there is no claude CLI here (CC_EXECUTOR_CLAUDE_BIN)' : false
t.jobs = 2

async function run(t: Test, simulator: Simulator, request: ExecuteRequest, { env = {}, workspace }: { env?: NodeJS.ProcessEnv; workspace?: string } = {}) {
  const root = await realpath(t.testdir({}))
  const [cwd, home, tmpDir] = [workspace ?? join(root, 'ws'), join(root, 'home'), join(root, 'tmp')]
  for (const folder of [cwd, home, tmpDir]) await mkdir(folder, { recursive: true })
  const asked = toRunRequest(ExecuteRequest.parse(request))
  const command = claudeCommand(asked, {
    binary: binary ?? '', sessionId: randomUUID(), workspace: cwd, home, tmpDir, credentials: findCredentials({}, { simulated: true }), env: { ...process.env, ...env }, childEnv: [],
    defaultPermissionMode: 'default', extraAllowedTools: [], trustWorkspaces: false, simulatorUrl: simulator.url, asRoot: process.getuid?.() === 0,
  })
  const child = execFile(command.file, command.args, { cwd, env: command.env, encoding: 'buffer', timeout: 60_000, killSignal: 'SIGKILL' })
  child.stdin?.end(command.firstLine)
  const splitter = createLineSplitter({ maxLineBytes: 1 << 24 })
  const translator = createTranslator(asked)
  let stderrTail = ''
  child.stderr?.on('data', (chunk: Buffer) => (stderrTail += chunk.toString()))
  child.stdout?.on('data', (chunk: Buffer) => {
    for (const line of splitter.push(chunk)) translator.translate(line)
  })
  await once(child, 'close')
  const outcome = classifyExit({ observation: translator.observation, exit: { exitCode: child.exitCode, signal: child.signalCode }, stderrTail, run: asked })
  return { outcome, observation: translator.observation, root, cwd, stderrTail }
}

const script = (steps: unknown[]) => `\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\``

void t.test('every flag is taken, and the prompt reaches the model as text', { skip }, async (t) => {
  const heard: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    heard.push(request.headers)
    response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const simulator = await openSimulator()
  t.teardown(async () => {
    server.close()
    await simulator.close()
  })
  const { outcome, observation } = await run(t, simulator, {
    prompt: '/compact @/etc/hostname --help $(id)', model: 'claude-sonnet-4-5', fallbackModel: 'claude-haiku-4-5', effort: 'low', systemPrompt: '-be brief', appendSystemPrompt: '--also this', maxTurns: 3,
    maxBudgetUsd: 2.5, allowedTools: ['Bash(git commit:*)', 'Read'], disallowedTools: ['WebSearch'], permissionMode: 'acceptEdits', agents: { reviewer: { description: 'd', prompt: 'p', tools: ['Read'] } },
    mcpServers: { web: { type: 'http', url: `http://127.0.0.1:${port}/x`, headers: { 'x-one': 'a $HOME {x}', 'x-two': 'plain' } } },
  }, { env: { ANTHROPIC_API_KEY: 'sk-operator' } })
  t.match(outcome, { status: 'succeeded', exitCode: 0, result: /simulated/ })
  t.match(observation, { model: 'claude-sonnet-4-5', permissionMode: 'acceptEdits', turns: 1 })
  t.match(outcome.result, '/compact @/etc/hostname --help $(id)')
  const withHeader = heard.filter((headers) => headers['x-one'] !== undefined)
  t.ok(withHeader.length > 0, 'the MCP server was asked')
  const expected = { 'x-one': 'a $HOME {x}', 'x-two': 'plain' }
  for (const headers of withHeader) t.match(headers, expected, "they arrive as they were written")
})

void t.test('the setting that a denial names lets the call through', { skip }, async (t) => {
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  const outside = await realpath(t.testdir({ 'secret.txt': 'x' }))
  const calls = [
    { tool: 'Bash', input: { command: `touch ${outside}/touched`, description: 'x' } },
    { tool: 'Bash', input: { command: `printf x > ${outside}/printed`, description: 'x' } },
    { tool: 'Bash', input: { command: 'npm config get registry | sort', description: 'x' } },
    { tool: 'Write', input: { file_path: '${cwd}/new.txt', content: 'x' } },
    { tool: 'Write', input: { file_path: `${outside}/new.txt`, content: 'x' } },
    { tool: 'Read', input: { file_path: `${outside}/secret.txt` } },
  ]
  const prompt = script([...calls, { text: 'done' }])
  const first = await run(t, simulator, { prompt })
  t.equal(first.observation.denials.length, calls.length, 'all are refused at first')
  const settings = first.observation.denials.map(({ allowWith }) => allowWith)
  const allowedTools = settings.flatMap((setting) => [...setting.matchAll(/"([A-Z]\w+\([^"]*\))"/g)].map(([, rule = '']) => rule))
  t.ok(settings.includes('permissionMode: "acceptEdits"'))
  const second = await run(t, simulator, { prompt, allowedTools, permissionMode: 'acceptEdits' }, { workspace: first.cwd })
  t.same(second.observation.denials, [], settings.join('\n'))
  t.equal(await readFile(join(outside, 'new.txt'), 'utf8'), 'x')
})

void t.test('failures are told as what they are', { skip }, async (t) => {
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  const failing = async (step: object, request: Partial<ExecuteRequest> = {}) => (await run(t, simulator, { prompt: script([step, { text: 'x' }]), ...request }, { env: { CLAUDE_CODE_MAX_RETRIES: '0' } })).outcome
  t.match(await failing({ status: 401, times: 'always' }), { status: 'failed', code: 'CLAUDE_NOT_AUTHENTICATED', apiStatus: 401, exitCode: 1 })
  t.match(await failing({ status: 429, times: 'always' }), { code: 'CLAUDE_RATE_LIMITED' })
  t.match(await failing({ status: 529, times: 'always' }), { code: 'CLAUDE_OVERLOADED' })
  t.match(await failing({ tool: 'Bash', input: { command: 'echo 1', description: 'x' } }, { maxTurns: 1 }), { code: 'MAX_TURNS' })
  t.match(await failing({ text: 'x' }, { command: `claude -p 'say hello' --output-format stream-json --include-partial-messages --allowedTools Bash`, prompt: undefined }), { status: 'succeeded' })
})

void t.test('the version is asked for without touching the home', { skip }, async (t) => {
  const home = t.testdir({})
  await writeFile(join(home, 'before'), '')
  t.match(await probeClaude(binary ?? '', { ...process.env, HOME: home }), { version: /^\d+\.\d+\.\d+$/ })
  t.same(await readdir(home), ['before'])
})
