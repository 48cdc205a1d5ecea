import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { sha256 } from '../platform/hash.js'
import { makeFolder } from '../platform/make-folder.js'
import { removeTree } from '../platform/remove-tree.js'
import type { RepositoryAddress } from '../platform/repository-url.js'
import type { RepositorySettings } from '../platform/repository-settings.js'
import { giveObjects, makeBare } from './bare-repository.js'
import { withLock } from './folder-lock.js'
import { fetchInto } from './fetch-into.js'
import { GitError } from '../git/git-error.js'
import { findReference, type Found } from './find-reference.js'
import { fetchFiles } from './lfs.js'
import type { LfsPointer } from './lfs-pointers.js'
import { giveFiles } from './lfs-store.js'
import { makeSeed, type Seed } from './seed.js'
import { runGit, type GitCall, type GitMeans } from './run-git.js'

/** The mirrors of a worker, in a folder that no run sees. */
export interface Mirrors {
  readonly means: GitMeans
  readonly settings: RepositorySettings
  /** A real path. */
  readonly folder: string
}

/** A repository on this host, at exactly what was asked for. */
interface Obtained extends Seed {
  readonly commit: string
  /** The branch that `ref` named, if it named one. */
  readonly upstream: string | undefined
  /** Files of Git LFS that the seed has beside; undefined: they were not asked for. */
  readonly files: readonly LfsPointer[] | undefined
}

export interface Wanted {
  readonly ref?: string | undefined
  readonly depth?: number | undefined
  readonly lfs?: boolean | undefined
}

const EVERYTHING = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*']
const DEFAULT = '+HEAD:refs/cc/default'
/** What a mirror says that was cut off or damaged by whatever else works on its disk: it is made anew, once. */
const DAMAGED =
  /corrupt|bad object|missing (?:blob|tree|commit|object)|unable to (?:read|parse|find) |broken|invalid sha1 pointer|did not send all necessary|not a git repository|does not point to a valid object|packfile .* (?:cannot|does not)/i
/** A mirror may allow what a server need not: its reader is the worker alone. */
const MIRROR_CONFIG = '[uploadpack]\n\tallowAnySHA1InWant = true\n'

export const placeOfMirror = (folder: string, { url }: RepositoryAddress): string =>
  join(folder, sha256(url).slice(0, 32))

/** Of a git that was killed: its locks would keep out every later one, and its packs are of no use. */
async function clearKilled(folder: string, depth = 0): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && depth < 64) await clearKilled(path, depth + 1)
    else if (/\.lock$|^tmp_/.test(entry.name)) await rm(path, { force: true })
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** One address's mirror; whoever uses it holds its lock. */
class Mirror {
  readonly #mirrors: Mirrors
  readonly #address: RepositoryAddress
  readonly #place: string
  readonly #bare: string
  readonly #busy: string
  readonly #fetched: string

  constructor(mirrors: Mirrors, address: RepositoryAddress, place: string) {
    this.#mirrors = mirrors
    this.#address = address
    this.#place = place
    this.#bare = join(place, 'mirror.git')
    this.#busy = join(place, 'busy')
    this.#fetched = join(place, 'fetched')
  }

  /** @param askedAt what was fetched later is new enough */
  async obtain(wanted: Wanted, askedAt: number): Promise<Obtained> {
    await makeFolder(this.#place, 0o700)
    if (await exists(this.#busy)) await clearKilled(this.#place)
    await writeFile(this.#busy, '')
    // Before anything can fail: how long it is kept counts from its last use.
    const used = join(this.#place, 'used')
    await writeFile(used, this.#address.url)
    await utimes(used, new Date(), new Date())
    const isNew = !(await exists(join(this.#bare, 'HEAD')))
    try {
      return await this.#obtain(wanted, askedAt)
    } catch (error) {
      // What a git that was ended has left behind would be in the way of the next one.
      await ((await exists(this.#fetched)) ? clearKilled(this.#place) : removeTree(this.#bare))
      if (isNew || !(error instanceof GitError) || error.kind !== 'failed' || !DAMAGED.test(error.message)) throw error
      await removeTree(this.#place)
      await makeFolder(this.#place, 0o700)
      await writeFile(used, this.#address.url)
      return await this.#obtain(wanted, askedAt)
    } finally {
      await rm(this.#busy, { force: true })
    }
  }

  async #obtain({ ref, depth, lfs = false }: Wanted, askedAt: number): Promise<Obtained> {
    if (!(await exists(join(this.#bare, 'HEAD')))) {
      await removeTree(this.#bare)
      await rm(this.#fetched, { force: true })
      await makeBare(this.#bare, MIRROR_CONFIG)
    }
    const { commit, upstream } = await this.#resolve(ref, askedAt)
    const { means, settings } = this.#mirrors
    const seed = await makeSeed(means, { place: this.#place, mirror: this.#bare, commit, depth, settings })
    if (!lfs) return { ...seed, commit, upstream, files: undefined }
    const where = { address: this.#address, settings, mirror: this.#bare, commit }
    const files = await fetchFiles(means, where)
    await giveFiles(this.#bare, seed.seed, files, 'link')
    return { ...seed, commit, upstream, files }
  }

  async #resolve(ref: string | undefined, askedAt: number): Promise<Found> {
    const find = (): Promise<Found | undefined> =>
      findReference((args) => this.#read(args), ref === undefined ? undefined : ref)
    // A commit never changes.
    const known = ref !== undefined && /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(ref) ? await find() : undefined
    if (known) return known
    if (!(await this.#isFreshSince(askedAt))) await this.#fetchAll()
    const found = await find()
    if (found) return found
    if (ref === undefined)
      throw new GitError('failed', 'The repository has no default branch: it is empty, or its HEAD names no branch.')
    // Servers offer more than branches and tags (refs/pull/7/head), and commits that no branch leads to.
    const isName = ref.startsWith('refs/')
    if (isName || /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(ref)) {
      const target = `refs/cc/wanted/${sha256(ref).slice(0, 32)}`
      await this.#fetch([`+${ref}:${target}`]).catch((error: unknown) => {
        if (
          error instanceof GitError &&
          error.kind === 'failed' &&
          /couldn't find|not our ref|no such/i.test(error.message)
        )
          return
        throw error
      })
      const wanted = await findReference((args) => this.#read(args), target)
      if (wanted) return { commit: wanted.commit, upstream: undefined }
    }
    throw new GitError('failed', `The repository has no branch, tag or commit ${JSON.stringify(ref)}.`)
  }

  async #isFreshSince(askedAt: number): Promise<boolean> {
    const fetchedAt = Number(await readFile(this.#fetched, 'utf8').catch(() => '0'))
    // A clock that was set back since would make it look new for ever.
    return fetchedAt >= askedAt && fetchedAt <= Date.now()
  }

  async #fetchAll(): Promise<void> {
    const begunAt = Date.now()
    try {
      await this.#fetch([DEFAULT, ...EVERYTHING])
    } catch (error) {
      // An empty repository, or a HEAD that names a branch which is not there.
      if (!(error instanceof GitError) || !/couldn't find remote ref HEAD/i.test(error.message)) throw error
      await rm(join(this.#bare, 'refs/cc/default'), { force: true })
      await this.#fetch(EVERYTHING)
    }
    await writeFile(`${this.#fetched}.new`, String(begunAt))
    await rename(`${this.#fetched}.new`, this.#fetched)
    await this.#repack()
  }

  #fetch(refspecs: readonly string[]): Promise<void> {
    const { means, settings } = this.#mirrors
    return fetchInto(means, this.#bare, { address: this.#address, settings }, refspecs)
  }

  /** Every fetch brings a pack; many of them are slow to look through. */
  async #repack(): Promise<void> {
    const packs = (await readdir(join(this.#bare, 'objects/pack'))).filter((name) => name.endsWith('.pack'))
    if (packs.length <= PACKS_LIMIT) return
    await this.#read(['repack', '-a', '-d', '-q', '-l'])
    await this.#read(['pack-refs', '--all', '--prune'])
  }

  async #read(args: readonly string[], more: Partial<GitCall> = {}): Promise<string> {
    const { stdout, exitCode } = await runGit(this.#mirrors.means, {
      ...more,
      args,
      cwd: this.#bare,
      env: { GIT_DIR: this.#bare },
      isOwn: true,
      accepts: [0, 1],
    })
    return exitCode === 0 ? stdout.toString().trimEnd() : ''
  }
}

const PACKS_LIMIT = 30

/**
 * The commit that `ref` is now, with all that it needs, on this host. However many ask for one repository at once, it
 * is fetched once at a time, and whoever has waited takes what was fetched meanwhile. @throws GitError
 */
export async function obtain(mirrors: Mirrors, address: RepositoryAddress, wanted: Wanted): Promise<Obtained> {
  const askedAt = Date.now()
  await makeFolder(mirrors.folder, 0o700)
  const place = placeOfMirror(mirrors.folder, address)
  return withLock(`${place}.lock`, mirrors.means.signal, () =>
    new Mirror(mirrors, address, place).obtain(wanted, askedAt),
  )
}

/** What was obtained may be removed before it is taken: then it is obtained once more. */
export async function obtainInto(mirrors: Mirrors, bare: string, get: () => Promise<Obtained>): Promise<Obtained> {
  for (let tries = 1; ; tries += 1) {
    const obtained = await get()
    try {
      await removeTree(bare)
      await makeBare(bare)
      await giveObjects(obtained.seed, bare, 'link')
      await giveFiles(obtained.seed, bare, obtained.files ?? [], 'link')
      return obtained
    } catch (error) {
      const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!isGone || tries > 3 || mirrors.means.signal.aborted) throw error
    }
  }
}

/** What is removed is out of the way at once. */
export async function removeAside(path: string): Promise<void> {
  const away = `${path}.gone-${randomUUID()}`
  await rename(path, away).catch(() => undefined)
  await removeTree(away)
}
