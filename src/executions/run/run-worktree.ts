import { realpath } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { withAdmitted } from '../../platform/admitted-folders.js'
import type { Outcome } from '../../protocol/execution.js'
import { isExecutionId } from '../../protocol/ids.js'
import type { StartedWorktree } from '../../protocol/worktrees.js'
import { GitError } from '../../git/git-error.js'
import { lookAtWorktree, toWorktreeOutcome } from '../../worktrees/look-at-worktree.js'
import { toLensGit } from '../../worktrees/lens.js'
import { makeWorktree } from '../../worktrees/make-worktree.js'
import { removeWorktree } from '../../worktrees/remove-worktree.js'
import { listWorktreeRoots } from '../../worktrees/worktree-roots.js'
import { readWorktree, useWorktree, type WorktreeRecord } from '../../worktrees/worktree-record.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { openWorkspace, WorkspaceError, type Workspace } from '../workspaces/prepare-workspace.js'
import { isInside } from '../workspaces/workspace-name.js'
import type { HeldClaim } from './held-claim.js'
import type { Opening } from './opening.js'

/** The git worktree that a run works in. */
export interface RunWorktree {
  readonly started: StartedWorktree
  /** What a run at a level above `host` sees of the repository beside its worktree. */
  readonly opening: Opening
  /** The outcome with what became of it. */
  conclude(outcome: Outcome): Promise<Outcome>
}

/**
 * What a commit needs. The repository's configuration, hooks, HEAD and index would be obeyed by the git of whoever
 * works in the checkout, and its other worktrees are those of others: a run can read them and no more.
 */
const toOpening = ({ common, id }: WorktreeRecord): Opening => ({
  readable: [common],
  writable: ['objects', 'refs', 'logs', `worktrees/${id}`].map((name) => join(common, name)),
  // Where objects would be borrowed from.
  protected: [join(common, 'objects/info')],
})

/** @throws WorkspaceError */
async function make(claim: HeldClaim, record: ExecutionRecord, workspace: Workspace, roots: readonly string[]) {
  const { config } = claim.services
  const { worktree: request, workspace: name } = record.request
  if (request === undefined || name === undefined || !isAbsolute(name)) return undefined
  // It would be made where it is missing, and a repository is not made by asking for it.
  if ((await realpath(name).catch(() => undefined)) === undefined)
    throw new WorkspaceError('worktree: the workspace does not exist on the worker.')
  const repository = await openWorkspace(name, await withAdmitted(config, record.owner, name))
  try {
    return await makeWorktree({
      id: record.workspace,
      owner: record.owner,
      request,
      repository: { name, path: repository.path, address: repository.address },
      workspace,
      roots,
      dataDir: config.dataDir,
      git: toLensGit(config),
      usedBy: record.id,
    })
  } catch (error) {
    if (!(error instanceof GitError)) throw error
    throw new WorkspaceError(`worktree: ${error.message.replaceAll(config.dataDir, '…')}`, { cause: error })
  } finally {
    await repository.close()
  }
}

/**
 * The worktree that belongs to the folder of an execution: the one that is there, or a new one where that was asked
 * for. undefined: the folder is none. @throws WorkspaceError, or an errno exception
 */
export async function provideWorktree(
  claim: HeldClaim,
  record: ExecutionRecord,
  workspace: Workspace,
): Promise<RunWorktree | undefined> {
  const { config, logger } = claim.services
  if (!isExecutionId(record.workspace)) return undefined
  let known = await readWorktree(record.workspace, config)
  if (!known && record.request.worktree === undefined) return undefined
  const roots = await listWorktreeRoots(record, config)
  // A worker died in the middle of it.
  if (known?.state === 'making') {
    await removeWorktree(known, config, { keepsFolder: true })
    known = undefined
  }
  const worktree = known ?? (await make(claim, record, workspace, roots))
  if (!worktree) return undefined
  if (!roots.some((root) => isInside(worktree.common, root)))
    throw new WorkspaceError('worktree: its repository is no longer inside an allowed folder.')
  await useWorktree(worktree.id, config, { usedBy: record.id })
  claim.lifetime.own('worktree', worktree, ({ id }) => useWorktree(id, config, { was: record.id }))
  const { ref, branch, base } = worktree
  return {
    started: { ref, branch, commit: base },
    opening: toOpening(worktree),
    async conclude(outcome) {
      const state = await lookAtWorktree(worktree, {
        dataDir: config.dataDir,
        git: toLensGit(config),
        roots,
      })
      if (!state) logger.warn({ executionId: record.id }, 'git could not tell what a run left in its worktree')
      return { ...outcome, worktree: toWorktreeOutcome(worktree, state) }
    },
  }
}
