// The real CLI takes what claudeCommand says, against the simulator: no account, no network.
import { once } from 'node:events'
import { readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { probeClaude } from '../../src/claude/install/find-claude.js'
import type { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { binary, runCli, script, skip } from '../support/real-cli.js'

t.jobs = 2

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
  const { outcome, observation } = await runCli(
    t,
    simulator,
    {
      prompt: '/compact @/etc/hostname --help $(id)',
      model: 'claude-sonnet-4-5',
      fallbackModel: 'claude-haiku-4-5',
      effort: 'low',
      systemPrompt: '-be brief',
      appendSystemPrompt: '--also this',
      maxTurns: 3,
      maxBudgetUsd: 2.5,
      allowedTools: ['Bash(git commit:*)', 'Read'],
      disallowedTools: ['WebSearch'],
      permissionMode: 'acceptEdits',
      agents: { reviewer: { description: 'd', prompt: 'p', tools: ['Read'] } },
      mcpServers: {
        web: { type: 'http', url: `http://127.0.0.1:${port}/x`, headers: { 'x-one': 'a $HOME {x}', 'x-two': 'plain' } },
      },
    },
    { env: { ANTHROPIC_API_KEY: 'sk-operator' } },
  )
  t.match(outcome, { status: 'succeeded', exitCode: 0, result: /simulated/ })
  t.match(observation, { model: 'claude-sonnet-4-5', permissionMode: 'acceptEdits', turns: 1 })
  t.match(outcome.result, '/compact @/etc/hostname --help $(id)')
  const withHeader = heard.filter((headers) => headers['x-one'] !== undefined)
  t.ok(withHeader.length > 0, 'the MCP server was asked')
  const expected = { 'x-one': 'a $HOME {x}', 'x-two': 'plain' }
  for (const headers of withHeader) t.match(headers, expected, 'they arrive as they were written')
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
  const first = await runCli(t, simulator, { prompt })
  t.equal(first.observation.denials.length, calls.length, 'all are refused at first')
  const settings = first.observation.denials.map(({ allowWith }) => allowWith)
  const allowedTools = settings.flatMap((setting) =>
    [...setting.matchAll(/"([A-Z]\w+\([^"]*\))"/g)].map(([, rule = '']) => rule),
  )
  t.ok(settings.includes('permissionMode: "acceptEdits"'))
  const second = await runCli(
    t,
    simulator,
    { prompt, allowedTools, permissionMode: 'acceptEdits' },
    { place: first.place },
  )
  t.same(second.observation.denials, [], settings.join('\n'))
  t.equal(await readFile(join(outside, 'new.txt'), 'utf8'), 'x')
})

void t.test('failures are told as what they are', { skip }, async (t) => {
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  const failing = async (step: object, request: Partial<ExecuteRequest> = {}) =>
    (
      await runCli(
        t,
        simulator,
        { prompt: script([step, { text: 'x' }]), ...request },
        { env: { CLAUDE_CODE_MAX_RETRIES: '0' } },
      )
    ).outcome
  t.match(await failing({ status: 401, times: 'always' }), {
    status: 'failed',
    code: 'CLAUDE_NOT_AUTHENTICATED',
    apiStatus: 401,
    exitCode: 1,
  })
  t.match(await failing({ status: 429, times: 'always' }), { code: 'CLAUDE_RATE_LIMITED' })
  t.match(await failing({ status: 529, times: 'always' }), { code: 'CLAUDE_OVERLOADED' })
  t.match(await failing({ tool: 'Bash', input: { command: 'echo 1', description: 'x' } }, { maxTurns: 1 }), {
    code: 'MAX_TURNS',
  })
  t.match(
    await failing(
      { text: 'x' },
      {
        command: `claude -p 'say hello' --output-format stream-json --include-partial-messages --allowedTools Bash`,
        prompt: undefined,
      },
    ),
    { status: 'succeeded' },
  )
})

void t.test('the version is asked for without touching the home', { skip }, async (t) => {
  const home = t.testdir({})
  await writeFile(join(home, 'before'), '')
  t.match(await probeClaude(binary ?? '', { ...process.env, HOME: home }), { version: /^\d+\.\d+\.\d+$/ })
  t.same(await readdir(home), ['before'])
})
