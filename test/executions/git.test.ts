// Git in workspaces of people: who a run is there, whose folders it works in, and what the service sees of it.
import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createGitIdentity, toGitConfig } from '../../src/platform/git-identity.js'
import type { Execution } from '../../src/protocol/execution.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'

const root = realpathSync(mkdtempSync(join(tmpdir(), 'cce-git-')))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const projects = join(root, 'projects')
const operator = join(root, 'operator')
for (const folder of [projects, operator]) mkdirSync(folder)
writeFileSync(
  join(operator, '.gitconfig'),
  '[user]\n\tname = Ada \\"x\\" Lovelace\n\temail = ada@example.org\n\tsigningKey = secret\n[alias]\n\tst = status\n' +
    '[include]\n\tpath = more\n',
)
writeFileSync(join(operator, 'more'), '[credential]\n\thelper = store\n[user]\n\temail = ada@included.example\n')

const git = (folder: string, ...args: string[]): string =>
  execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
    env: { PATH: process.env['PATH'], HOME: root },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .toString()
    .trim()
function makeRepository(name: string): string {
  const folder = join(projects, name)
  mkdirSync(folder)
  git(folder, 'init', '-q', '-b', 'main')
  writeFileSync(join(folder, 'a.txt'), 'a\n')
  git(folder, 'add', '.')
  git(folder, 'commit', '-q', '-m', 'first')
  return folder
}

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_ALLOWED_ROOTS: projects,
    CC_EXECUTOR_SANDBOX: 'host',
    HOME: operator,
  },
})
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
/** A run that does in its workspace what a shell says. */
const run = async (command: string, more: Record<string, unknown> = {}): Promise<Execution> =>
  service.finished((await service.submit({ prompt: JSON.stringify([{ tool: command }, RESULT]), ...more })).id)
const headOf = async ({ id }: { id: string }) =>
  (await service.call('GET', `/executions/${id}/receipt`)).body.files.head
const saidBy = async ({ id }: { id: string }) => {
  const started = (await service.events(id)).find((event) => event.type === 'execution.started')
  // Safe: the schema of that event has it.
  return (started?.data as { projectInstructions?: unknown } | undefined)?.projectInstructions
}

void t.test('a run commits as the operator, of whose configuration it sees nothing else', async (t) => {
  const workspace = makeRepository('identity')
  const ended = await run(
    'echo b >> a.txt; git commit -qam second; git config --global --list > listed; git config user.email; ' +
      'git config user.email own@example.org; echo c >> a.txt; git commit -qam third',
    { workspace, sandbox: 'workspace' },
  )
  t.equal(ended.status, 'succeeded')
  t.equal(
    git(workspace, 'log', '-1', '--format=%an <%ae>'),
    'Ada "x" Lovelace <own@example.org>',
    'its own config wins',
  )
  t.equal(
    git(workspace, 'log', '-1', '--format=%an <%ae> %cn', 'HEAD~1'),
    'Ada "x" Lovelace <ada@included.example> Ada "x" Lovelace',
  )
  const listed = execFileSync('cat', [join(workspace, 'listed')]).toString()
  t.same(
    new Set(
      listed
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0]),
    ),
    new Set(['user.name', 'user.email', 'safe.directory']),
  )
  t.same(await headOf(ended), {
    before: { ref: 'refs/heads/main', commit: git(workspace, 'rev-parse', 'HEAD~2') },
    after: { ref: 'refs/heads/main', commit: git(workspace, 'rev-parse', 'HEAD') },
  })
})

void t.test('the operator says who runs are, or that they are nobody', async (t) => {
  const environment = { PATH: process.env['PATH'], HOME: operator }
  t.same(await createGitIdentity('Bot [ci] <bot@example.org>', environment)(), {
    name: 'Bot [ci]',
    email: 'bot@example.org',
  })
  t.same(await createGitIdentity('none', environment)(), {})
  t.same(await createGitIdentity(undefined, { ...environment, HOME: root })(), {}, 'a HOME without a configuration')
  t.same(await createGitIdentity(undefined, { PATH: '/nowhere', HOME: operator })(), {}, 'no git')
  // What is written is what git reads, whatever stands in it.
  const name = 'a "b" \\ c # d ; e'
  const folder = join(root, 'odd " \\ # folder')
  mkdirSync(folder)
  writeFileSync(join(folder, '.gitconfig'), toGitConfig({ name, email: 'a@b' }, folder))
  const read = (key: string): string =>
    execFileSync('git', ['config', '--global', '--get-all', key], {
      cwd: root,
      env: { PATH: process.env['PATH'], HOME: folder },
    }).toString()
  t.equal(read('user.name'), `${name}\n`)
  t.equal(read('safe.directory'), `${folder}\n${folder}/*\n`)
})

void t.test('git works in a workspace that belongs to another user', { skip: process.getuid?.() !== 0 }, async (t) => {
  const workspace = makeRepository('foreign')
  const other = 54_321
  const give = (path: string): void => {
    chownSync(path, other, other)
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) give(join(path, entry.name))
      else chownSync(join(path, entry.name), other, other)
    }
  }
  give(workspace)
  const ended = await run('git log --format=%s > said 2>&1', { workspace })
  t.equal(ended.status, 'succeeded')
  t.equal(execFileSync('cat', [join(workspace, 'said')]).toString(), 'first\n')
})

void t.test('HEAD of a worktree and of a submodule is told before and after', async (t) => {
  const main = makeRepository('main')
  const tree = join(projects, 'tree')
  git(main, 'worktree', 'add', '-q', '-b', 'fix', tree)
  const ended = await run('echo b >> a.txt', { workspace: tree })
  const commit = git(main, 'rev-parse', 'HEAD')
  const here = { ref: 'refs/heads/fix', commit }
  t.same(await headOf(ended), { before: here, after: here })
  makeRepository('part')
  git(main, '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', join(projects, 'part'), 'part')
  const part = join(main, 'part')
  t.match(await headOf(await run('true', { workspace: part })), {
    after: { ref: 'refs/heads/main', commit: git(part, 'rev-parse', 'HEAD') },
  })
})

void t.test('what a project says to Claude is told: what reached it, and what did not', async (t) => {
  const workspace = join(projects, 'told')
  for (const folder of ['', '.claude', '.claude/skills', '.claude/agents']) mkdirSync(join(workspace, folder))
  for (const file of ['CLAUDE.md', '.mcp.json', '.claude/settings.json']) writeFileSync(join(workspace, file), '{}')
  const rest = ['.claude/skills', '.claude/agents', '.claude/settings.json', '.mcp.json']
  const all = await saidBy(await run('true', { workspace }))
  t.same(all, { read: ['CLAUDE.md'], notRead: rest })
  const none = await saidBy(await run('true', { workspace, projectInstructions: false }))
  t.same(none, { read: [], notRead: ['CLAUDE.md', ...rest] })
  t.equal(await saidBy(await run('true')), undefined, 'an empty folder says nothing')
})
