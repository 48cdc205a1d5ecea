import { eachInTurn } from './each-in-turn.js'
import { clearTemporaryOf, hasTemporary, listFolderOwners, removeFolders } from '../workspaces/prepare-workspace.js'
import { isTerminal } from '../../protocol/execution.js'
import type { RunServices } from '../claim/run-services.js'
import { isSaved, lookAtWorktree } from '../../worktrees/look-at-worktree.js'
import { toLensGit } from '../../worktrees/lens.js'
import { removeWorktree } from '../../worktrees/remove-worktree.js'
import { listWorktreeRoots } from '../../worktrees/worktree-roots.js'
import { readWorktree, useWorktree } from '../../worktrees/worktree-record.js'

/**
 * Removes the folders of an execution, unless it is still known or others have gone on with its conversation. A git
 * worktree in which something is in no branch stays until a person removes it.
 */
export async function removeUnneeded(services: RunServices, executionId: string): Promise<void> {
  const { store, config } = services
  if (await store.needsFolders(executionId)) return
  await removeFolders(executionId, config, { keepsWorkspace: await keepsWorktree(services, executionId) })
}

async function keepsWorktree({ config, logger }: RunServices, executionId: string): Promise<boolean> {
  const worktree = await readWorktree(executionId, config)
  if (!worktree) return false
  if (worktree.state === 'ready') {
    const state = await lookAtWorktree(worktree, {
      dataDir: config.dataDir,
      git: toLensGit(config),
      roots: await listWorktreeRoots(worktree, config),
    })
    if (!isSaved(worktree, state)) {
      logger.warn(
        { executionId },
        'its worktree holds what is in no branch and is kept; cc-executor worktrees lists and removes it',
      )
      return true
    }
  }
  await removeWorktree(worktree, config)
  return false
}

/** Where a worker was killed, nobody cleared up after its run, and no other attempt may follow that would. */
async function clearLeft({ store, config }: RunServices, executionId: string): Promise<void> {
  if (!(await hasTemporary(executionId, config))) return
  const record = await store.get(executionId)
  if (!record || !isTerminal(record.state)) return
  await clearTemporaryOf(executionId, config)
  await useWorktree(record.workspace, config, { was: executionId })
}

/** Removes the folders of executions that are forgotten: deleted, or past their retention. */
export async function sweepFolders(services: RunServices): Promise<void> {
  const owners = await listFolderOwners(services.config)
  await eachInTurn(
    owners.filter((executionId) => !services.live.has(executionId)),
    async (executionId) => {
      await removeUnneeded(services, executionId)
      await clearLeft(services, executionId)
    },
  )
}
