import type { GitHead } from '../protocol/verification.js'
import { openGitFolders, readGitFile, type GitFolders } from './git-folder.js'

const REF_BYTES = 4 * 1024
/** A repository with more packed branches than fit tells its branch without a commit. */
const PACKED_BYTES = 1024 * 1024
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
/** As git admits names, which leaves no way out of its folder. */
const REF = /^ref: (refs\/(?!.*\.\.)[^\p{Cc}\s~^:?*[\\]+)$/u
/** What stands in HEAD where the refs are in git's other format (reftable), which is not read. */
const ELSEWHERE = 'refs/heads/.invalid'

const toCommit = (text: string | undefined): string | undefined =>
  text !== undefined && COMMIT.test(text) ? text : undefined

/**
 * Where the repository of a workspace stands, by its files alone: git itself would run programs that the repository
 * names. undefined where the workspace is none.
 */
export function readGitHead(workspace: string): GitHead | undefined {
  const git = openGitFolders(workspace)
  if (!git) return undefined
  try {
    return readHead(git)
  } finally {
    git.close()
  }
}

function readHead({ own, common }: GitFolders): GitHead | undefined {
  const head = readGitFile(own, 'HEAD', REF_BYTES)
  const detached = toCommit(head)
  if (detached !== undefined) return { commit: detached }
  const ref = head === undefined ? undefined : REF.exec(head)?.[1]
  if (ref === undefined || ref === ELSEWHERE) return undefined
  const packed = (): string | undefined =>
    readGitFile(common, 'packed-refs', PACKED_BYTES)
      ?.split('\n')
      .find((line) => line.endsWith(` ${ref}`))
      ?.split(' ')[0]
  const commit = toCommit(readGitFile(common, ref, REF_BYTES)) ?? toCommit(packed())
  return { ref, commit }
}
