import { GitError } from '../git/git-error.js'
import { readGitFile, type GitFolders } from '../verification/git-folder.js'

const REF_BYTES = 4 * 1024
const PACKED_BYTES = 64 * 1024 * 1024
const ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
const ABBREVIATED = /^[0-9a-f]{4,64}$/
/** As git admits names of references. */
const SYMBOLIC = /^ref: (refs\/(?!.*\.\.)[^\p{Cc}\s~^:?*[\\]+)$/u
/** A reference that leads to another one leads to a value at last. */
const STEPS = 5
/** What stands in HEAD where the references are in git's other format (reftable). */
const ELSEWHERE = 'ref: refs/heads/.invalid'

type Packed = ReadonlyMap<string, string>

function readPacked({ common }: Pick<GitFolders, 'common'>): Packed {
  const lines = (readGitFile(common, 'packed-refs', PACKED_BYTES) ?? '').split('\n')
  return new Map(
    lines
      .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('^'))
      .map((line) => [line.slice(line.indexOf(' ') + 1), line.slice(0, line.indexOf(' '))] as const),
  )
}

/** What a reference says, whichever object that is. */
function readReference(git: GitFolders, name: string, packed: Packed): string | undefined {
  let current = name
  for (let step = 0; step < STEPS; step += 1) {
    const text = readGitFile(current === 'HEAD' ? git.own : git.common, current, REF_BYTES) ?? packed.get(current)
    if (text === undefined) return undefined
    if (ID.test(text)) return text
    const next = SYMBOLIC.exec(text)?.[1]
    if (next === undefined) return undefined
    current = next
  }
  return undefined
}

/**
 * The object that a name means, in git's own order: what it calls exactly, tags, branches, those of remotes; else it
 * may be the beginning of a commit's own name. By the repository's files alone. @throws GitError
 */
export function findObject(git: GitFolders, name: string): string {
  if (readGitFile(git.own, 'HEAD', REF_BYTES) === ELSEWHERE)
    throw new GitError('failed', 'The repository keeps its references in a format that is not read here (reftable).')
  if (ID.test(name)) return name
  const packed = readPacked(git)
  const places = ['', 'refs/', 'refs/tags/', 'refs/heads/', 'refs/remotes/'].map((place) => `${place}${name}`)
  // A plain name of its own is one of git's files; only HEAD is a reference.
  const names = [
    ...places.filter((place) => place === 'HEAD' || place.startsWith('refs/')),
    `refs/remotes/${name}/HEAD`,
  ]
  for (const place of names) {
    const found = readReference(git, place, packed)
    if (found !== undefined) return found
  }
  if (ABBREVIATED.test(name)) return name
  throw new GitError('failed', `The repository has no branch, tag or commit ${JSON.stringify(name)}.`)
}

/** Whether a branch of that name can be made: there is none, and none that is a folder of its name or below it. */
export function isFreeBranch(git: GitFolders, branch: string): boolean {
  const packed = readPacked(git)
  const ref = `refs/heads/${branch}`
  if (readGitFile(git.common, ref, REF_BYTES) !== undefined) return false
  return ![...packed.keys()].some(
    (name) =>
      name === ref || name.startsWith(`${ref}/`) || (name.startsWith('refs/heads/') && ref.startsWith(`${name}/`)),
  )
}
