import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../platform/make-folder.js'
import type { OpenFolder } from '../../platform/open-folder.js'
import { removeTree } from '../../platform/remove-tree.js'
import { parseRepositoryUrl } from '../../platform/repository-url.js'
import type { SecretMask } from '../../platform/secret-mask.js'
import { isExecutionId } from '../../protocol/ids.js'
import type { Outcome } from '../../protocol/execution.js'
import type { PushError, RepositoryOutcome, StartedRepository } from '../../protocol/repositories.js'
import { toAuthor } from '../../repositories/author.js'
import { provideCheckout, writeState, type Checkout } from '../../repositories/checkout.js'
import { commitChanges, type Committed } from '../../repositories/commit-changes.js'
import { deliver } from '../../repositories/deliver.js'
import { makeGitHome } from '../../git/git-environment.js'
import { GitError } from '../../git/git-error.js'
import { someFileHolds } from '../../repositories/lfs-store.js'
import type { Mirrors } from '../../repositories/mirror.js'
import { pruneMirrors } from '../../repositories/prune-mirrors.js'
import { pushBranch } from '../../repositories/push-branch.js'
import { isAllowedRepository } from '../claim/require-repository.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { gitHomeOf, mirrorsOf, repositoryOf } from '../workspaces/prepare-workspace.js'
import { isInside } from '../workspaces/workspace-name.js'
import type { HeldClaim } from './held-claim.js'

/** The checkout of a run, from before its start to its end. */
export interface RunRepository {
  readonly started: StartedRepository
  /** Commits what the run has left, and keeps it; told of by `conclude`. */
  commit(mask: SecretMask): Promise<void>
  /** Pushes it, where that was asked for and nothing speaks against it. The outcome with what became of it. */
  conclude(outcome: Outcome): Promise<Outcome>
}

const toErrorText = (error: unknown): string => (error instanceof Error ? error.message : String(error))

interface Place {
  /** The worker's own, beside the session's folders. */
  readonly folder: string
  readonly workspace: OpenFolder
}

/** git under this claim: what it starts ends with it. */
async function openMirrors(claim: HeldClaim, executionId: string, signal: AbortSignal): Promise<Mirrors> {
  const { config, containment } = claim.services
  const [home, folder] = [gitHomeOf(executionId, config), mirrorsOf(config)]
  await makeGitHome(home)
  await makeFolder(folder, 0o700)
  return {
    settings: config.repositories,
    folder: await realpath(folder),
    means: {
      containment,
      marker: claim.marker,
      heartbeatTimeoutMs: (config.lockSeconds * 1_000) / 2,
      onProcess: (child) => claim.lease.attach(() => child.heartbeat()),
      environment: config.environment,
      limits: config.sandbox.limits,
      home: await realpath(home),
      ownFolders: [await realpath(config.dataDir), config.dataDir],
      timeoutMs: config.repositories.timeoutMs,
      signal,
    },
  }
}

/** What lies at a path of this host may have become a link since it was asked for. */
async function requireInPlace(url: string, { config }: HeldClaim['services']): Promise<void> {
  if (parseRepositoryUrl(url).kind !== 'local') return
  const real = await realpath(url).catch(() => undefined)
  if (real === undefined) throw new GitError('failed', 'There is no such folder on the worker.')
  const roots = await Promise.all(config.allowedRoots.map((root) => realpath(root).catch(() => root)))
  // By its own name: a link would be another repository than the one on the list.
  if (
    !roots.some((root, index) => isInside(real, root) && real === root + url.slice(config.allowedRoots[index]?.length))
  )
    throw new GitError('failed', 'The path of the repository leads elsewhere through a symbolic link.')
}

/**
 * The checkout that an execution works in; undefined: its workspace is none. Whoever calls sees to it that `signal`
 * aborts when it must not start any more. @throws GitError
 */
export async function openRepository(
  claim: HeldClaim,
  record: ExecutionRecord,
  workspace: OpenFolder,
): Promise<RunRepository | undefined> {
  const { config } = claim.services
  const request = record.request.repository
  if (!isExecutionId(record.workspace)) return undefined
  const folder = repositoryOf(record.workspace, config)
  const home = gitHomeOf(record.id, config)
  try {
    if (request) await requireInPlace(request.url, claim.services)
    const mirrors = await openMirrors(claim, record.id, claim.preparing)
    const place = { folder: join(await realpath(join(folder, '..')), 'repository'), workspace }
    const isAllowed = (url: string): boolean => isAllowedRepository(url, config)
    const checkout = await provideCheckout(mirrors, record.id, request, place, isAllowed)
    if (request)
      await pruneNow(claim).catch((err: unknown) => claim.services.logger.warn({ err }, 'mirrors were not pruned'))
    return checkout && new OpenedRepository(claim, record.id, place, checkout)
  } finally {
    await removeTree(home).catch(() => undefined)
  }
}

class OpenedRepository implements RunRepository {
  readonly #claim: HeldClaim
  readonly #executionId: string
  readonly #place: Place
  readonly #checkout: Checkout
  #committed: Committed | undefined
  #failure: string | undefined
  #holdsSecret = false

  constructor(claim: HeldClaim, executionId: string, place: Place, checkout: Checkout) {
    this.#claim = claim
    this.#executionId = executionId
    this.#place = place
    this.#checkout = checkout
  }

  get started(): StartedRepository {
    const { state, base } = this.#checkout
    return { url: state.url, ref: state.ref, baseCommit: base, branch: state.branch }
  }

  async commit(mask: SecretMask): Promise<void> {
    await this.#within(async (mirrors) => {
      const { config, gitIdentity } = this.#claim.services
      const message = `Changes of cc-executor execution ${this.#executionId}`
      const author = toAuthor(await gitIdentity())
      const { workspace } = this.#place
      const limitBytes = config.repositories.limitBytes
      const options = { checkout: this.#checkout, workspace, author, message, limitBytes }
      const committed = await commitChanges(mirrors.means, options)
      this.#committed = committed
      const { state } = this.#checkout
      await writeState(this.#place.folder, { ...state, head: committed.head })
      await this.#keep(mirrors, committed, { message, author, limitBytes: config.filesLimitBytes }, mask)
    }).catch((error: unknown) => {
      this.#failure = `What the run changed could not be committed: ${toErrorText(error)}`
      this.#claim.services.logger.warn({ executionId: this.#executionId, err: error }, 'a checkout was not committed')
    })
  }

  async conclude(outcome: Outcome): Promise<Outcome> {
    const committed = this.#committed
    if (!committed) {
      if (this.#failure === undefined || outcome.status !== 'succeeded') return outcome
      return { ...outcome, status: 'failed', code: 'REPOSITORY_ERROR', message: this.#failure }
    }
    const pushError = this.#wantsPush(outcome, committed) ? await this.#push(committed) : 'unwanted'
    const { base, head, tree, commits, filesChanged, insertions, deletions, notCommitted } = committed
    const { url, branch } = this.#checkout.state
    const repository: RepositoryOutcome = {
      url,
      baseCommit: base,
      headCommit: head,
      tree,
      branch,
      commits,
      filesChanged,
      insertions,
      deletions,
      pushed: pushError === undefined,
      pushError: pushError === 'unwanted' ? undefined : pushError,
      notCommitted: notCommitted.length > 0 ? [...notCommitted] : undefined,
    }
    return { ...outcome, repository }
  }

  /** `verified`: what failed is not only what was asked about. */
  #wantsPush({ status, verification }: Outcome, { base, head }: Committed): boolean {
    const { push } = this.#checkout.state
    if (push === 'never' || head === base) return false
    return push === 'always' || (status === 'succeeded' && verification?.status !== 'failed')
  }

  async #push({ head, files }: Committed): Promise<PushError | undefined> {
    const { url, branch } = this.#checkout.state
    if (this.#holdsSecret)
      return { code: 'SECRET_FOUND', message: 'The commits contain a secret of the operator and were not pushed.' }
    if (!isAllowedRepository(url, this.#claim.services.config))
      return { code: 'REPOSITORY_NOT_ALLOWED', message: 'The repository is no longer on the operator’s list.' }
    try {
      return await this.#within(async (mirrors) => {
        await requireInPlace(url, this.#claim.services)
        return pushBranch(mirrors, parseRepositoryUrl(url), {
          keeper: this.#checkout.keeper,
          head,
          branch,
          files,
        })
      })
    } catch (error) {
      this.#claim.services.logger.warn({ executionId: this.#executionId, err: error }, 'a branch was not pushed')
      return { code: 'PUSH_FAILED', message: toErrorText(error) }
    }
  }

  /** Where every API finds it; the end of the execution does not depend on it. */
  async #keep(
    mirrors: Mirrors,
    committed: Committed,
    options: Parameters<typeof deliver>[4],
    mask: SecretMask,
  ): Promise<void> {
    const { services, fence } = this.#claim
    const { keeper, state } = this.#checkout
    const { patch, bundle } = await deliver(mirrors.means, keeper, state.branch, committed, options)
    const isInFile = await someFileHolds(keeper, committed.files, (text) => mask.holds(text))
    this.#holdsSecret = isInFile || (Buffer.isBuffer(patch) && mask.holds(patch.toString()))
    try {
      const writer = services.files.openWriter(this.#executionId, fence)
      await writer.artifact('patch', this.#holdsSecret ? 'withheld' : patch)
      if (bundle !== undefined) await writer.artifact('bundle', this.#holdsSecret ? 'withheld' : bundle)
      await writer.flush()
    } catch (err) {
      services.logger.warn({ executionId: this.#executionId, err }, 'the patch of a run was not kept')
    }
  }

  async #within<Result>(act: (mirrors: Mirrors) => Promise<Result>): Promise<Result> {
    try {
      return await act(await openMirrors(this.#claim, this.#executionId, this.#claim.context.signal))
    } finally {
      await removeTree(gitHomeOf(this.#executionId, this.#claim.services.config)).catch(() => undefined)
    }
  }
}

let prunedAt = 0
const PRUNE_INTERVAL_MS = 60_000

/** Now and then, after a run has begun: mirrors beyond the operator's limits go. */
async function pruneNow(claim: HeldClaim): Promise<void> {
  const now = performance.now()
  if (prunedAt !== 0 && now - prunedAt < PRUNE_INTERVAL_MS) return
  prunedAt = now
  const { config } = claim.services
  await pruneMirrors(mirrorsOf(config), config.repositories, claim.context.signal)
}
