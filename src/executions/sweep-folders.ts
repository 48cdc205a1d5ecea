import { listFolderOwners, removeFolders } from './prepare-workspace.js'
import type { RunServices } from './run-services.js'

/** Removes the folders of executions that are forgotten: deleted, or past their retention. */
export async function sweepFolders({ store, config, live }: RunServices): Promise<void> {
  for (const executionId of await listFolderOwners(config)) {
    if (live.has(executionId) || (await store.exists(executionId))) continue
    await removeFolders(executionId, config)
  }
}
