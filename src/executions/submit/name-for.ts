import { withAdmitted } from '../../platform/admitted-folders.js'
import type { Caller } from '../../protocol/caller.js'
import type { DomainServices } from '../services.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import { nameRequested, type WorkspaceName } from '../workspaces/workspace-name.js'

/** The workspace as the record names it, for this caller. @throws ExecutorError INVALID_REQUEST, FORBIDDEN */
export const nameFor = async (
  { config }: Pick<DomainServices, 'config'>,
  caller: Caller,
  request: Pick<ExecuteRequest, 'workspace' | 'worktree'>,
  executionId: string,
): Promise<WorkspaceName> =>
  request.workspace === undefined
    ? { name: executionId }
    : nameRequested(request, executionId, await withAdmitted(config, caller.id, request.workspace))
