import { operatorClaudeFolder } from '../../claude/install/credentials.js'
import { withAdmitted } from '../../platform/admitted-folders.js'
import { writeConfined } from '../../platform/confined-folder.js'
import { toGitConfig } from '../../platform/git-identity.js'
import type { RunServices } from '../claim/run-services.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { adoptSession } from '../workspaces/adopt-session.js'
import { prepareWorkspace, type RunFolders, type Workspace } from '../workspaces/prepare-workspace.js'
import { renewHome } from '../workspaces/renew-home.js'
import { workspaceOf } from '../workspaces/workspace-name.js'
import { writeInlineFiles } from '../workspaces/write-inline-files.js'
import type { HeldClaim } from './held-claim.js'
import { openCheckout } from './open-checkout.js'
import type { Unstarted } from './prepared-run.js'
import type { RunRepository } from './run-repository.js'
import { provideWorktree, type RunWorktree } from './run-worktree.js'
import { refused, toFolderFailure } from './start-failures.js'

export interface OpenedFolders {
  readonly kind: 'opened'
  readonly folders: RunFolders
  readonly workspace: Workspace
  /** undefined: its folder is no git worktree. */
  readonly worktree: RunWorktree | undefined
  /** undefined: it works on no repository of its own. */
  readonly repository: RunRepository | undefined
}

/** The folders of a run, made anew as far as an earlier one could have written what this one would obey. */
export async function openFolders(claim: HeldClaim, record: ExecutionRecord): Promise<OpenedFolders | Unstarted> {
  const { services } = claim
  const { config } = services
  try {
    const { folders, workspace } = await prepareWorkspace(
      { ...record, workspace: workspaceOf(record, record, config) },
      await withAdmitted(config, record.owner, record.workspace),
    )
    claim.lifetime.own('workspace', workspace, (opened) => opened.close())
    const taken = await takePlaces(claim, workspace)
    if (taken === 'parked') return { kind: 'parked' }
    if (taken === 'stopped') return { kind: 'stopped', folders }
    const worktree = await provideWorktree(claim, record, workspace)
    await renewHome(folders.home, { isFirstAttempt: record.attempt === 0 })
    // A further attempt keeps what the one before has made of it.
    if (record.attempt === 0) await writeGitConfig(services, folders, worktree !== undefined)
    for (const session of new Set([record.source?.sessionId, record.sessionId]))
      if (session !== undefined) await adoptSession(operatorClaudeFolder(config.environment), folders.home, session)
    const checkedOut = await openCheckout(claim, record, folders, workspace)
    if (checkedOut.kind !== 'checked_out') return checkedOut
    const { repository } = checkedOut
    // Once: a further attempt continues with what the one before has made of them.
    if (record.attempt === 0) await writeInlineFiles(workspace.address, record.request.files ?? [])
    return { kind: 'opened', folders, workspace, worktree, repository }
  } catch (error) {
    return refused(toFolderFailure(error))
  }
}

/** The folder itself is this execution's own, under every name that leads to it. */
async function takePlaces(
  { services, executionId, fence }: HeldClaim,
  { places }: Workspace,
): Promise<'taken' | 'parked' | 'stopped'> {
  // A fresh one has no other name.
  if (places.length === 0) return 'taken'
  const { kind, ready } = await services.store.takePlaces(executionId, fence, places)
  await enqueueReady(services, ...ready)
  return kind === 'taken' || kind === 'parked' ? kind : 'stopped'
}

/** Who it is in git, and that its workspace is its own to work in, whoever owns it. */
export async function writeGitConfig(
  { gitIdentity }: Pick<RunServices, 'gitIdentity'>,
  { home, workspace }: RunFolders,
  isWorktree: boolean,
): Promise<void> {
  // Of a repository that it may not write as a whole it has nothing to put in order.
  const more = isWorktree ? '[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n' : ''
  const text = toGitConfig(await gitIdentity(), workspace) + more
  await writeConfined(home, '.gitconfig', Buffer.from(text), { mode: 0o600, replaces: true })
}
