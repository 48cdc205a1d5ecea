// A repository that tries to have something of its own run while it is fetched, checked out, looked at, committed,
// handed out and pushed. The payload makes a file outside of what it is allowed; nothing may make one.
import { spawnSync } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openFolder } from '../../src/platform/open-folder.js'
import { parseRepositoryUrl } from '../../src/platform/repository-url.js'
import { splitPath } from '../../src/platform/redis-server.js'
import { provideCheckout } from '../../src/repositories/checkout.js'
import { commitChanges } from '../../src/repositories/commit-changes.js'
import { deliver } from '../../src/repositories/deliver.js'
import type { Mirrors } from '../../src/repositories/mirror.js'
import { pushBranch } from '../../src/repositories/push-branch.js'
import { chooseContainment, type Containment } from '../../src/supervision/containment.js'
import { testEnvironment } from '../support/environment.js'
import { openRoom } from './room.js'
import { commitFiles, git, makeRepository } from './scene.js'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-hostile-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const caught = at('caught')
await mkdir(caught)
/** A program that says that it was run, and by what; then it does what it is called for, as far as that is nothing. */
const payload = at('payload')
await writeFile(payload, `#!/bin/sh\ntouch "${caught}/$(basename "$0")-$$"\nexit 0\n`, { mode: 0o755 })

const isAll = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined
const contained = await chooseContainment({
  policy: 'auto',
  extraPath: splitPath(testEnvironment(folder)['PATH']),
})
/** Where nothing but git's own care is in the way. */
const bare: Containment = { ...contained, sandbox: undefined }

const openMirrors = (name: string, containment: Containment): Promise<Mirrors> =>
  openRoom(at(name), containment, {
    // Also what a worker's own environment could bring along.
    environment: { ...process.env, GIT_SSH_COMMAND: payload, GIT_EXTERNAL_DIFF: payload, GIT_ASKPASS: payload },
  })

/** Every setting by which a configuration has git start something, or read one that does. */
const CONFIG = [
  ['core', 'fsmonitor', payload],
  ['core', 'fsmonitorHookVersion', '2'],
  ['core', 'hooksPath', at('hooks')],
  ['core', 'sshCommand', payload],
  ['core', 'gitProxy', payload],
  ['core', 'editor', payload],
  ['core', 'pager', payload],
  ['core', 'askPass', payload],
  ['core', 'alternateRefsCommand', payload],
  ['core', 'attributesFile', at('attributes')],
  ['sequence', 'editor', payload],
  ['diff', 'external', payload],
  ['diff "evil"', 'command', payload],
  ['diff "evil"', 'textconv', payload],
  ['merge "evil"', 'driver', payload],
  ['filter "evil"', 'clean', payload],
  ['filter "evil"', 'smudge', payload],
  ['filter "evil"', 'process', payload],
  ['filter "evil"', 'required', 'false'],
  ['credential', 'helper', `!${payload}`],
  ['gpg', 'program', payload],
  ['commit', 'gpgSign', 'true'],
  ['push', 'gpgSign', 'true'],
  ['alias', 'read-tree', `!${payload}`],
  ['alias', 'ls-files', `!${payload}`],
  ['uploadpack', 'packObjectsHook', payload],
  ['url "ext::sh -c touch% %s"', 'insteadOf', '/'],
  ['protocol "ext"', 'allow', 'always'],
  ['remote "origin"', 'uploadpack', payload],
  ['remote "origin"', 'receivepack', payload],
  ['remote "origin"', 'promisor', 'true'],
  ['remote "origin"', 'vcs', 'evil'],
  ['extensions', 'partialClone', 'origin'],
  ['trailer "evil"', 'command', payload],
  ['include', 'path', at('included')],
  ['includeIf "gitdir:/**"', 'path', at('included')],
  ['init', 'templateDir', at('template')],
  ['submodule', 'recurse', 'true'],
  ['gc', 'auto', '1'],
  ['gc', 'recentObjectsHook', payload],
  ['maintenance', 'auto', 'true'],
] as const
const HOOKS = [
  'applypatch-msg',
  'post-checkout',
  'post-commit',
  'post-index-change',
  'post-merge',
  'post-rewrite',
  'pre-commit',
  'prepare-commit-msg',
  'commit-msg',
  'pre-push',
  'pre-auto-gc',
  'push-to-checkout',
  'reference-transaction',
  'fsmonitor-watchman',
  'pre-receive',
  'update',
  'post-receive',
  'post-update',
  'proc-receive',
]

async function writeHooks(hooks: string): Promise<void> {
  await mkdir(hooks, { recursive: true })
  for (const name of HOOKS) {
    await rm(join(hooks, name), { force: true })
    await symlink(payload, join(hooks, name))
  }
}

const toConfig = (rows: readonly (readonly [string, string, string])[]): string =>
  rows.map(([section, key, value]) => `[${section}]\n\t${key} = ${JSON.stringify(value)}\n`).join('')

/** Everything at once, in the `.git` of a folder: hooks, configuration, attributes, what is read beside them. */
async function poison(gitDir: string, without: readonly string[] = []): Promise<void> {
  await writeHooks(join(gitDir, 'hooks'))
  await writeHooks(at('hooks'))
  await mkdir(join(gitDir, 'info'), { recursive: true })
  await writeFile(join(gitDir, 'info/attributes'), '* filter=evil diff=evil merge=evil\n')
  await writeFile(at('attributes'), '* filter=evil diff=evil\n')
  await writeFile(
    at('included'),
    toConfig([
      ['core', 'fsmonitor', payload],
      ['diff', 'external', payload],
    ]),
  )
  await writeHooks(at('template/hooks'))
  await appendFile(join(gitDir, 'config'), toConfig(CONFIG.filter(([section]) => !without.includes(section))))
}

const ATTRIBUTES = '* filter=evil diff=evil merge=evil ident\n*.txt filter=evil working-tree-encoding=UTF-8\n'
const origin = at('origin')
await makeRepository(origin, {
  'a.txt': 'one\n',
  '.gitattributes': ATTRIBUTES,
  '.gitmodules':
    '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% caught\n\tupdate = !touch caught\n' +
    '[submodule "../../evil"]\n\tpath = y\n\turl = -u./payload\n',
  '.lfsconfig': '[lfs]\n\turl = https://attacker.invalid\n',
  '.envrc': `touch ${caught}/envrc\n`,
})
await git(origin, 'checkout', '-q', '--detach')

interface Passed {
  readonly commits: number
  readonly pushed: string
}

/** One run's way through the worker, with what a run could leave in its folder. */
async function pass(name: string, containment: Containment): Promise<Passed> {
  const mirrors = await openMirrors(name, containment)
  const workspaceFolder = at(name, 'workspace')
  await mkdir(workspaceFolder, { recursive: true })
  const workspace = await openFolder(workspaceFolder)
  try {
    const place = { folder: at(name, 'repository'), workspace }
    const request = { url: origin, ref: 'main', branch: `hostile/${name}` }
    const checkout = await provideCheckout(mirrors, name, request, place, () => true)
    if (!checkout) throw new Error('there is no checkout')
    // What a run does: its own .git, a repository within, and links to both.
    await poison(join(workspaceFolder, '.git'))
    await makeRepository(join(workspaceFolder, 'inner'), { 'i.txt': 'i\n' })
    await poison(join(workspaceFolder, 'inner/.git'))
    await git(workspaceFolder, 'init', '-q', '--bare', 'bare')
    await poison(join(workspaceFolder, 'bare'))
    await writeFile(join(workspaceFolder, 'b.txt'), 'two\n')
    await writeFile(join(workspaceFolder, 'a.txt'), 'changed\n')
    await symlink(payload, join(workspaceFolder, 'link'))
    const author = 'A <a@localhost>'
    const options = { checkout, workspace, author, message: 'm', limitBytes: 1024 ** 3 }
    const committed = await commitChanges(mirrors.means, options)
    const delivery = { message: 'm', author, limitBytes: 1024 ** 2 }
    const { patch } = await deliver(mirrors.means, checkout.keeper, checkout.state.branch, committed, delivery)
    t.match(patch.toString(), '+changed', `${name}: a patch that shows the lines`)
    const target = { keeper: checkout.keeper, head: committed.head, branch: `hostile/${name}` }
    const error = await pushBranch(mirrors, parseRepositoryUrl(origin), target)
    // A further run of the session, on what this one has left.
    const next = await provideCheckout(mirrors, `${name}-next`, undefined, place, () => true)
    await commitChanges(mirrors.means, { ...options, checkout: next ?? checkout })
    return { commits: committed.commits, pushed: error?.message ?? 'pushed' }
  } finally {
    await workspace.close()
  }
}

void t.test('nothing of a hostile repository is run, with a sandbox and without', async (t) => {
  t.ok(CONFIG.length + HOOKS.length >= 30)
  // With a working remote, since what a broken one says would hide what the others do.
  await poison(join(origin, '.git'), ['extensions', 'url "ext::sh -c touch% %s"'])
  // Where nothing else stands in its way; with a sandbox in test:all.
  const ways = [['bare', bare] as const, ...(isAll ? [['contained', contained] as const] : [])]
  for (const [name, containment] of ways) {
    const { commits, pushed } = await pass(name, containment)
    t.equal(commits, 1, name)
    t.equal(pushed, 'pushed', name)
    t.same(await readdir(caught), [], name)
  }
})

void t.test('the payload works: an ordinary git is caught at once', async (t) => {
  // The last run has a clean .git again; that of the repository itself is as it was.
  spawnSync('git', ['-c', 'safe.directory=*', 'status'], { cwd: origin, stdio: 'ignore', timeout: 60_000 })
  t.not((await readdir(caught)).length, 0)
  await rm(caught, { recursive: true })
  await mkdir(caught)
})

void t.test('a repository that would be too much is refused before it is written', async (t) => {
  const bomb = at('bomb')
  await makeRepository(bomb, { leaf: 'x'.repeat(1_000) })
  let tree = await git(bomb, 'rev-parse', 'HEAD^{tree}')
  for (let level = 0; level < 8; level += 1) {
    const entries = Array.from({ length: 10 }, (_none, index) => `040000 tree ${tree}\t${index}`).join('\n')
    tree = spawnSync('git', ['mktree'], { cwd: bomb, input: `${entries}\n`, encoding: 'utf8' }).stdout.trim()
  }
  await git(bomb, 'update-ref', 'refs/heads/bomb', await git(bomb, 'commit-tree', tree, '-m', 'bomb'))
  const mirrors = await openMirrors('bombed', contained)
  const workspace = await openFolder(at('bombed/workspace'))
  const request = { url: bomb, ref: 'bomb' }
  const place = { folder: at('bombed/repository'), workspace }
  await t.rejects(
    provideCheckout(mirrors, 'bombed', request, place, () => true),
    /larger than \d+ bytes/,
  )
  t.same(await readdir(at('bombed/workspace')), [])
  t.equal((await readdir(at('bombed'))).includes('repository'), false)
  await workspace.close()
})

void t.test('submodules come from the list alone', async (t) => {
  const mirrors = await openMirrors('modules', contained)
  const inner = at('module')
  const commit = await makeRepository(inner, { 'in.txt': 'in\n' })
  const outer = at('outer')
  await makeRepository(outer, { 'o.txt': 'o\n', '.gitmodules': '[submodule "m"]\n\tpath = m\n\turl = ../module\n' })
  await git(outer, 'update-index', '--add', '--cacheinfo', `160000,${commit},m`)
  await git(outer, 'commit', '-q', '-m', 'with a submodule')
  const workspace = await openFolder(at('modules/workspace'))
  const request = { url: outer, submodules: true }
  const place = { folder: at('modules/repository'), workspace }
  await t.rejects(
    provideCheckout(mirrors, 'modules', request, place, (url) => url === outer),
    /submodule "m" is at an address that is not on the operator’s list/,
  )
  const checkout = await provideCheckout(mirrors, 'modules', request, place, () => true)
  t.same((await readdir(at('modules/workspace/m'))).sort(), ['.git', 'in.txt'])
  t.equal(await git(at('modules/workspace'), 'status', '--porcelain'), '')
  await commitFiles(at('modules/workspace/m'), { 'more.txt': 'more\n' }, 'in the submodule')
  const options = { workspace, author: 'A <a@b>', message: 'm', limitBytes: 1024 ** 2 }
  const committed = await commitChanges(mirrors.means, { ...options, checkout: checkout! })
  t.match(committed, { commits: 0, notCommitted: ['m'] })
  await workspace.close()
})
