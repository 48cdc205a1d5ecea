// The real Claude Code as a client of /mcp, added as the README says: the newer one speaks revision 2026-07-28, the
// older one 2025-11-25.
import { execFile } from 'node:child_process'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? false : 'only in npm run test:all'
void t.test('Claude Code, added as the README says, calls a tool and names a wrong token', { skip }, async (t) => {
  const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
  const tool = 'mcp__cc-executor__execute'
  const prompt = scripted(
    { tool: 'WaitForMcpServers', input: {} },
    { turn: true },
    { tool, input: { prompt: 'from outside', waitSeconds: 45, metadata: { by: 'claude' } } },
    { text: 'I was told: ${lastToolResult}' },
  )
  for (const { name, env } of listClaudeVersions()) {
    const home = join(service.directory, `home-${name}`)
    await mkdir(join(home, 'bin'), { recursive: true })
    const claude = env['CC_EXECUTOR_CLAUDE_BIN']
    if (claude !== undefined) await symlink(claude, join(home, 'bin', 'claude'))
    const outer = {
      PATH: `${join(home, 'bin')}:${process.env['PATH']}`,
      HOME: home,
      ANTHROPIC_BASE_URL: service.simulator.url,
      ANTHROPIC_API_KEY: 'simulated',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      CLAUDE_CODE_TMPDIR: home,
    }
    /** Its standard output; it must end well. */
    const run = async (...args: string[]): Promise<string> => {
      const ran = promisify(execFile)('claude', args, { cwd: home, env: outer, timeout: 240_000 })
      ran.child.stdin?.end()
      return (await ran).stdout
    }
    const add = (as: string, token: string) =>
      run('mcp', 'add', '--transport', 'http', as, `${service.url()}/mcp`, '--header', `Authorization: Bearer ${token}`)
    await add('cc-executor', service.token)
    const { result } = JSON.parse(await run('-p', prompt, '--allowedTools', tool, '--output-format', 'json'))
    t.match(JSON.parse(result.slice('I was told: '.length)), { status: 'succeeded', metadata: { by: 'claude' } }, name)
    await add('wrong', 'a-wrong-token-of-sixteen')
    const listed = await run('mcp', 'list')
    t.match(listed, /^cc-executor: .* Connected$/m, name)
    t.match(listed, /^wrong: .* Failed to connect/m, name)
  }
})
