import { eachInTurn } from './each-in-turn.js'
import { clearTemporaryOf, hasTemporary, listFolderOwners, removeFolders } from '../workspaces/prepare-workspace.js'
import { isTerminal } from '../../protocol/execution.js'
import type { RunServices } from '../claim/run-services.js'

/** Removes the folders of an execution, unless it is still known or others have gone on with its conversation. */
export async function removeUnneeded({ store, config }: RunServices, executionId: string): Promise<void> {
  if (await store.needsFolders(executionId)) return
  await removeFolders(executionId, config)
}

/** Where a worker was killed, nobody cleared up after its run, and no other attempt may follow that would. */
async function clearLeft({ store, config }: RunServices, executionId: string): Promise<void> {
  if (!(await hasTemporary(executionId, config))) return
  const record = await store.get(executionId)
  if (record && isTerminal(record.state)) await clearTemporaryOf(executionId, config)
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
