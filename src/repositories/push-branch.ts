import type { RepositoryAddress } from '../platform/repository-url.js'
import type { PushError } from '../protocol/repositories.js'
import { openAccess } from './git-credentials.js'
import { GitError, toSaid } from '../git/git-error.js'
import { pushFiles } from './lfs.js'
import type { LfsPointer } from './lfs-pointers.js'
import type { Mirrors } from './mirror.js'
import { runGit } from './run-git.js'

/** A line of `git push --porcelain` that says no. */
const REFUSED = /^!\t\S*\t(.*)$/m
/** Where there is no sandbox nothing of a repository of this host may run: its hooks could be a run's. */
const WITHOUT_HOOKS = 'git -c core.hooksPath=/dev/null -c core.alternateRefsCommand=true receive-pack'

interface Pushed {
  readonly keeper: string
  readonly head: string
  readonly branch: string
  /** Of Git LFS, which go first: a branch without them would be of no use to anybody. */
  readonly files?: readonly LfsPointer[]
}

/** Pushes a commit as a branch, never by force. Failures are told, not thrown. undefined: it was taken. */
export async function pushBranch(
  { means, settings }: Mirrors,
  address: RepositoryAddress,
  { keeper, head, branch, files = [] }: Pushed,
): Promise<PushError | undefined> {
  const isLocal = address.kind === 'local'
  const hasSandbox = means.containment.sandbox?.levels.includes('locked') === true
  try {
    await pushFiles(means, { address, settings }, keeper, files)
    const access = await openAccess(address, settings.credentialsFile, means.home)
    const { exitCode, stdout, stderr } = await runGit(means, {
      args: [
        'push',
        '--porcelain',
        '--no-verify',
        '--no-follow-tags',
        '--no-force-with-lease',
        '--no-signed',
        ...(isLocal && !hasSandbox ? [`--receive-pack=${WITHOUT_HOOKS}`] : []),
        '--end-of-options',
        address.url,
        `${head}:refs/heads/${branch}`,
      ],
      cwd: keeper,
      env: { ...access.env, GIT_DIR: keeper },
      options: access.options,
      writable: isLocal ? [address.url] : [],
      isRemote: !isLocal,
      accepts: [0, 1, 128],
    })
    if (exitCode === 0) return undefined
    const said = toSaid(stderr, means.ownFolders)
    const refusal = REFUSED.exec(stdout.toString())?.[1]
    if (refusal === undefined) return { code: 'PUSH_FAILED', message: said }
    const remote = toSaid(
      stderr
        .split('\n')
        .filter((line) => line.startsWith('remote:'))
        .join('\n'),
    )
    return { code: 'PUSH_REJECTED', message: [toSaid(refusal), remote].filter((part) => part !== '').join(': ') }
  } catch (error) {
    if (!(error instanceof GitError)) throw error
    return { code: 'PUSH_FAILED', message: error.message }
  }
}
