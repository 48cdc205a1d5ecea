import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorktreeOutcome } from '../protocol/worktrees.js'
import { readGitHead } from '../verification/git-head.js'
import { lensOf, runGit, setLensHead, type LensGit } from './lens.js'
import { requireOwnObjects } from './require-own-objects.js'
import { keeperOf, type WorktreeRecord } from './worktree-record.js'

const SHOWN = 50

/** What lies in a worktree beside the commit at which it began. */
export interface WorktreeState {
  readonly head: string
  /** undefined: HEAD is detached. */
  readonly headBranch: string | undefined
  readonly commits: number
  /** Files that are in no commit, and submodules that were checked out. */
  readonly uncommitted: readonly string[]
}

export interface LookOptions {
  readonly dataDir: string
  readonly git: LensGit
  /** Real paths; a run may have told the repository to borrow objects of others. */
  readonly roots: readonly string[]
}

/** Folders of submodules in which something lies: git does not look into them, nor do we. */
async function listFilledModules(workspace: string, listing: string): Promise<string[]> {
  const names = listing
    .split('\0')
    .filter((entry) => entry.startsWith('160000 '))
    .map((entry) => entry.slice(entry.indexOf('\t') + 1))
  const filled = await Promise.all(
    names.map(async (name) => (await readdir(join(workspace, name)).catch(() => [])).length > 0),
  )
  return names.filter((_name, index) => filled[index])
}

/**
 * How a worktree stands, by the worker's own index and view of the repository: what the run has written into its own
 * (an index that hides changes, a configuration) is not asked. undefined: it cannot be told.
 */
export async function lookAtWorktree(
  { id, workspace, base, common, state }: WorktreeRecord,
  { dataDir, git, roots }: LookOptions,
): Promise<WorktreeState | undefined> {
  const found = state === 'ready' ? readGitHead(workspace) : undefined
  const head = found?.commit
  if (head === undefined) return undefined
  const lens = lensOf(keeperOf(id, { dataDir }))
  try {
    await requireOwnObjects(common, roots)
    await setLensHead(lens, head)
    await runGit(lens, ['read-tree', '-m', head], { git })
    const count = await runGit(lens, ['rev-list', '--count', `${base}..${head}`], { git })
    const status = [
      'status',
      '--porcelain',
      '-z',
      '--untracked-files=normal',
      '--ignore-submodules=all',
      '--no-renames',
    ]
    const changed = (await runGit(lens, status, { workTree: workspace, git }))
      .split('\0')
      .filter((entry) => entry !== '')
    const modules = await listFilledModules(workspace, await runGit(lens, ['ls-files', '--stage', '-z'], { git }))
    return {
      head,
      headBranch: found?.ref?.replace(/^refs\/heads\//, ''),
      commits: Number(count.trim()),
      uncommitted: [...changed.map((entry) => entry.slice(3)), ...modules],
    }
  } catch {
    return undefined
  }
}

/** Commits that no branch leads to are kept by the worktree alone. */
export const isDetachedAhead = ({ base }: WorktreeRecord, { head, headBranch }: WorktreeState): boolean =>
  headBranch === undefined && head !== base

/** Whether it can go without anything being lost. */
export const isSaved = (record: WorktreeRecord, state: WorktreeState | undefined): boolean =>
  state !== undefined && state.uncommitted.length === 0 && !isDetachedAhead(record, state)

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`

function toMessage(record: WorktreeRecord, state: WorktreeState | undefined): string {
  const where = `cc-executor worktrees list shows its folder, cc-executor worktrees remove ${record.id} removes it`
  if (!state)
    return `git could not tell what was left in the worktree; it is kept, and not removed with the execution: ${where}.`
  const commits = state.commits === 0 ? 'no commits' : count(state.commits, 'commit')
  if (isSaved(record, state))
    return (
      `The run left ${commits} on ${state.headBranch ?? 'no branch'} and nothing uncommitted. The worktree is ` +
      `removed with the execution, the branch stays${state.commits === 0 ? ' only if it has a commit' : ''}: ${where}.`
    )
  const uncommitted = state.uncommitted.length === 0 ? 'commits on no branch' : count(state.uncommitted.length, 'file')
  return (
    `The run left ${commits}, and in no branch: ${uncommitted}. The worktree is kept, also when the execution is ` +
    `deleted, until it is removed by hand: ${where}.`
  )
}

/** What became of it, for the execution. */
export const toWorktreeOutcome = (record: WorktreeRecord, state: WorktreeState | undefined): WorktreeOutcome => ({
  branch: record.branch,
  baseCommit: record.base,
  headCommit: state?.head,
  headBranch: state?.headBranch,
  commits: state?.commits,
  uncommitted: state?.uncommitted.length,
  uncommittedFiles: state && state.uncommitted.length > 0 ? state.uncommitted.slice(0, SHOWN) : undefined,
  message: toMessage(record, state),
})
