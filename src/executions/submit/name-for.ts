import { withAdmitted } from '../../platform/admitted-folders.js'
import type { Caller } from '../../protocol/caller.js'
import type { DomainServices } from '../services.js'
import { nameWorkspace, type WorkspaceName } from '../workspaces/workspace-name.js'

/** The workspace as the record names it, for this caller. @throws ExecutorError INVALID_REQUEST, FORBIDDEN */
export const nameFor = async (
  { config }: Pick<DomainServices, 'config'>,
  caller: Caller,
  wanted: string | undefined,
  executionId: string,
): Promise<WorkspaceName> =>
  wanted === undefined
    ? { name: executionId }
    : nameWorkspace(wanted, executionId, await withAdmitted(config, caller.id, wanted))
