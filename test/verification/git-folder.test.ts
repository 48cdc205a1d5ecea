// Workspaces whose `.git` is a file: worktrees and submodules, and files that only pretend to be one.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readGitHead } from '../../src/verification/git-head.js'

const root = realpathSync(mkdtempSync(join(tmpdir(), 'cce-git-')))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'protocol.file.allow=always']
const git = (folder: string, ...args: string[]): string =>
  execFileSync('git', ['-C', join(root, folder), ...identity, ...args], {
    env: { PATH: process.env['PATH'], HOME: root },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .toString()
    .trim()
const init = (folder: string): string => {
  mkdirSync(join(root, folder))
  git(folder, 'init', '-q', '-b', 'main')
  git(folder, 'commit', '-q', '--allow-empty', '-m', folder)
  return git(folder, 'rev-parse', 'HEAD')
}

void t.test('HEAD of a worktree and of a submodule is read where their .git file leads', async (t) => {
  const first = init('main')
  git('main', 'worktree', 'add', '-q', '-b', 'fix/x', '../tree')
  t.same(readGitHead(join(root, 'tree')), { ref: 'refs/heads/fix/x', commit: first })
  git('tree', 'commit', '-q', '--allow-empty', '-m', 'two')
  const second = git('tree', 'rev-parse', 'HEAD')
  t.same(readGitHead(join(root, 'tree')), { ref: 'refs/heads/fix/x', commit: second })
  t.same(readGitHead(join(root, 'main')), { ref: 'refs/heads/main', commit: first }, 'the other one stays')
  git('main', 'pack-refs', '--all')
  t.same(readGitHead(join(root, 'tree')), { ref: 'refs/heads/fix/x', commit: second }, 'packed')
  git('tree', 'checkout', '-q', '--detach')
  t.same(readGitHead(join(root, 'tree')), { commit: second })

  const part = init('a part')
  git('main', 'submodule', 'add', '-q', join(root, 'a part'), 'a part')
  t.same(readGitHead(join(root, 'main/a part')), { ref: 'refs/heads/main', commit: part })
  git('main', 'commit', '-q', '-m', 'with a part')
  git('main', 'worktree', 'add', '-q', '../other')
  git('other', 'submodule', 'update', '--init', '-q')
  t.same(readGitHead(join(root, 'other/a part')), { commit: part }, 'a submodule of a worktree')
})

void t.test('a .git file that leads to a repository of somebody else tells nothing of it', async (t) => {
  const commit = init('secret')
  git('secret', 'worktree', 'add', '-q', '../theirs')
  const real = readFileSync(join(root, 'theirs/.git'), 'utf8')
  t.equal(readGitHead(join(root, 'theirs'))?.commit, commit)
  const sly = join(root, 'sly')
  mkdirSync(sly)
  const pretend = (text: string): void => writeFileSync(join(sly, '.git'), text)
  for (const text of [
    `gitdir: ${join(root, 'secret/.git')}\n`,
    'gitdir: ../secret/.git\n',
    real,
    'gitdir: /\n',
    'gitdir: /nowhere\n',
    'gitdir: \n',
    `gitdir: ${'x'.repeat(9_000)}\n`,
  ]) {
    pretend(text)
    t.equal(readGitHead(sly), undefined, text.slice(0, 60))
  }
  // A folder that names the workspace, with a common one that does not know it.
  const fake = join(sly, 'own/worktrees/x')
  mkdirSync(fake, { recursive: true })
  writeFileSync(join(fake, 'gitdir'), join(sly, '.git'))
  writeFileSync(join(fake, 'HEAD'), 'ref: refs/heads/main')
  writeFileSync(join(fake, 'commondir'), join(root, 'secret/.git'))
  pretend('gitdir: own/worktrees/x')
  t.same(readGitHead(sly), { ref: 'refs/heads/main', commit: undefined }, 'commondir is not believed')
  symlinkSync(join(root, 'secret/.git/refs'), join(sly, 'own/refs'))
  t.same(readGitHead(sly), { ref: 'refs/heads/main', commit: undefined }, 'nor a link to the refs of others')
})
