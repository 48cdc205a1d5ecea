// What decides the service lies where no run could write it, or put another in its place.
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { listLoginFiles } from '../../src/claude/install/credentials.js'
import { listHookPrograms } from '../../src/hooks/hook-programs.js'
import { readHooks } from '../../src/hooks/hooks-file.js'
import { checkHooks } from '../../src/main/doctor/check-hooks.js'
import { checkOpenings } from '../../src/main/doctor/check-folders.js'
import { openDataFolder } from '../../src/main/lifecycle/open-data-folder.js'
import { openWorker } from '../../src/main/worker.js'
import { readConfig } from '../../src/platform/config.js'
import { describeRunWritable } from '../../src/platform/run-writable.js'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-writable-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
for (const name of ['open/sub', 'safe', 'home/.claude', 'elsewhere']) await mkdir(at(name), { recursive: true })
await writeFile(at('open/secret'), 'name=secret-0123456789abcdef\n')
await writeFile(at('home/.claude/.credentials.json'), JSON.stringify({ claudeAiOauth: { accessToken: 'a' } }))
// A link that could be replaced, one that leads there, and a folder that could be.
await symlink(at('safe/hooks.json'), at('open/link.json'))
await symlink(at('open/sub/hooks.json'), at('safe/led.json'))
await symlink(at('open/back'), at('safe/round'))
await symlink(at('safe'), at('open/back'))
await symlink(at('open'), at('alias'))
const OPEN = { CC_EXECUTOR_SANDBOX_WRITE: at('open') }
const configOf = (env: NodeJS.ProcessEnv) => readConfig({ HOME: at('home'), LOG_LEVEL: 'silent', ...env })

void t.test(
  'a file that is in an opening, or led to through one, is refused by the names of both settings',
  async (t) => {
    for (const [setting, path, more = {}] of [
      ['CC_EXECUTOR_HOOKS', at('open/hooks.json')],
      ['CC_EXECUTOR_HOOKS', at('open/sub/deep/hooks.json')],
      ['CC_EXECUTOR_HOOKS', at('open/link.json')],
      ['CC_EXECUTOR_HOOKS', at('safe/led.json')],
      ['CC_EXECUTOR_HOOKS', at('safe/round/hooks.json')],
      ['CC_EXECUTOR_HOOKS', at('open/hooks.json'), { CC_EXECUTOR_SANDBOX_WRITE: at('alias') }],
      ['CC_EXECUTOR_TOKEN_FILE', at('open/token')],
      ['CC_EXECUTOR_TOKENS_FILE', at('open/secret')],
      ['ANTHROPIC_API_KEY_FILE', at('open/secret')],
      ['CC_EXECUTOR_REDIS_PASSWORD_FILE', at('open/password')],
      ['CC_EXECUTOR_REDIS_CA', at('open/ca.pem')],
    ] as const) {
      const config = configOf({ ...OPEN, [setting]: path, ...more })
      const message = new RegExp(`^${setting}: .*where runs may write: in .*\\(CC_EXECUTOR_SANDBOX_WRITE\\); move it`)
      await t.rejects(openDataFolder(config), { name: 'ConfigError', message }, `${setting} ${path}`)
      t.match(checkOpenings(config), { status: 'failed', message }, `${setting} ${path}`)
    }
    await t.rejects(
      openDataFolder(configOf({ CC_EXECUTOR_WORKSPACE_ROOT: at('open'), ANTHROPIC_API_KEY_FILE: at('open/secret') })),
      {
        message: /^CC_EXECUTOR_WORKSPACE_ROOT: .*\(ANTHROPIC_API_KEY_FILE\)/,
      },
    )
    for (const fine of [
      {},
      { CC_EXECUTOR_HOOKS: at('safe/hooks.json') },
      { CC_EXECUTOR_TOKEN_FILE: at('open-beside/token') },
      // What is hidden whole.
      { REDIS_URL: `unix://${at('open/redis.sock')}` },
      { CC_EXECUTOR_DATA_DIR: at('open/data') },
    ]) {
      await t.resolves(openDataFolder(configOf({ ...OPEN, ...fine })), JSON.stringify(fine))
      t.equal(checkOpenings(configOf({ ...OPEN, ...fine })), undefined)
    }
  },
)

void t.test('so are the operator’s login and the programs of the hooks, by a worker and by doctor', async (t) => {
  const ofLogin = { HOME: at('home'), CC_EXECUTOR_DATA_DIR: at('data'), CC_EXECUTOR_SANDBOX_WRITE: at('home') }
  t.match(checkOpenings(configOf(ofLogin)), { message: /^CLAUDE_CONFIG_DIR: .*\(CC_EXECUTOR_SANDBOX_WRITE\)/ })
  t.same(listLoginFiles({ configDir: '/x' }), [{ path: '/x/.credentials.json', setting: 'CLAUDE_CONFIG_DIR' }])
  const program = at('open/tool.sh')
  const claude = (command: string) => ({ claude: { Stop: [{ hooks: [{ type: 'command', command }] }] } })
  for (const [content, what] of [
    [{ 'pre-execute': { name: 'gate', command: [program, 'x'] } }, 'the program of the hook gate'],
    [{ 'post-task-list': `${program} --flag` }, 'the program of the hook post-task-list 1'],
    [{ 'on-failure': ['true', { command: ['/usr/bin/env', 'A=1', 'true', '-x'] }] }, undefined],
    [
      { 'on-failure': ['true', { command: ['env', 'A=1', 'node', '--flag', program] }] },
      'the program of the hook on-failure 2',
    ],
    [{ 'post-execute': `true && echo done >> ${at('open/log')}` }, undefined],
    [claude(`bash '${program}'`), "the program of Claude's hook Stop"],
    [claude('true'), undefined],
  ] as const) {
    await writeFile(at('safe/hooks.json'), JSON.stringify(content))
    const config = configOf({ ...OPEN, CC_EXECUTOR_HOOKS: at('safe/hooks.json'), CC_EXECUTOR_DATA_DIR: at('data') })
    const trouble = describeRunWritable(listHookPrograms(await readHooks(config)), config)
    if (what === undefined) {
      t.equal(trouble, undefined, JSON.stringify(content))
      continue
    }
    const message = `CC_EXECUTOR_HOOKS: ${what}, ${program} is where runs may write: in ${at('open')} (CC_EXECUTOR_SANDBOX_WRITE)`
    t.match(trouble, message)
    t.match(await checkHooks(config), { status: 'failed', message })
    await t.rejects(openWorker(config, 'redis://127.0.0.1:1'), { name: 'ConfigError', message: `${trouble}.` })
  }
  const rooted = configOf({ CC_EXECUTOR_ALLOWED_ROOTS: at('elsewhere') })
  t.match(
    describeRunWritable([{ path: at('elsewhere/x'), setting: 'CC_EXECUTOR_HOOKS' }], rooted),
    /\(CC_EXECUTOR_ALLOWED_ROOTS\)/,
  )
})
