import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenFolder } from '../platform/open-folder.js'
import { readGitHead } from '../verification/git-head.js'
import { writeReference } from './bare-repository.js'
import type { Checkout } from './checkout.js'
import type { GitOption } from '../git/git-environment.js'
import { GitError } from '../git/git-error.js'
import { LFS_FILTER } from './lfs.js'
import { listNewPointers, type LfsPointer } from './lfs-pointers.js'
import { findMissing, takeFiles } from './lfs-store.js'
import { runGit, tooLarge, type GitCall, type GitMeans } from './run-git.js'

const SHOWN = 100
/** So many paths of a run's are looked at together. */
const PATHS_LIMIT = 1_000_000

/** Where a checkout stands after a run. */
export interface Committed {
  readonly base: string
  readonly head: string
  readonly tree: string
  readonly commits: number
  readonly filesChanged: number
  readonly insertions: number
  readonly deletions: number
  readonly notCommitted: readonly string[]
  /** Files of Git LFS that the commits have brought; none where they are not looked after. */
  readonly files: readonly LfsPointer[]
}

interface CommitOptions {
  readonly checkout: Checkout
  readonly workspace: OpenFolder
  /** `Name <address>` */
  readonly author: string
  readonly message: string
  /** Of what changed, together. */
  readonly limitBytes: number
}

/** A claim's calls of git on one checkout. */
class Keeper {
  readonly #means: GitMeans
  readonly #keeper: string
  readonly #workspace: string
  readonly #options: readonly GitOption[]

  constructor(means: GitMeans, keeper: string, workspace: string, options: readonly GitOption[]) {
    this.#means = means
    this.#keeper = keeper
    this.#workspace = workspace
    this.#options = options
  }

  /** On what the worker has written itself. */
  async own(args: readonly string[], more: Partial<GitCall> = {}): Promise<string> {
    const call = { isOwn: true, args, cwd: this.#keeper, ...more, env: { GIT_DIR: this.#keeper, ...more.env } }
    return (await runGit(this.#means, call)).stdout.toString().trimEnd()
  }

  /** On what a run has written: git has no network there and sees nothing but the checkout. */
  async inside(args: readonly string[], more: Partial<GitCall> = {}): Promise<Buffer> {
    const { stdout } = await runGit(this.#means, {
      args,
      cwd: this.#workspace,
      options: this.#options,
      writable: [this.#keeper],
      ...more,
      env: { GIT_DIR: this.#keeper, GIT_WORK_TREE: this.#workspace, ...more.env },
    })
    return stdout
  }
}

interface Changed {
  /** As git is told them, each by itself. */
  readonly taken: readonly string[]
  /** A file that gave way to an empty folder. */
  readonly gone: readonly string[]
  readonly notCommitted: readonly string[]
}

const isRepository = async (path: string): Promise<boolean> =>
  (await readdir(path).catch((): string[] => [])).includes('.git')

/** Sorts what git found different. Latin-1 keeps names whose bytes are no UTF-8. */
async function sortChanged(listed: Buffer, workspace: OpenFolder, limitBytes: number): Promise<Changed> {
  const paths = new Set(listed.toString('latin1').split('\0').slice(0, -1))
  if (paths.size > PATHS_LIMIT) throw new GitError('too_large', `More than ${PATHS_LIMIT} files changed.`)
  const taken: string[] = []
  const gone: string[] = []
  const notCommitted: string[] = []
  let bytes = 0
  for (const path of paths) {
    // git writes a folder that is a repository of its own with a slash, and does not look into it.
    if (path.endsWith('/')) {
      notCommitted.push(path)
      continue
    }
    const address = Buffer.from(`${workspace.address}/`)
    const place = Buffer.concat([address, Buffer.from(path, 'latin1')])
    const stats = await lstat(place).catch(() => undefined)
    if (stats?.isDirectory() !== true) {
      taken.push(path)
      bytes += stats?.isFile() === true ? stats.size : 0
      if (bytes > limitBytes) throw tooLarge(limitBytes)
    } else if (await isRepository(place.toString())) notCommitted.push(path)
    else gone.push(path)
  }
  return { taken, gone, notCommitted }
}

const toInput = (paths: readonly string[]): Buffer => Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1')

/**
 * Takes what stands in the folder into the worker's own index. Plumbing only: `git add` and `git status` would start
 * git in every repository below, with the configuration that a run has written there.
 */
async function takeTree(
  git: Keeper,
  workspace: OpenFolder,
  limitBytes: number,
): Promise<{ tree: string; notCommitted: readonly string[] }> {
  const listed = await git.inside(['ls-files', '-z', '--others', '--modified', '--deleted', '--exclude-standard'])
  const { taken, gone, notCommitted } = await sortChanged(listed, workspace, limitBytes)
  if (gone.length > 0) await git.inside(['update-index', '-z', '--force-remove', '--stdin'], { input: toInput(gone) })
  if (taken.length > 0)
    await git.inside(['update-index', '-z', '--add', '--remove', '--replace', '--stdin'], { input: toInput(taken) })
  const names = notCommitted.slice(0, SHOWN).map((path) => Buffer.from(path, 'latin1').toString())
  return { tree: await git.own(['write-tree']), notCommitted: names }
}

/**
 * The commit at which a run has left its branch, with its objects copied, each checked by its name; undefined where it
 * made none, or has taken back what was there before, or they are not whole.
 */
async function importCommits(git: Keeper, workspace: OpenFolder, base: string): Promise<string | undefined> {
  const head = readGitHead(workspace.address)?.commit
  if (head === undefined || head === base || workspace.path.includes(':')) return undefined
  try {
    const pack = await git.inside(['pack-objects', '--revs', '--stdout', '-q'], {
      input: `${head}\n^${base}\n`,
      env: { GIT_ALTERNATE_OBJECT_DIRECTORIES: join(workspace.path, '.git/objects') },
    })
    await git.inside(['index-pack', '--strict', '--stdin'], { input: pack })
    await git.own(['merge-base', '--is-ancestor', base, head])
    return head
  } catch (error) {
    if (error instanceof GitError && error.kind === 'failed') return undefined
    throw error
  }
}

function toStatistics(text: string): Pick<Committed, 'filesChanged' | 'insertions' | 'deletions'> {
  const read = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0)
  return {
    filesChanged: read(/(\d+) files? changed/),
    insertions: read(/(\d+) insertions?\(\+\)/),
    deletions: read(/(\d+) deletions?\(-\)/),
  }
}

/** Of a commit of the worker's. */
export function toIdentity(author: string): Record<string, string> {
  const [, name = '', address = ''] = /^(.*) <(.*)>$/.exec(author) ?? []
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: address,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: address,
  }
}

export const COMPARE = ['--no-ext-diff', '--no-textconv', '--ignore-submodules=none'] as const

/** Commits what a run has left, on top of what it has committed itself. @throws GitError */
export async function commitChanges(
  means: GitMeans,
  { checkout, workspace, author, message, limitBytes }: CommitOptions,
): Promise<Committed> {
  const { keeper, base, state } = checkout
  const { lfs = false } = state
  const git = new Keeper(means, keeper, workspace.path, lfs ? LFS_FILTER : [])
  // Of a worker that was killed in the middle of this.
  for (const name of await readdir(keeper)) if (name.endsWith('.lock')) await rm(join(keeper, name), { force: true })
  const own = await importCommits(git, workspace, base)
  const parent = own ?? base
  let head = parent
  let notCommitted: readonly string[] = []
  const parentTree = await git.own(['rev-parse', '--verify', `${parent}^{tree}`])
  let tree = parentTree
  if (state.commit) {
    const taken = await takeTree(git, workspace, limitBytes)
    notCommitted = taken.notCommitted
    if (taken.tree !== parentTree) {
      tree = taken.tree
      head = await git.own(['commit-tree', tree, '-p', parent, '-F', '-'], {
        input: `${message}\n`,
        env: toIdentity(author),
      })
    }
  }
  await writeReference(keeper, `refs/heads/${state.branch}`, head)
  const known = { base, head, tree, notCommitted }
  if (head === base) return { ...known, commits: 0, filesChanged: 0, insertions: 0, deletions: 0, files: [] }
  const commits = Number(await git.own(['rev-list', '--count', `${base}..${head}`]))
  const statistics = toStatistics(await git.own(['diff', '--shortstat', ...COMPARE, base, head]))
  const files = lfs ? await listNewPointers(means, keeper, { base, head }) : []
  // What the run's own git has put aside with its commits.
  await takeFiles(join(workspace.address, '.git'), keeper, await findMissing(keeper, files))
  return { ...known, commits, ...statistics, files }
}
