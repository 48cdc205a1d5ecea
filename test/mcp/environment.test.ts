// Nothing of a Claude Code that starts our MCP server reaches the runs: with the real CLI outside and inside.
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { openSimulator } from '../../src/simulator/simulator.js'
import { scripted } from '../support/environment.js'
import { CLI } from '../support/paths.js'
import { openMcpFolder } from './harness.js'
import { binary, skip } from '../support/real-cli.js'

/** Variables whose values only the outer session has; some versions hand on fewer of them. */
const OF_A_SESSION = [
  'CLAUDE_CODE_SESSION_ID',
  'CLAUDE_CODE_MESSAGING_SOCKET',
  'CLAUDE_CODE_MESSAGING_TOKEN',
  'CLAUDE_CODE_CHILD_NOTES_DIR',
  'CLAUDE_PID',
  'CLAUDE_CODE_TMPDIR',
]

const parse = (env: string): Map<string, string> =>
  new Map(
    env
      .split(/[\n\0]/)
      .flatMap((line) =>
        line.includes('=') ? [[line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]] : [],
      ),
  )

void t.test('a run that Claude Code asked for by our MCP server has nothing of that session', { skip }, async (t) => {
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  // Not --simulate, which keeps all of Claude's variables away from runs: as with a gateway and a key.
  const mcp = await openMcpFolder(t, { ANTHROPIC_BASE_URL: simulator.url, ANTHROPIC_API_KEY: 'a-key-of-the-gateway' })
  const home = join(mcp.folder, 'home')
  const temporary = join(mcp.folder, 'outer-tmp')
  for (const folder of [home, temporary]) await mkdir(folder, { recursive: true })
  // Written down by the servers themselves what they are given: the command is the one that people configure.
  const server = {
    command: 'sh',
    args: ['-c', `env > ${join(home, 'server.env')}; exec "$0" "$@"`, process.execPath, CLI, 'mcp'],
    env: mcp.env,
  }
  const file = join(home, 'mcp.json')
  await writeFile(file, JSON.stringify({ mcpServers: { 'cc-executor': server } }))

  const look = { tool: 'Bash', input: { command: 'env', description: 'the environment' } }
  // Filled in by the inner run's model alone.
  const inner = scripted(look, { text: '${lastToolResult}' }).replace('${lastToolResult}', '\\u0024{lastToolResult}')
  const prompt = scripted(
    { tool: 'WaitForMcpServers', input: {} },
    { turn: true },
    { tool: 'mcp__cc-executor__execute', input: { prompt: inner, allowedTools: ['Bash'], waitSeconds: 45 } },
    { turn: true },
    look,
    { text: 'done' },
  )
  const env = {
    PATH: mcp.env['PATH'] ?? process.env['PATH'],
    HOME: home,
    ANTHROPIC_BASE_URL: simulator.url,
    ANTHROPIC_API_KEY: 'simulated',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_TMPDIR: temporary,
    CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS: 'an-outermost-session',
  }
  const outer = promisify(execFile)(
    binary ?? '',
    [
      '-p',
      prompt,
      '--mcp-config',
      file,
      '--strict-mcp-config',
      '--allowedTools',
      'mcp__cc-executor__execute',
      'Bash',
      '--output-format',
      'stream-json',
      '--verbose',
    ],
    { cwd: home, env, timeout: 600_000, maxBuffer: 1 << 26 },
  )
  outer.child.stdin?.end()
  const results = (await outer).stdout
    .split('\n')
    .filter(Boolean)
    .map((line): { type: string; message?: { content: unknown } } => JSON.parse(line))
    .flatMap(({ type, message }) => (type === 'user' && Array.isArray(message?.content) ? message.content : []))
    .map(({ content }: { content: unknown }) => (typeof content === 'string' ? content : JSON.stringify(content)))
  const surrounding = parse(results.at(-1) ?? '')
  const answer = results.find((text) => text.includes('outcome')) ?? ''
  const report: { outcome: { result: string } } = JSON.parse(
    answer.startsWith('[') ? (JSON.parse(answer) as [{ text: string }])[0].text : answer,
  )
  const seen = parse(report.outcome.result)
  t.ok(seen.has('CLAUDE_CODE_SESSION_ID'), 'it is the environment of a run')
  t.ok(surrounding.has('CLAUDE_CODE_SESSION_ID'), 'and that of the session around it')

  const given = parse(await readFile(join(home, 'server.env'), 'utf8'))
  const foreign = [surrounding, given].flatMap((outside) => OF_A_SESSION.flatMap((name) => outside.get(name) ?? []))
  for (const [name, value] of seen)
    t.notOk(
      foreign.some((mark) => mark.length > 2 && value.includes(mark)),
      `${name}=${value}`,
    )
  t.notOk(seen.has('CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS'))
  t.notOk(seen.has('CLAUDE_PROJECT_DIR'))
  const service = parse(await readFile(`/proc/${(await mcp.serving())?.pid}/environ`, 'utf8'))
  t.same(
    [...service.keys()].filter((name) => /^(?:CLAUDE|AI_AGENT)/.test(name)),
    ['CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC'],
    'of the service only configuration',
  )
})
