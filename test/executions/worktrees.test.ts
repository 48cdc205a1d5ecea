// A git worktree for a run: made from what was named, without a program of the repository's, beside a checkout that
// stays as it is; and what becomes of it.
import { execFile, execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { makeWorktree } from '../../src/worktrees/make-worktree.js'
import { removeWorktree } from '../../src/worktrees/remove-worktree.js'
import { readWorktree, writeWorktree } from '../../src/worktrees/worktree-record.js'
import { toRequest } from '../../src/cli/run-flags.js'
import { CLI, SCRIPTED_CLI } from '../support/paths.js'
import { until } from '../support/deadlines.js'
import { openTestService } from '../support/service.js'

// Not in the test's own folder, which its runs may write.
const root = realpathSync(mkdtempSync(join(tmpdir(), 'cce-trees-')))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const projects = join(root, 'projects')
mkdirSync(projects)
const environment = { PATH: process.env['PATH'], HOME: root }
const git = (folder: string, ...args: string[]): string =>
  execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
    env: environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .toString()
    .trim()
function makeRepository(name: string, place = projects): string {
  const folder = join(place, name)
  mkdirSync(folder)
  git(folder, 'init', '-q', '-b', 'main')
  writeFileSync(join(folder, 'a.txt'), 'a\n')
  writeFileSync(join(folder, '.gitignore'), '*.log\n')
  git(folder, 'add', '.')
  git(folder, 'commit', '-q', '-m', 'first')
  return folder
}

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_ALLOWED_ROOTS: projects,
    CC_EXECUTOR_GIT_IDENTITY: 'Bot <bot@example.org>',
  },
})
const { dataDir, workspaceRoot } = service.config
const isShort = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'in test:all' : false
const RESULT = {
  line: {
    type: 'result',
    subtype: 'success',
    is_error: false,
    result: 'done',
    num_turns: 1,
    usage: {},
    permission_denials: [],
  },
}
const toPrompt = (command: string): string => JSON.stringify([{ tool: command }, RESULT])
const run = async (command: string, more: Record<string, unknown>): Promise<Execution> =>
  service.finished((await service.submit({ prompt: toPrompt(command), ...more })).id)
const folderOf = ({ id }: { id: string }): string => join(workspaceRoot, id)
const treesOf = (repository: string): number => git(repository, 'worktree', 'list').split('\n').length
const remove = async ({ id }: { id: string }): Promise<void> => void (await service.call('DELETE', `/executions/${id}`))
const command = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [CLI, 'worktrees', ...args], { env: service.environment }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })

void t.test('a run works in a worktree of what was named, and the checkout stays as it is', async (t) => {
  const workspace = makeRepository('busy')
  const base = git(workspace, 'rev-parse', 'HEAD')
  git(workspace, 'tag', '-a', 'v1', '-m', 'v1')
  git(workspace, 'checkout', '-q', '-b', 'mine')
  writeFileSync(join(workspace, 'a.txt'), 'mine\n')
  git(workspace, 'commit', '-qam', 'mine')
  writeFileSync(join(workspace, 'a.txt'), 'not committed\n')
  writeFileSync(join(workspace, 'untracked'), 'x')
  const look = (): unknown => ({
    status: git(workspace, 'status', '--porcelain'),
    head: git(workspace, 'rev-parse', 'HEAD', '--abbrev-ref', 'HEAD'),
    config: readFileSync(join(workspace, '.git/config'), 'utf8'),
    hooks: existsSync(join(workspace, '.git/hooks/post-checkout')),
  })
  const before = look()
  const ended = await run(
    'common=$(git rev-parse --path-format=absolute --git-common-dir); git status --porcelain > seen.log; ' +
      'git branch --show-current >> seen.log; cat a.txt >> seen.log; echo b >> a.txt; git commit -qam second; ' +
      'git config core.fsmonitor true; echo x > $common/hooks/post-checkout; echo x > $common/commondir; ' +
      'echo ref: refs/heads/main > $common/HEAD; echo / > $common/objects/info/alternates; true',
    { workspace, worktree: { ref: 'v1', branch: 'fix/x' } },
  )
  t.equal(ended.status, 'succeeded', ended.outcome?.message ?? '')
  t.equal(readFileSync(join(folderOf(ended), 'seen.log'), 'utf8'), 'fix/x\na\n', 'clean, and what was named')
  if (ended.outcome?.sandbox?.level !== 'host') {
    t.same(look(), before)
    t.notOk(existsSync(join(workspace, '.git/commondir')))
    t.notOk(existsSync(join(workspace, '.git/objects/info/alternates')))
  }
  const head = git(workspace, 'rev-parse', 'fix/x')
  t.equal(git(workspace, 'log', '-1', '--format=%an %s', 'fix/x'), 'Bot second')
  t.match(ended.outcome?.worktree, {
    branch: 'fix/x',
    baseCommit: base,
    headCommit: head,
    headBranch: 'fix/x',
    commits: 1,
    uncommitted: 0,
    message: /The run left 1 commit on fix\/x and nothing uncommitted/,
  })
  const started = (await service.events(ended.id)).find(({ type }) => type === 'execution.started')
  t.match(started?.data, { worktree: { ref: 'v1', branch: 'fix/x', commit: base } })
  const { body } = await service.call('GET', `/executions/${ended.id}/receipt`)
  t.match(body.files.head, { before: { commit: base }, after: { ref: 'refs/heads/fix/x', commit: head } })

  // Committed to a branch: it goes with its execution, and the branch stays.
  await remove(ended)
  await until(() => !existsSync(folderOf(ended)), 'the folder is removed')
  await until(() => treesOf(workspace) === 1, 'the repository knows nothing of it')
  t.equal(git(workspace, 'rev-parse', 'fix/x'), head)
  t.same(look(), before)
})

void t.test('what is in no branch is told, and kept until a person removes it', async (t) => {
  const workspace = makeRepository('kept')
  // A bit of the run's own index hides a change from git.
  const script = 'echo b >> a.txt; git update-index --skip-worktree a.txt; mkdir d; echo n > d/new; echo l > x.log'
  const ended = await run(script, { workspace, worktree: { ref: 'main' } })
  t.match(ended.outcome?.worktree, {
    branch: `cc-executor/${ended.id}`,
    commits: 0,
    uncommitted: 2,
    uncommittedFiles: ['a.txt', 'd/'],
    message: new RegExp(`is kept, also when .* cc-executor worktrees remove ${ended.id}`),
  })
  const loose = await run('git checkout -q --detach; git commit -q --allow-empty -m loose', {
    workspace,
    worktree: { ref: 'HEAD' },
  })
  t.match(loose.outcome?.worktree, { commits: 1, uncommitted: 0, message: /in no branch: commits on no branch/ })
  t.equal(loose.outcome?.worktree?.headBranch, undefined)
  for (const one of [ended, loose]) {
    await remove(one)
    await until(() => !existsSync(join(dataDir, 'sessions', one.id)), 'the rest of it is gone')
    t.ok(existsSync(folderOf(one)))
  }
  const listed = await command()
  t.match(listed.stdout, `${ended.id}  cc-executor/${ended.id}  0 commits, 2 uncommitted\n  ${folderOf(ended)}\n`)
  t.match(listed.stdout, `${loose.id}  cc-executor/${loose.id}  1 commit on no branch, 0 uncommitted`)
  const refused = await command('remove', ended.id)
  t.match(refused, { code: 1, stderr: /was not removed: 0 commits, 2 uncommitted\. --force removes it/ })
  t.equal(readFileSync(join(folderOf(ended), 'd/new'), 'utf8'), 'n\n')
  t.match(await command('remove', ended.id, loose.id, '--force'), { code: 0, stdout: `removed  ${ended.id}` })
  for (const one of [ended, loose]) t.notOk(existsSync(folderOf(one)))
  t.equal(treesOf(workspace), 1)
  t.equal(git(workspace, 'branch', '--list', 'cc-executor/*'), '', 'branches without a commit are gone')
  t.match(await command('remove', '../sessions'), { code: 1, stderr: /there is no worktree/ })
  t.match(await command('remove'), { code: 2 })
})

void t.test('nothing that a repository names is run for it', async (t) => {
  const workspace = makeRepository('hostile')
  const marker = join(root, 'ran')
  const program = join(root, 'program')
  writeFileSync(program, `#!/bin/sh\ntouch ${marker}\ncat\n`)
  chmodSync(program, 0o755)
  writeFileSync(join(workspace, '.gitattributes'), '* filter=trap diff=trap merge=trap text\n')
  writeFileSync(
    join(workspace, '.gitmodules'),
    `[submodule "x"]\n\tpath = x\n\turl = ext::${program}\n\tupdate = !${program}\n`,
  )
  git(workspace, 'add', '.')
  git(workspace, 'commit', '-qm', 'trap')
  for (const hook of ['post-checkout', 'post-index-change', 'reference-transaction', 'pre-commit', 'post-commit']) {
    writeFileSync(join(workspace, '.git/hooks', hook), `#!/bin/sh\ntouch ${marker}\n`)
    chmodSync(join(workspace, '.git/hooks', hook), 0o755)
  }
  writeFileSync(
    join(workspace, '.git/config'),
    '[core]\n\trepositoryformatversion = 1\n' +
      ['fsmonitor', 'sshCommand', 'editor', 'pager', 'askPass', 'gitProxy', 'alternateRefsCommand']
        .map((key) => `\t${key} = ${program}\n`)
        .join('') +
      `\thooksPath = ${join(workspace, '.git/hooks')}\n\tworktree = /\n\tattributesFile = ${program}\n` +
      `[filter "trap"]\n\tsmudge = ${program}\n\tclean = ${program}\n\tprocess = ${program}\n\trequired = true\n` +
      `[diff]\n\texternal = ${program}\n[diff "trap"]\n\ttextconv = ${program}\n\tcommand = ${program}\n` +
      `[merge "trap"]\n\tdriver = ${program}\n[alias]\n\tread-tree = !${program}\n\tstatus = !${program}\n` +
      `[credential]\n\thelper = ${program}\n[gpg]\n\tprogram = ${program}\n[uploadpack]\n\tpackObjectsHook = ${program}\n` +
      `[extensions]\n\tpartialClone = origin\n\tworktreeConfig = true\n` +
      `[remote "origin"]\n\turl = ext::${program}\n\tpromisor = true\n\tuploadpack = ${program}\n` +
      `[include]\n\tpath = /dev/stdin\n[trailer "x"]\n\tcommand = ${program}\n[init]\n\ttemplateDir = ${root}\n`,
  )
  writeFileSync(join(workspace, '.git/config.worktree'), `[core]\n\tfsmonitor = ${program}\n`)
  const ended = await run('echo b >> a.txt', { workspace, worktree: { ref: 'main' } })
  t.equal(ended.status, 'succeeded', ended.outcome?.message ?? '')
  t.match(ended.outcome?.worktree, { uncommitted: 1, uncommittedFiles: ['a.txt'] })
  await command('list')
  await remove(ended)
  await until(() => !existsSync(join(dataDir, 'sessions', ended.id)), 'it is forgotten')
  t.notOk(existsSync(marker))
})

void t.test('what cannot be had is refused by name, and nothing is left of it', async (t) => {
  const workspace = makeRepository('plain')
  const secret = makeRepository('secret', root)
  const commit = git(secret, 'rev-parse', 'HEAD')
  const borrowing = join(projects, 'borrowing')
  execFileSync('git', ['clone', '-q', '--shared', secret, borrowing], { env: environment })
  const linked = makeRepository('linked')
  rmSync(join(linked, '.git/objects'), { recursive: true })
  execFileSync('ln', ['-s', join(secret, '.git/objects'), join(linked, '.git/objects')])
  const pointed = join(projects, 'pointed')
  mkdirSync(pointed)
  writeFileSync(join(pointed, '.git'), `gitdir: ${join(secret, '.git')}\n`)
  mkdirSync(join(projects, 'folder'))
  const cases: [string, { ref: string; branch?: string }, RegExp][] = [
    [workspace, { ref: 'nowhere' }, /no branch, tag or commit "nowhere"/],
    [workspace, { ref: 'config' }, /no branch, tag or commit "config"/],
    [workspace, { ref: 'f'.repeat(40) }, /worktree: /],
    [workspace, { ref: 'main', branch: 'main' }, /has a branch "main" already/],
    [workspace, { ref: 'main', branch: 'main/below' }, /has a branch|worktree|folders of the run/],
    [join(projects, 'folder'), { ref: 'main' }, /not the top folder of a git repository/],
    [join(projects, 'missing'), { ref: 'main' }, /does not exist on the worker/],
    [borrowing, { ref: 'main' }, /borrows objects from a repository outside/],
    [linked, { ref: commit }, /borrows objects from a repository outside/],
    [pointed, { ref: 'main' }, /not the top folder of a git repository/],
  ]
  await Promise.all(
    cases.map(async ([folder, worktree, message]) => {
      const ended = await run('true', { workspace: folder, worktree })
      t.match(ended.outcome, { status: 'failed', code: 'WORKSPACE_ERROR', message }, JSON.stringify(worktree))
      t.notOk(existsSync(join(dataDir, 'worktrees', ended.id)))
      t.notMatch(ended.outcome?.message, dataDir)
    }),
  )
  t.notOk(existsSync(join(projects, 'missing')), 'no folder is made for it')
  for (const folder of [workspace, borrowing]) t.equal(treesOf(folder), 1)
  t.equal(git(workspace, 'branch'), '* main')
  const errors = async (body: Record<string, unknown>): Promise<unknown> =>
    (await service.call('POST', '/execute', { body: { prompt: 'x', ...body } })).body
  for (const more of [{}, { workspace: 'named' }, { workspace, session: { resume: 'x' } }])
    t.match(await errors({ worktree: { ref: 'main' }, ...more }), {
      code: 'INVALID_REQUEST',
      errors: [{ path: 'worktree' }],
    })
  const below = join(workspaceRoot, 'named')
  t.match(await errors({ worktree: { ref: 'main' }, workspace: below }), { status: /40[03]/ })
  for (const ref of ['-x', '../x', 'a..b', 'a b', 'x.lock', 'a~1', ''])
    t.match(await errors({ worktree: { ref }, workspace }), { errors: [{ path: 'worktree.ref' }] }, ref)
})

void t.test('many at once, and the tasks of a list in one', { skip: isShort }, async (t) => {
  const workspace = makeRepository('many')
  git(workspace, 'pack-refs', '--all')
  const runs = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) =>
      run(`echo ${name} > ${name}; git add .; git commit -qm ${name}`, {
        workspace,
        worktree: { ref: 'main', branch: name },
      }),
    ),
  )
  for (const { outcome } of runs) t.match(outcome, { status: 'succeeded', worktree: { commits: 1, uncommitted: 0 } })
  t.equal(treesOf(workspace), 5)
  const list = await service.submit({
    tasks: [{ prompt: toPrompt('echo 1 > one; git add .; git commit -qm one') }, { prompt: toPrompt('git rm -q one') }],
    workspace,
    worktree: { ref: git(workspace, 'rev-parse', '--short', 'HEAD'), branch: 'tasks' },
  })
  const ended = await service.finished(list.id)
  t.equal(ended.status, 'succeeded')
  const last = (await service.call('GET', `/executions/${ended.tasks?.[1]?.id}`)).body
  t.match(last.outcome.worktree, { branch: 'tasks', commits: 1, uncommitted: 1, uncommittedFiles: ['one'] })
})

void t.test('what a worker has left half made is taken away and made anew', async (t) => {
  const repository = makeRepository('half')
  const place = { dataDir: join(root, 'data') }
  const workspace = join(root, 'half')
  mkdirSync(workspace)
  const plan = {
    id: 'half-made',
    owner: 'me',
    request: { ref: 'main', branch: 'half' },
    repository: { name: repository, path: repository, address: repository },
    workspace: { path: workspace, address: workspace },
    roots: [projects],
    git: { environment: process.env, timeoutMs: 60_000 },
    usedBy: 'me',
    ...place,
  }
  await writeWorktree({ ...(await makeWorktree(plan)), state: 'making' }, place)
  writeFileSync(join(workspace, 'half'), 'x')
  const half = await readWorktree('half-made', place)
  if (half) await removeWorktree(half, place, { keepsFolder: true })
  t.equal(treesOf(repository), 1)
  const made = await makeWorktree(plan)
  t.equal(made.state, 'ready')
  t.notOk(existsSync(join(workspace, 'half')))
  t.equal(git(workspace, 'status', '--porcelain', '--branch'), '## half')
  await removeWorktree(made, place)
  t.equal(git(repository, 'branch'), '* main')
})

void t.test('the command line asks for one', (t) => {
  const flags = { workspace: '/projects/x', worktree: 'main' }
  t.match(toRequest({ prompt: 'x' }, flags), { worktree: { ref: 'main' } })
  t.match(toRequest({ prompt: 'x' }, { ...flags, 'worktree-branch': 'b' }), { worktree: { ref: 'main', branch: 'b' } })
  t.throws(() => toRequest({ prompt: 'x' }, { 'worktree-branch': 'b' }), { message: /needs --worktree/ })
  t.throws(() => toRequest({ prompt: 'x' }, { worktree: 'main' }), { message: /--worktree: is accepted only/ })
  t.end()
})
