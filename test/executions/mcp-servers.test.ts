// MCP servers of a request, with the real CLI: what is there is told, what is required is there before the prompt is
// sent.
import t from 'tap'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'

/** What never answers takes all of it; what answers does so within, also where the machine holds it up. */
const LIMIT_SECONDS = 30
const ALL = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
const service = await openTestService(t, { env: { CC_EXECUTOR_MCP_TIMEOUT_SECONDS: String(LIMIT_SECONDS) } })

/**
 * Answers `initialize` after so long; its one tool tells what it was given, and ends the server where it is asked to.
 */
const SERVER = `
  const [delayMs = '0', once] = process.argv.slice(1)
  const { existsSync, writeFileSync } = require('node:fs')
  if (once && existsSync(once)) process.exit(3)
  if (once) writeFileSync(once, '')
  const answer = (id, result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }))
  let rest = ''
  process.stdin.on('end', () => process.exit()).on('data', (chunk) => {
    const lines = (rest + chunk).split('\\n')
    rest = lines.pop()
    for (const line of lines) {
      const { id, method, params } = JSON.parse(line)
      if (method === 'initialize') setTimeout(() => answer(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }), Number(delayMs))
      else if (method === 'tools/list') answer(id, { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] })
      else if (method === 'tools/call' && params.arguments.end) process.exit(3)
      else if (method === 'tools/call') answer(id, { content: [{ type: 'text', text: 'heard ' + params.arguments.text }] })
      else if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } }))
    }
  })`
const node = (...args: string[]): object => ({ command: process.execPath, args: ['-e', SERVER, ...args] })
const SERVERS = {
  fine: node(),
  slow: node('3000'),
  missing: { command: '/nowhere/secret-program', args: ['--key=secret-argument'], env: { KEY: 'secret-value' } },
  exits: { command: 'sh', args: ['-c', 'echo secret-argument >&2; exit 3'] },
  mute: { command: 'sh', args: ['-c', 'cat > /dev/null'] },
} as const
type Name = keyof typeof SERVERS
const pick = (...names: Name[]): object => Object.fromEntries(names.map((name) => [name, SERVERS[name]]))
const echo = (name: Name, input: object): object => ({ tool: `mcp__${name}__echo`, input })

async function run(
  steps: object[],
  request: Record<string, unknown>,
): Promise<{ execution: Execution; events: Event[]; status: Array<Event<'mcp.status'>> }> {
  const { id } = await service.submit({ prompt: scripted(...steps), ...request })
  const execution = await service.finished(id)
  const events = await service.events(id)
  // Safe: filtered by the type.
  return { execution, events, status: events.filter(({ type }) => type === 'mcp.status') as Array<Event<'mcp.status'>> }
}

const checkOf = ({ outcome }: Execution): unknown =>
  outcome?.verification?.checks.find(({ name }) => name === 'mcp_servers')

// Most of the time they wait for what never answers.
t.jobs = 4

void t.test('each server is told once, connected or not, and what is there can be called', async (t) => {
  const names: Name[] = ['fine', 'slow', 'missing', 'exits', 'mute']
  const { execution, events, status } = await run(
    [echo('fine', { text: 'one' }), { turn: true }, echo('slow', { text: 'two' }), { text: '${lastToolResult}' }],
    // Of those that are not there none is required.
    { mcpServers: pick(...names), mcpRequired: ['fine', 'slow'], allowedTools: ['mcp__fine', 'mcp__slow'] },
  )
  t.match(execution, { status: 'succeeded', outcome: { result: 'heard two', verification: { status: 'failed' } } })
  // The CLI's own limit for the mute one is as long as the worker's: on a busy machine its word on it comes later.
  const others = status.map(({ data }) => data.servers.filter(({ name }) => name !== 'mute'))
  for (const again of others.slice(1)) t.same(again, others[0], 'of the others nothing more is told')
  t.ok(status.length <= 2, JSON.stringify(status.map(({ data }) => data)))
  t.match(status[0]?.data.servers, [
    { name: 'fine', status: 'connected', tools: ['echo'] },
    { name: 'slow', status: 'connected', tools: ['echo'] },
    { name: 'missing', status: 'failed', error: String },
    { name: 'exits', status: 'failed', error: String },
    { name: 'mute', status: /^(?:failed|pending)$/, error: /timed out|within/ },
  ])
  t.notMatch(JSON.stringify(status), /secret|nowhere|\bsh\b|config/, 'nothing of how they are started')
  t.match(checkOf(execution), {
    status: 'fail',
    detail: /^Not connected: missing: failed.*exits: failed.*mute: (?:failed|pending)/,
  })
  const before = events.findIndex(({ type }) => type === 'mcp.status')
  t.notOk(
    events.slice(0, before).some(({ type }) => type === 'claude.message'),
    'before the prompt',
  )
})

void t.test('what is required is there, or the prompt is not sent', async (t) => {
  const asked = () => service.simulator.requests.length
  const fine = await run([echo('fine', { text: 'one' }), { text: '${lastToolResult}' }], {
    mcpServers: pick('fine'),
    mcpRequired: true,
    allowedTools: ['mcp__fine'],
  })
  t.match(fine.execution, { status: 'succeeded', outcome: { result: 'heard one', verification: { status: 'passed' } } })
  t.match(checkOf(fine.execution), { status: 'pass', detail: 'All 1 were connected.' })
  const posts = () => service.simulator.requests.filter(({ prompt }) => prompt?.includes('never sent') === true).length
  t.ok(asked() > 0)
  const unavailable = [
    [['exits'], ['fine', 'exits']],
    [true, ['fine', 'missing']],
  ] as const
  for (const [mcpRequired, names] of unavailable.slice(0, ALL ? undefined : 1)) {
    const { execution, status } = await run([{ text: 'never sent' }], { mcpServers: pick(...names), mcpRequired })
    t.match(execution, {
      status: 'failed',
      outcome: { code: 'MCP_UNAVAILABLE', message: new RegExp(`${names[1]} \\(`) },
      usage: { costUsd: 0, outputTokens: 0 },
    })
    t.notMatch(execution.outcome?.message, /secret|nowhere/)
    t.equal(status.length, 1)
  }
  t.equal(posts(), 0)
  const tasks = await service.call('POST', '/execute', {
    body: { tasks: [{ prompt: scripted({ text: 'x' }), mcpServers: pick('missing'), mcpRequired: true }] },
    headers: { prefer: 'wait=60' },
  })
  t.match(tasks.body, { status: 'failed', outcome: { message: /MCP_UNAVAILABLE|not all connected/ } })
  t.match(
    (
      await service.call('POST', '/execute', {
        body: { prompt: 'x', mcpServers: pick('fine'), mcpRequired: ['other'] },
      })
    ).body,
    { status: 400, errors: [{ path: 'mcpRequired', message: /other/ }] },
  )
})

void t.test('a run without servers tells nothing of them, one that is cancelled while they connect ends', async (t) => {
  // With the scripted CLI in each story of hooks.test.ts.
  if (ALL) {
    const none = await run([{ text: 'done' }], {})
    t.same(none.status, [])
    t.equal(checkOf(none.execution), undefined)
  }
  const { id } = await service.submit({ prompt: scripted({ text: 'x' }), mcpServers: pick('mute') })
  await service.until(id, 'execution.started')
  await service.call('POST', `/executions/${id}/cancel`)
  t.match(await service.finished(id), { status: 'cancelled' })
})

void t.test('a server that is lost is told', async (t) => {
  const steps = [
    echo('fine', { text: 'one' }),
    { turn: true },
    echo('fine', { end: true }),
    { turn: true },
    echo('fine', { text: 'two' }),
    { turn: true },
    { tool: 'Bash', input: { command: 'echo x', description: 'x' } },
    { turn: true },
    { tool: 'Bash', input: { command: 'echo y', description: 'x' } },
    { text: 'done' },
  ]
  const { execution, status } = await run(steps, {
    mcpServers: { fine: node('0', 'started-once') },
    mcpRequired: true,
    allowedTools: ['mcp__fine'],
  })
  t.match(execution, { status: 'succeeded', outcome: { result: 'done' } })
  t.match(status[0]?.data.servers, [{ name: 'fine', status: 'connected' }])
  t.match(status.at(-1)?.data.servers, [{ name: 'fine', status: 'failed' }])
  t.match(checkOf(execution), { status: 'fail' })
})
