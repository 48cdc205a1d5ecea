import { rm } from 'node:fs/promises'
import { GitError } from '../git/git-error.js'
import type { GitOption } from '../git/git-environment.js'
import type { RepositoryAddress } from '../platform/repository-url.js'
import type { RepositorySettings } from '../platform/repository-settings.js'
import { openAccess } from './git-credentials.js'
import { listPointers, type LfsPointer } from './lfs-pointers.js'
import { findMissing, lfsOf, listFiles, removeFile, takeFiles } from './lfs-store.js'
import { runGit, tooLarge, type GitMeans } from './run-git.js'

/** So many names fit on a command line. */
const PUSHED_AT_ONCE = 500
const SHOWN = 3

/** Nobody answers there: what is not in the store is missing, and nothing is asked for where nothing may go out. */
const NOWHERE = 'http://127.0.0.1:1/none'

/**
 * The one filter that the worker has, and only for a repository of which this was asked. It is named here, and not
 * where a repository could name it; of what a `.lfsconfig` may say nothing counts.
 */
export const LFS_FILTER: readonly GitOption[] = [
  ['filter.lfs.process', 'git-lfs filter-process'],
  ['filter.lfs.clean', 'git-lfs clean -- %f'],
  ['filter.lfs.smudge', 'git-lfs smudge -- %f'],
  ['filter.lfs.required', 'true'],
  ['lfs.url', NOWHERE],
  ['lfs.fetchinclude', ''],
  ['lfs.fetchexclude', ''],
  ['lfs.skipdownloaderrors', 'false'],
]

/** For the git of a run: files of other commits stay pointers where they cannot be had. */
export const LFS_CONFIG =
  '[filter "lfs"]\n\tprocess = git-lfs filter-process\n\tclean = git-lfs clean -- %f\n' +
  '\tsmudge = git-lfs smudge -- %f\n\trequired = true\n' +
  '[lfs]\n\tskipdownloaderrors = true\n\tfetchinclude = ""\n\tfetchexclude = ""\n'

/** Nothing of a `.lfsconfig` here either: the files are where the repository is. */
const toRemote = ({ url }: RepositoryAddress): readonly GitOption[] => [
  ['remote.origin.url', url],
  ['lfs.fetchinclude', ''],
  ['lfs.fetchexclude', ''],
  ['lfs.locksverify', 'false'],
  ['lfs.basictransfersonly', 'true'],
]

async function requireInstalled(means: GitMeans, cwd: string): Promise<void> {
  const { exitCode } = await runGit(means, { args: ['lfs', 'version'], cwd, isOwn: true, accepts: [0, 1, 127, 128] })
  if (exitCode !== 0) throw new GitError('failed', 'repository.lfs: the worker has no git-lfs; install it there.')
}

const sum = (pointers: readonly LfsPointer[]): number => pointers.reduce((bytes, { size }) => bytes + size, 0)

interface FetchOptions {
  readonly address: RepositoryAddress
  readonly settings: RepositorySettings
  /** The mirror; whoever calls holds its lock. */
  readonly mirror: string
  readonly commit: string
}

/** Sees to it that a mirror has the files of a commit. @returns them, each once. @throws GitError */
export async function fetchFiles(
  means: GitMeans,
  { address, settings, mirror, commit }: FetchOptions,
): Promise<LfsPointer[]> {
  await requireInstalled(means, mirror)
  const { limitBytes, credentialsFile } = settings
  const all = await listPointers(means, mirror, commit)
  // A thousand files may be one and the same.
  if (sum(all) > limitBytes) throw tooLarge(limitBytes)
  const needed = [...new Map(all.map((pointer) => [pointer.oid, pointer])).values()]
  const missing = await findMissing(mirror, needed)
  if (missing.length === 0) return needed
  await makeRoom(mirror, needed, limitBytes)
  if (address.kind === 'local') {
    // git-lfs would write into it, even to read.
    for (const git of [address.url, `${address.url}/.git`]) await takeFiles(git, mirror, missing)
  } else {
    const access = await openAccess(address, credentialsFile, means.home)
    await runGit(means, {
      args: ['lfs', 'fetch', 'origin', commit],
      cwd: mirror,
      env: { ...access.env, GIT_DIR: mirror },
      options: [...toRemote(address), ...access.options],
      isRemote: true,
      growth: { folder: lfsOf(mirror), limitBytes },
    })
  }
  const [absent] = await findMissing(mirror, needed)
  if (absent) throw new GitError('failed', `The file ${absent.oid} of Git LFS is missing in the repository.`)
  return needed
}

/** Of one repository no more is kept than may be: then the files of other commits go. */
async function makeRoom(mirror: string, needed: readonly LfsPointer[], limitBytes: number): Promise<void> {
  // What was not fetched to its end is begun anew.
  for (const name of ['tmp', 'incomplete']) await rm(`${lfsOf(mirror)}/${name}`, { recursive: true, force: true })
  const kept = await listFiles(mirror)
  const others = kept.filter(({ oid }) => !needed.some((pointer) => pointer.oid === oid))
  if (sum(others) + sum(needed) <= limitBytes) return
  for (const other of others) await removeFile(mirror, other)
}

/** Brings the files of commits to where the branch goes, before it. @throws GitError */
export async function pushFiles(
  means: GitMeans,
  { address, settings }: Pick<FetchOptions, 'address' | 'settings'>,
  keeper: string,
  pointers: readonly LfsPointer[],
): Promise<void> {
  if (pointers.length === 0) return
  const missing = await findMissing(keeper, pointers)
  if (missing.length > 0) {
    const names = missing.slice(0, SHOWN).map(({ oid }) => oid.slice(0, 12))
    const message = `${missing.length} files of Git LFS that the commits name are not there (${names.join(', ')} …).`
    throw new GitError('failed', message)
  }
  const access = await openAccess(address, settings.credentialsFile, means.home)
  const isLocal = address.kind === 'local'
  for (let at = 0; at < pointers.length; at += PUSHED_AT_ONCE)
    await runGit(means, {
      args: ['lfs', 'push', '--object-id', 'origin', ...pointers.slice(at, at + PUSHED_AT_ONCE).map(({ oid }) => oid)],
      cwd: keeper,
      env: { ...access.env, GIT_DIR: keeper },
      options: [...toRemote(address), ...access.options],
      writable: isLocal ? [address.url] : [],
      isRemote: !isLocal,
    })
}
