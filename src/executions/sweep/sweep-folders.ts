import { eachInTurn } from './each-in-turn.js'
import { clearTemporaryOf, hasTemporary, listFolderOwners, removeFolders } from '../workspaces/prepare-workspace.js'
import { isTerminal } from '../../protocol/execution.js'
import type { RunServices } from '../claim/run-services.js'
import { readStandbyNote } from '../workspaces/standby-folders.js'
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
  if (await isStandbys(services, executionId)) return
  await removeFolders(executionId, config, { keepsWorkspace: await keepsWorktree(services, executionId) })
}

/** A CLI stands by in them, or a run begins in them: whoever made them is there, and removes them itself. */
async function isStandbys({ config, standby, workerId, workers }: RunServices, id: string): Promise<boolean> {
  const note = await readStandbyNote(id, config)
  if (!note) return false
  if (note.workerId === workerId) return standby.holds(id)
  return (await workers.list()).some((worker) => worker.id === note.workerId)
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
  // Folders that a CLI stood by in bear another id.
  const ownerId = (await readStandbyNote(executionId, config))?.executionId ?? executionId
  const record = await store.get(ownerId)
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
