import { randomUUID } from 'node:crypto'
import { lstat, readdir, readFile, realpath, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GitError } from '../git/git-error.js'
import { removeConfined, writeConfined } from '../platform/confined-folder.js'
import { makeFolder, makeFolderFor } from '../platform/make-folder.js'
import { removeTree } from '../platform/remove-tree.js'
import type { WorktreeRequest } from '../protocol/worktrees.js'
import { openGitFolders, type GitFolder, type GitFolders } from '../verification/git-folder.js'
import { findObject, isFreeBranch } from './find-commit.js'
import { copyIndex, lensOf, makeLens, runGit, type LensGit } from './lens.js'
import { requireOwnObjects } from './require-own-objects.js'
import { removeAdministration } from './remove-worktree.js'
import { forgetWorktree, keeperOf, writeWorktree, type WorktreeRecord } from './worktree-record.js'

export interface WorktreePlan {
  /** The execution that it is made for. */
  readonly id: string
  readonly owner: string
  readonly request: WorktreeRequest
  /** The checkout, opened: its path is the kernel's own. */
  readonly repository: { readonly name: string; readonly path: string; readonly address: string }
  /** The folder of the run, opened. */
  readonly workspace: { readonly path: string; readonly address: string }
  /** Folders in which runs may work; real paths. */
  readonly roots: readonly string[]
  readonly dataDir: string
  readonly git: LensGit
  readonly usedBy: string
}

type Common = GitFolder & { readonly path: string }

async function requireRepository({ repository, roots }: WorktreePlan): Promise<GitFolders & { common: Common }> {
  const git = openGitFolders(repository.address)
  if (!git) throw new GitError('failed', 'It is not the top folder of a git repository.')
  try {
    const path = git.common.path ?? (await realpath(join(repository.path, '.git')))
    await requireOwnObjects(path, roots)
    return { ...git, common: { ...git.common, path } }
  } catch (error) {
    git.close()
    throw error
  }
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await removeTree(join(folder, name))
}

/**
 * Checks out into a folder beside, and then moves it in: a git whose worker was killed may go on writing, and must not
 * write where the next one has begun anew.
 */
async function checkOut({ workspace, git }: WorktreePlan, keeper: string, commit: string): Promise<void> {
  const draft = `.cc-executor-${randomUUID()}`
  const workTree = join(workspace.path, draft)
  await makeFolder(workTree, 0o700)
  await runGit(lensOf(keeper), ['read-tree', '-u', '--reset', commit], { workTree, git })
  for (const name of await readdir(workTree)) await rename(join(workTree, name), join(workspace.address, name))
  await removeTree(workTree)
}

/** What root makes in somebody's repository is that one's. */
async function makeLike(common: Common, name: string): Promise<void> {
  const path = join(common.address, name)
  const owner = await stat(common.address)
  if (process.getuid?.() === 0) await makeFolderFor(owner, path, 0o755)
  else await makeFolder(path, 0o755)
  // Whoever may write the repository may have put a link there.
  const stats = await lstat(path)
  if (!stats.isDirectory()) throw new GitError('failed', `${name} of the repository is not a folder.`)
}

/** As `git worktree add` would make it. */
async function administer({ id, workspace }: WorktreePlan, common: Common, keeper: string, branch: string) {
  for (const name of ['worktrees', 'logs', 'objects/info']) await makeLike(common, name)
  const folder = `worktrees/${id}`
  const write = (name: string, content: string | Buffer): Promise<void> =>
    writeConfined(common.address, `${folder}/${name}`, Buffer.from(content), { replaces: true })
  await write('gitdir', `${workspace.path}/.git\n`)
  await write('commondir', '../..\n')
  await write('HEAD', `ref: refs/heads/${branch}\n`)
  const index = join(keeper, 'index')
  await copyIndex(lensOf(keeper), index)
  await write('index', await readFile(index))
  const text = `gitdir: ${common.path}/${folder}\n`
  await writeConfined(workspace.address, '.git', Buffer.from(text), { replaces: true })
}

/**
 * Gives a run a worktree of exactly what was named. Nothing of the repository is run for it: git sees its objects
 * alone, by a repository of the worker's own, and everything else is read and written as files. So filters of the
 * repository (Git LFS) are not applied, and submodules stay empty. @throws GitError, or an errno exception
 */
export async function makeWorktree(plan: WorktreePlan): Promise<WorktreeRecord> {
  const { id, owner, request, repository, workspace, dataDir, usedBy } = plan
  const git = await requireRepository(plan)
  try {
    const { common } = git
    const keeper = keeperOf(id, { dataDir })
    const branch = request.branch ?? `cc-executor/${id}`
    const object = findObject(git, request.ref)
    await removeTree(keeper)
    const making: WorktreeRecord = {
      version: 1,
      state: 'making',
      id,
      owner,
      repository: repository.name,
      common: common.path,
      workspace: workspace.path,
      ref: request.ref,
      branch,
      base: object,
      createdAt: new Date().toISOString(),
      usedBy,
    }
    await writeWorktree(making, { dataDir })
    let isBranchMade = false
    try {
      await makeLens(lensOf(keeper), common, object.length === 64 ? object : object.slice(0, 40).padEnd(40, '0'))
      const found = await runGit(lensOf(keeper), ['rev-parse', '--verify', '--end-of-options', `${object}^{commit}`], {
        git: plan.git,
      })
      const base = found.trim()
      if (!isFreeBranch(git, branch))
        throw new GitError('failed', `The repository has a branch ${JSON.stringify(branch)} already; name another one.`)
      await empty(workspace.address)
      await checkOut(plan, keeper, base)
      // From here on it is this one's to take away.
      const known = { ...making, base }
      await writeWorktree(known, { dataDir })
      await writeConfined(common.address, `refs/heads/${branch}`, Buffer.from(`${base}\n`), { replaces: false })
      isBranchMade = true
      await administer(plan, common, keeper, branch)
      const ready: WorktreeRecord = { ...known, state: 'ready' }
      await writeWorktree(ready, { dataDir })
      return ready
    } catch (error) {
      await removeAdministration(making).catch(() => undefined)
      if (isBranchMade) await removeConfined(common.address, `refs/heads/${branch}`).catch(() => undefined)
      await empty(workspace.address).catch(() => undefined)
      await forgetWorktree(id, { dataDir }).catch(() => undefined)
      throw error
    }
  } finally {
    git.close()
  }
}
