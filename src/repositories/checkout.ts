import { copyFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { makeFolder } from '../platform/make-folder.js'
import type { OpenFolder } from '../platform/open-folder.js'
import { removeTree } from '../platform/remove-tree.js'
import { parseRepositoryUrl } from '../platform/repository-url.js'
import type { RepositoryRequest } from '../protocol/repositories.js'
import { giveObjects, makeGitFolder, writeReference } from './bare-repository.js'
import { LFS_CONFIG, LFS_FILTER } from './lfs.js'
import { giveFiles, listFiles } from './lfs-store.js'
import { obtain, obtainInto, type Mirrors } from './mirror.js'
import { runGit } from './run-git.js'
import { checkOutSubmodules } from './submodules.js'

const Commit = z.string().regex(/^[0-9a-f]{40,64}$/)
/** What the worker knows of a checkout, where no run can change it. It is written when all of the checkout is there. */
const State = z.object({
  version: z.literal(1),
  url: z.string(),
  ref: z.string().optional(),
  branch: z.string(),
  depth: z.number().optional(),
  upstream: z.string().optional(),
  commit: z.boolean(),
  /** Files of Git LFS are there themselves. */
  lfs: z.boolean().optional(),
  push: z.enum(['never', 'verified', 'always']),
  /** Where the next run begins. */
  head: Commit,
  /** The run that works in it, or was the last to, and where that began. */
  run: z.object({ id: z.string(), base: Commit }),
})
type CheckoutState = z.infer<typeof State>

/**
 * A checkout: the folder in which runs work, and beside it, out of their sight, the worker's own repository of it
 * (`keeper.git`) with the index. Whatever a run does to the `.git` that it sees, the worker's is as it was.
 */
export interface Checkout {
  readonly state: CheckoutState
  /** Where an execution's attempts began. */
  readonly base: string
  readonly keeper: string
}

interface CheckoutPlace {
  /** The worker's own folder for this workspace; a real path. */
  readonly folder: string
  readonly workspace: OpenFolder
}

const keeperOf = (folder: string): string => join(folder, 'keeper.git')
const stateOf = (folder: string): string => join(folder, 'state.json')

/** undefined: there is none, or it is not whole. */
async function readState(folder: string): Promise<CheckoutState | undefined> {
  const text = await readFile(stateOf(folder), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : State.parse(JSON.parse(text))
}

export async function writeState(folder: string, state: CheckoutState): Promise<void> {
  await writeFile(`${stateOf(folder)}.new`, JSON.stringify(state), { mode: 0o600 })
  await rename(`${stateOf(folder)}.new`, stateOf(folder))
}

/** Of a worker that was killed while it made one. */
export async function isHalfMade(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => undefined)
  return names !== undefined && !names.includes('state.json')
}

/** The workspace stays, as it is opened; what is in it goes. */
async function emptyFolder(path: string): Promise<void> {
  for (const name of await readdir(path)) await removeTree(join(path, name))
}

const toCheckout = (folder: string, state: CheckoutState): Checkout => ({
  state,
  base: state.run.base,
  keeper: keeperOf(folder),
})

/**
 * The checkout that a run works in: the one that is there, with what earlier runs of its conversation have left, or a
 * new one of exactly what the request names. undefined: the workspace is no checkout. @throws GitError
 */
export async function provideCheckout(
  mirrors: Mirrors,
  executionId: string,
  request: RepositoryRequest | undefined,
  place: CheckoutPlace,
  isAllowed: (url: string) => boolean,
): Promise<Checkout | undefined> {
  const { folder, workspace } = place
  const state = await readState(folder)
  if (state === undefined) {
    if (request === undefined) return undefined
    await removeTree(folder)
    await emptyFolder(workspace.address)
    await makeFolder(folder, 0o700)
    try {
      return toCheckout(folder, await makeCheckout(mirrors, executionId, request, place, isAllowed))
    } catch (error) {
      await emptyFolder(workspace.address).catch(() => undefined)
      await removeTree(folder).catch(() => undefined)
      throw error
    }
  }
  // A further attempt goes on with what the ones before have made of it.
  if (state.run.id === executionId) return toCheckout(folder, state)
  const next: CheckoutState = { ...state, run: { id: executionId, base: state.head } }
  await renewGitFolder(place, next)
  await writeState(folder, next)
  return toCheckout(folder, next)
}

async function makeCheckout(
  mirrors: Mirrors,
  executionId: string,
  request: RepositoryRequest,
  place: CheckoutPlace,
  isAllowed: (url: string) => boolean,
): Promise<CheckoutState> {
  const address = parseRepositoryUrl(request.url)
  const keeper = keeperOf(place.folder)
  const obtained = await obtainInto(mirrors, keeper, () => obtain(mirrors, address, request))
  const { commit, upstream } = obtained
  const branch = request.branch ?? `cc-executor/${executionId}`
  await writeReference(keeper, `refs/heads/${branch}`, commit)
  const { path } = place.workspace
  await runGit(mirrors.means, {
    args: ['read-tree', '-u', '--reset', commit],
    cwd: path,
    env: { GIT_DIR: keeper, GIT_WORK_TREE: path },
    options: request.lfs === true ? LFS_FILTER : [],
    writable: [keeper],
  })
  const state: CheckoutState = {
    version: 1,
    url: address.url,
    ref: request.ref,
    branch,
    depth: request.depth,
    upstream,
    commit: request.commit ?? true,
    lfs: request.lfs,
    push: request.push ?? 'never',
    head: commit,
    run: { id: executionId, base: commit },
  }
  await renewGitFolder(place, state)
  if (request.submodules === true)
    await checkOutSubmodules(mirrors, { address, commit, keeper, workspace: place.workspace, isAllowed })
  await writeState(place.folder, state)
  return state
}

/**
 * Gives a run a `.git` that no other run has written: what an earlier one has left there (hooks, configuration) would
 * be obeyed by this one, which may have fewer rights. Its objects are its own.
 */
async function renewGitFolder({ folder, workspace }: CheckoutPlace, state: CheckoutState): Promise<void> {
  const keeper = keeperOf(folder)
  const git = join(workspace.address, '.git')
  await removeTree(git)
  const { branch, url, upstream, run, lfs = false } = state
  await makeGitFolder(git, { commit: run.base, branch, url, upstream, more: lfs ? LFS_CONFIG : '' })
  await giveObjects(keeper, git, 'copy')
  if (lfs) await giveFiles(keeper, git, await listFiles(keeper), 'copy')
  await rm(join(git, 'index'), { force: true })
  await copyFile(join(keeper, 'index'), join(git, 'index'))
}
