// What a start prints: the lack of credentials before all else, and commands that work in this shell.
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Started } from '../../src/main/lifecycle/started.js'
import { describeStart } from '../../src/main/terminal/banner.js'
import { CLI_COMMANDS } from '../../src/cli/commands.js'
import { PROCESS_USAGE } from '../../src/main/terminal/usage.js'
import { COMMAND_NAMES, nameCalls } from '../../src/platform/own-command.js'
import { readConfig } from '../../src/platform/config.js'
import type { WorkerState } from '../../src/protocol/service-state.js'
import { CLI, ROOT, SCRIPTED_CLI } from '../support/paths.js'

const folder = await mkdtemp(join(tmpdir(), 'cce-banner-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

async function print(
  method: WorkerState['authentication']['method'],
  path = '',
  more: NodeJS.ProcessEnv = {},
  openFiles?: number,
  hasConsole = true,
) {
  const config = readConfig({ HOME: folder, CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, PATH: path, ...more })
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
  return describeStart(started, { openFiles, processes: undefined }, hasConsole)
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
  t.match(text, /^ {2}hooks +none \(\/.*hooks\.json does not exist\)$/m)
  t.match(text, /^ {2}sandbox +Available sandbox levels: workspace or locked\.$/m)
  t.ok(text.includes(`node ${CLI} help\n`), 'where the name is not on PATH the file is named')
  t.ok(text.includes(`node ${CLI} mcp --print-config`))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await symlink(join(ROOT, 'src/setup/cc-executor.mjs'), join(bin, 'cc-executor'))
  t.match(await print('api_key', bin), /^ {2}command +cc-executor help$/m)
})

void t.test('the page to look at comes first; where it is not built, the command that builds it', async (t) => {
  t.match(
    await print('api_key'),
    /^ {2}address +http:\/\/127\.0\.0\.1:1\n {2}console +http:\/\/127\.0\.0\.1:1\/console\n/m,
  )
  t.match(await print('api_key', '', {}, undefined, false), /^ {2}console +not built here; npm run build makes it$/m)
})

void t.test('a call in a message is the one that works for its reader', async (t) => {
  const text = 'See cc-executor doctor, or $(cc-executor token). Another cc-executor is here. npm start, npm run setup.'
  const checkout = nameCalls(text, { PATH: '' })
  t.equal(
    checkout,
    `See node ${CLI} doctor, or $(node ${CLI} token). Another cc-executor is here. npm start, npm run setup.`,
  )
  const name = async (bin: string): Promise<string> => {
    await mkdir(bin, { recursive: true })
    await symlink(join(ROOT, 'src/setup/cc-executor.mjs'), join(bin, 'cc-executor'))
    return nameCalls('cc-executor doctor', { PATH: bin })
  }
  t.equal(await name(join(folder, 'other/bin')), 'cc-executor doctor', 'linked')
  t.equal(await name(join(folder, 'node_modules/.bin')), 'npx cc-executor doctor', 'a PATH that only npm gives')
  t.equal(
    nameCalls('cc-executor doctor; npm start', { CC_EXECUTOR_PART: 'worker', PATH: '' }),
    'docker compose exec worker cc-executor doctor; docker compose up -d',
  )
  for (const command of [...Object.keys(CLI_COMMANDS), ...Object.keys(PROCESS_USAGE), 'help'])
    t.ok(COMMAND_NAMES.split('|').includes(command), command)
  t.equal(nameCalls('Usage: cc-executor run'), 'Usage: cc-executor run')
  const wrong = spawnSync(process.execPath, [CLI, 'nothing'], { env: { PATH: '' }, encoding: 'utf8' })
  t.equal(wrong.stderr.trim().split('\n').at(-1), `node ${CLI} help lists the commands.`)
})

void t.test('too few open files for the connections that are admitted are told', async (t) => {
  const settings = { CC_EXECUTOR_MAX_CONNECTIONS: '500', CC_EXECUTOR_CONCURRENCY: '4' }
  t.match(
    await print('api_key', '', settings, 400),
    /^ {2}open files {2}the limit of open files is 400: enough for about 80 connections, .*; ulimit -n 65536 before/m,
  )
  for (const enough of [1_000, undefined]) t.notMatch(await print('api_key', '', settings, enough), 'open files')
})
