// What a start prints: the lack of credentials before all else, and commands that work in this shell.
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Started } from '../../src/main/lifecycle/started.js'
import { describeStart } from '../../src/main/terminal/banner.js'
import { readConfig } from '../../src/platform/config.js'
import type { WorkerState } from '../../src/protocol/service-state.js'
import { CLI, ROOT, SCRIPTED_CLI } from '../support/paths.js'

const folder = await mkdtemp(join(tmpdir(), 'cce-banner-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

async function print(method: WorkerState['authentication']['method'], path = '') {
  const config = readConfig({ HOME: folder, CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, PATH: path })
  const worker: WorkerState = {
    id: 'w',
    host: 'h',
    pid: 1,
    startedAt: new Date().toISOString(),
    concurrency: 1,
    running: 0,
    draining: false,
    credential: 'default',
    containment: { level: 'bubblewrap', strong: true, detail: 'strong', sandboxes: ['workspace', 'locked'] },
    claude: { found: true, tested: true, message: 'Claude' },
    authentication: { method, source: 'none', billed: false, message: 'None.' },
    permissionMode: 'acceptEdits',
  }
  const api = { url: 'http://127.0.0.1:1', tokenCreated: false }
  const started: Started = { config, api, worker, redis: 'embedded', close: () => Promise.resolve() }
  return describeStart(started)
}

void t.test('without credentials that is the first line, with the one command that works here', async (t) => {
  const text = await print('none')
  t.match(
    text,
    /^\nClaude has no credentials, so every execution fails\. Run:\n\n {2}\/.*scripted-cli\.mjs setup-token\n/,
  )
  t.ok(text.indexOf('setup-token') < text.indexOf('CC Executor is running'))
  t.notMatch(await print('api_key'), 'setup-token')
})

void t.test('hooks, MCP, sandbox and the command have their rows', async (t) => {
  const text = await print('api_key')
  t.match(text, /^ {2}hooks +none; \/.*hooks\.json would be read$/m)
  t.match(text, /^ {2}sandbox +A run may have the level workspace or locked\.$/m)
  t.ok(text.includes(`node ${CLI} help\n`), 'where the name is not on PATH the file is named')
  t.ok(text.includes(`node ${CLI} mcp --print-config`))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await symlink(join(ROOT, 'src/setup/cc-executor.mjs'), join(bin, 'cc-executor'))
  t.match(await print('api_key', bin), /^ {2}command +cc-executor help$/m)
})
