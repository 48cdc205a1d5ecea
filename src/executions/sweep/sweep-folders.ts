import { eachInTurn } from './each-in-turn.js'
import { listFolderOwners, removeFolders } from '../workspaces/prepare-workspace.js'
import type { RunServices } from '../claim/run-services.js'

/** Removes the folders of an execution, unless it is still known or others have gone on with its conversation. */
export async function removeUnneeded({ store, config }: RunServices, executionId: string): Promise<void> {
  if (await store.needsFolders(executionId)) return
  await removeFolders(executionId, config)
}

/** Removes the folders of executions that are forgotten: deleted, or past their retention. */
export async function sweepFolders(services: RunServices): Promise<void> {
  const owners = await listFolderOwners(services.config)
  await eachInTurn(
    owners.filter((executionId) => !services.live.has(executionId)),
    (executionId) => removeUnneeded(services, executionId),
  )
}
