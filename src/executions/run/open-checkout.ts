import type { OpenFolder } from '../../platform/open-folder.js'
import { GitError } from '../../git/git-error.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import type { HeldClaim } from './held-claim.js'
import type { Unstarted } from './prepared-run.js'
import { openRepository, type RunRepository } from './run-repository.js'
import { failed, refused } from './start-failures.js'

/** The checkout of a run on a repository, where it is one; what is wrong with it ends the execution. */
export async function openCheckout(
  claim: HeldClaim,
  record: ExecutionRecord,
  folders: RunFolders,
  workspace: OpenFolder,
): Promise<{ readonly kind: 'checked_out'; readonly repository: RunRepository | undefined } | Unstarted> {
  try {
    return { kind: 'checked_out', repository: await openRepository(claim, record, workspace) }
  } catch (error) {
    if (!(error instanceof GitError)) throw error
    if (claim.preparing.aborted) return { kind: 'stopped', folders }
    return refused(failed('REPOSITORY_ERROR', error.message))
  }
}
