// Which folders may be workspaces and what a run's own are made of, without a service: by place and not by name, and
// what was looked at is what is used.
import { execFile, spawn } from 'node:child_process'
import { existsSync, renameSync, symlinkSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { prepareWorkspace } from '../../src/executions/workspaces/prepare-workspace.js'
import { renewHome } from '../../src/executions/workspaces/renew-home.js'
import { nameWorkspace } from '../../src/executions/workspaces/workspace-name.js'
import { readConfig, type Config } from '../../src/platform/config.js'
import { openFolder } from '../../src/platform/open-folder.js'
import { requireOwnFolders } from '../../src/platform/own-places.js'
import { ExecutorError } from '../../src/protocol/errors.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { startSupervised, type SuperviseOptions } from '../../src/supervision/supervised-process.js'
import { readGitHead } from '../../src/verification/git-head.js'
import { DEFAULT_LIMITS, takeManifest } from '../../src/verification/manifest.js'
import { testEnvironment } from '../support/environment.js'
import { ROOT } from '../support/paths.js'
import { once } from '../support/deadlines.js'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-folders-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
for (const name of ['home/.local/share/cc-executor/redis', 'projects/one', 'other', 'hooks'])
  await mkdir(at(name), { recursive: true })
await symlink(at('projects'), at('alias'))
await symlink(at('home/.local/share'), at('other/share'))
const HOME = at('home')
const settings = (environment: NodeJS.ProcessEnv): Config => readConfig({ HOME, ...environment })
const DATA = at('home/.local/share/cc-executor')

const containment = await chooseContainment({
  policy: 'auto',
  extraPath: (testEnvironment('')['PATH'] ?? '').split(':'),
})
const bwrap = containment.programs?.bwrap
const skip = containment.level !== 'bubblewrap' && 'only bubblewrap hides, and makes mounts'

void t.test('a root in which runs would reach what the service lives by is refused by the name of its setting', (t) => {
  const refused = (environment: NodeJS.ProcessEnv, message: RegExp): void =>
    void t.throws(() => requireOwnFolders(settings(environment)), { name: 'ConfigError', message })
  const roots = (root: string, more: NodeJS.ProcessEnv = {}) => ({ CC_EXECUTOR_ALLOWED_ROOTS: root, ...more })
  for (const root of [HOME, at('home/.local'), DATA, `${DATA}/redis`, `${DATA}/sessions/x/home`, '/'])
    refused(roots(root), /^CC_EXECUTOR_ALLOWED_ROOTS \(--root\): .*\(CC_EXECUTOR_DATA_DIR\)/)
  refused(roots(at('other/share')), /\(CC_EXECUTOR_DATA_DIR\)/)
  refused(roots(at('home/.cache')), /\(CC_EXECUTOR_CACHE_DIR\)/)
  refused(roots(at('hooks'), { CC_EXECUTOR_HOOKS: at('hooks/hooks.json') }), /\(CC_EXECUTOR_HOOKS\)/)
  refused(roots(at('projects'), { CC_EXECUTOR_HOOKS: at('alias/one/hooks.json') }), /\(CC_EXECUTOR_HOOKS\)/)
  refused(roots(at('other'), { CC_EXECUTOR_TOKEN_FILE: at('other/token') }), /\(CC_EXECUTOR_TOKEN_FILE\)/)
  for (const name of ['other', 'with space', 'a%20b'])
    refused(roots(at(name), { REDIS_URL: `unix://${at(name, 'redis.sock')}` }), /\(REDIS_URL\)/)
  for (const root of [DATA, `${DATA}/sessions/below`, at('home')])
    refused({ CC_EXECUTOR_WORKSPACE_ROOT: root }, /^CC_EXECUTOR_WORKSPACE_ROOT: .*\(CC_EXECUTOR_DATA_DIR\)/)
  refused(
    { CC_EXECUTOR_WORKSPACE_ROOT: at('other'), CC_EXECUTOR_HOOKS: at('other/hooks.json') },
    /^CC_EXECUTOR_WORKSPACE_ROOT: .*\(CC_EXECUTOR_HOOKS\)/,
  )
  for (const fine of [
    {},
    roots(at('projects')),
    roots(at('alias')),
    roots(`${at('projects')},${at('nowhere')}`),
    roots(`${DATA}/workspaces`),
    { CC_EXECUTOR_WORKSPACE_ROOT: `${DATA}/others` },
    { CC_EXECUTOR_WORKSPACE_ROOT: at('other/ws') },
  ])
    t.doesNotThrow(() => requireOwnFolders(settings(fine)), JSON.stringify(fine))
  t.end()
})

void t.test('neither is one accepted as a workspace, whatever the roots say', async (t) => {
  const name = (workspace: string): string =>
    nameWorkspace(workspace, 'id', settings({ CC_EXECUTOR_ALLOWED_ROOTS: '/' })).name
  for (const workspace of [HOME, at('home/.local'), DATA, `${DATA}/redis`, `${DATA}/workspaces`, `${DATA}/x/y`, '/'])
    t.throws(() => name(workspace), { code: 'FORBIDDEN' }, workspace)
  t.equal(name(`${DATA}/workspaces/team/a`), 'team/a', 'what has a name by the workspace root has no other one')
  t.throws(() => name(`${DATA}/workspaces/01234567-0123-0123-0123-0123456789ab`), ExecutorError)
  t.equal(name(at('projects/')), at('projects'))
})

const prepare = async (workspace: string, environment: NodeJS.ProcessEnv): Promise<string> => {
  const { workspace: opened } = await prepareWorkspace({ id: 'x', home: 'x', workspace }, settings(environment))
  await opened.close()
  return opened.path
}

void t.test('nor by the worker, when links and mounts are resolved', async (t) => {
  const CC_EXECUTOR_ALLOWED_ROOTS = `/,${at('projects')}`
  for (const workspace of [HOME, `${DATA}/redis`, `${DATA}/workspaces/a`])
    await t.rejects(prepare(workspace, { CC_EXECUTOR_ALLOWED_ROOTS }), {
      name: 'WorkspaceError',
      message: /a folder of the service \(CC_EXECUTOR_(DATA_DIR|WORKSPACE_ROOT)\)/,
    })
  await t.rejects(prepare(at('other/share/cc-executor'), { CC_EXECUTOR_ALLOWED_ROOTS: at('other') }), /symbolic link/)
  t.equal(await prepare(at('projects/one'), { CC_EXECUTOR_ALLOWED_ROOTS }), at('projects/one'))
  t.equal(await prepare('team/a', {}), `${DATA}/workspaces/team/a`)
})

void t.test(
  'a bind mount is no other folder: neither of the service’s own, nor of one that somebody has',
  { skip },
  async (t) => {
    await mkdir(at('projects/bound/below'), { recursive: true })
    await mkdir(at('projects/same'), { recursive: true })
    const script = `
      import { prepareWorkspace } from '${ROOT}/dist/src/executions/workspaces/prepare-workspace.js'
      import { readConfig } from '${ROOT}/dist/src/platform/config.js'
      const config = readConfig({ HOME: '${HOME}', CC_EXECUTOR_ALLOWED_ROOTS: '${at('projects')}' })
      for (const workspace of ['bound', 'bound/below', 'same', 'one'].map((name) => '${at('projects')}/' + name)) {
        const prepared = await prepareWorkspace({ id: 'x', home: 'x', workspace }, config).catch((error) => error)
        console.log(prepared.message ?? JSON.stringify(prepared.workspace.places))
      }`
    const mounts = ['--bind', DATA, at('projects/bound/below'), '--bind', at('projects/one'), at('projects/same')]
    const { stdout } = await promisify(execFile)(bwrap ?? '', [
      '--dev-bind',
      '/',
      '/',
      ...mounts,
      '--',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ])
    const [around, within, same, one] = stdout.trim().split('\n')
    t.match(around, /folder of the service \(CC_EXECUTOR_DATA_DIR\)/, 'it is mounted below the workspace')
    t.match(within, /folder of the service \(CC_EXECUTOR_DATA_DIR\)/)
    t.equal(same, one)
    t.match(JSON.parse(one ?? ''), [/^@.+\/projects\/one$/, /^#/])
  },
)

void t.test('what is hidden is hidden last, also where what is shown holds it', { skip }, async (t) => {
  await mkdir(at('shown/own/ws'), { recursive: true })
  await mkdir(at('shown/tools'))
  for (const file of ['own/key', 'own/ws/mine', 'tools/program']) await writeFile(at('shown', file), `${file}\n`)
  const run = await startSupervised({
    containment,
    file: 'bash',
    args: ['-c', 'cat own/key own/ws/mine tools/program; echo x >> tools/program; echo mine > made'],
    cwd: at('shown'),
    env: { PATH: process.env['PATH'] ?? '' },
    marker: 'test/hidden',
    hiddenPaths: [at('shown/own')],
    exposedPaths: [at('shown'), at('shown/own/ws')],
    protectedPaths: [at('shown/tools')],
    heartbeatTimeoutMs: 60_000,
  })
  let said = ''
  run.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  run.stderr.resume()
  run.release()
  await run.exited
  await run.killAll()
  t.equal(said, 'own/ws/mine\ntools/program\n')
  t.equal(await readFile(at('shown/tools/program'), 'utf8'), 'tools/program\n', 'what is protected is not written')
  t.equal(await readFile(at('shown/made'), 'utf8'), 'mine\n')
})

void t.test('a workspace is opened once: exchanged after that, nothing is read or started elsewhere', async (t) => {
  await mkdir(at('exchanged/real/sub/.git'), { recursive: true })
  await mkdir(at('exchanged/secret/.git'), { recursive: true })
  await writeFile(at('exchanged/real/inside'), 'inside')
  await writeFile(at('exchanged/secret/key'), 'secret')
  await writeFile(at('exchanged/secret/HEAD'), `${'a'.repeat(40)}\n`)
  const workspace = await openFolder(at('exchanged/real'))
  t.teardown(() => workspace.close())
  await rename(at('exchanged/real'), at('exchanged/moved'))
  await symlink('secret', at('exchanged/real'))
  const { entries } = await takeManifest(workspace.address, { ...DEFAULT_LIMITS, ignored: [] })
  t.same(
    entries.map(({ path }) => path),
    ['inside'],
  )
  // Below it, too: what was a folder when it was listed.
  await symlink('../secret', at('exchanged/moved/.git'))
  t.equal(readGitHead(workspace.address), undefined)
  const start = (more: Partial<SuperviseOptions> = {}) =>
    startSupervised({
      containment,
      file: 'bash',
      args: ['-c', 'touch started'],
      cwd: at('exchanged/real'),
      folder: workspace,
      env: { PATH: process.env['PATH'] ?? '' },
      marker: 'test/exchanged',
      heartbeatTimeoutMs: 60_000,
      ...more,
    })
  for (const level of ['bubblewrap', 'unshare', 'weak'] as const)
    await t.rejects(start({ containment: { ...containment, level } }), { code: 'BAD_CWD' }, level)
  t.notOk(existsSync(at('exchanged/secret/started')))
})

/** RENAME_EXCHANGE, again and again: at each moment the first name leads to a folder or is a link, never to nothing. */
const EXCHANGE = 'print "on\\n"; $| = 1; 1 while !syscall(316, -100, $ARGV[0], -100, $ARGV[1], 2)'

void t.test(
  'a folder around a workspace that is exchanged for a link while it is opened leads nobody elsewhere',
  { skip: process.arch !== 'x64' && 'the system call has another number' },
  async (t) => {
    for (const folder of ['raced/around/inside', 'far/inside']) await mkdir(at(folder), { recursive: true })
    await symlink(at('far'), at('raced/link'))
    const racer = spawn('perl', ['-e', EXCHANGE, at('raced/around'), at('raced/link')])
    const gone = once(racer, 'exit')
    t.teardown(async () => {
      racer.kill('SIGKILL')
      await gone
    })
    await Promise.race([once(racer.stdout, 'data'), gone])
    const told = new Set<string>()
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const wanted = at('raced/around/inside')
      const ended = await prepare(wanted, { CC_EXECUTOR_ALLOWED_ROOTS: at('raced') }).catch((error: Error) => error)
      if (typeof ended === 'string') told.add(ended)
      else t.match(ended, { name: 'WorkspaceError', message: /symbolic link|was replaced/ })
    }
    t.equal(racer.exitCode, null, 'it was replaced until now')
    told.delete(at('raced/link/inside'))
    t.same([...told], [at('raced/around/inside')], 'what is opened is the folder that was looked at')
  },
)

void t.test('what was listed as a folder and is a link when it is entered is not gone through', async (t) => {
  await mkdir(at('walked/z/sub'), { recursive: true })
  await mkdir(at('elsewhere/sub'), { recursive: true })
  await writeFile(at('elsewhere/sub/key'), 'secret')
  for (let file = 0; file < 150; file += 1) await writeFile(at(`walked/z/${file}`), '')
  const walk = takeManifest(at('walked'), { ...DEFAULT_LIMITS, ignored: [] })
  // It has listed z, and lets others have their turn before it enters z/sub.
  renameSync(at('walked/z'), at('walked-z'))
  symlinkSync(at('elsewhere'), at('walked/z'))
  const { entries } = await walk
  t.ok(entries.length >= 150)
  t.notOk(entries.some(({ path }) => path.endsWith('key')))
})

void t.test('HOME holds nothing of an earlier run but the conversation’s own', async (t) => {
  const home = at('used')
  const plant = async (path: string): Promise<void> => {
    await mkdir(join(home, path, '..'), { recursive: true })
    await writeFile(join(home, path), 'planted')
  }
  const paths = ['.bashrc', '.claude.json', '.config/git/config', '.claude/settings.json', '.claude/agents/x.md']
  const own = ['.claude/projects/p/s.jsonl', '.claude/plans/a.md']
  const listed = async (): Promise<string[]> =>
    (await readdir(home, { recursive: true, withFileTypes: true }))
      .filter((entry) => !entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name).slice(home.length + 1))
      .sort()
  for (const path of [...paths, ...own]) await plant(path)
  await symlink(at('secret'), join(home, '.claude/projects/elsewhere'))
  await renewHome(home, { isFirstAttempt: false })
  t.same(await listed(), ['.bashrc', '.claude/plans/a.md', '.claude/projects/p/s.jsonl', '.config/git/config'])
  await renewHome(home, { isFirstAttempt: true })
  t.same(await listed(), own.toSorted())
  await rm(join(home, '.claude'), { recursive: true })
  await mkdir(at('elsewhere-kept'))
  await writeFile(at('elsewhere-kept/settings.json'), 'planted')
  await symlink(at('elsewhere-kept'), join(home, '.claude'))
  await renewHome(home, { isFirstAttempt: true })
  t.same(await listed(), [], 'a link is no configuration folder')
})
