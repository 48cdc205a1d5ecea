import { copyFile, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { removeTree } from '../platform/remove-tree.js'
import { parseRepositoryUrl, RepositoryUrlError, type RepositoryAddress } from '../platform/repository-url.js'
import { giveObjects, makeGitFolder } from './bare-repository.js'
import { GitError } from '../git/git-error.js'
import { obtain, obtainInto, type Mirrors } from './mirror.js'
import { runGit } from './run-git.js'

const COUNT_LIMIT = 100
const DEPTH_LIMIT = 5

interface Parent {
  readonly address: RepositoryAddress
  readonly commit: string
  /** The worker's own repository of it. */
  readonly keeper: string
  /** Its folder, as the kernel calls it. */
  readonly path: string
}

interface Submodule {
  readonly path: string
  readonly commit: string
  readonly url: string
}

interface Options extends Omit<Parent, 'path'> {
  readonly workspace: { readonly path: string }
  readonly isAllowed: (url: string) => boolean
}

const fail = (path: string, why: string): never => {
  throw new GitError('failed', `The submodule ${JSON.stringify(path.slice(0, 200))} ${why}.`)
}

/** As git reads a relative one: from the address of what it is in. */
function resolveUrl({ url, kind }: RepositoryAddress, given: string): string {
  if (!/^\.\.?(?:\/|$)/.test(given)) return given
  return kind === 'local' ? resolve(url, given) : new URL(given, `${url}/`).href
}

/** What `.gitmodules` names and the commit has; what only one of both has is none. */
async function listSubmodules({ means }: Mirrors, { keeper, commit }: Parent): Promise<Submodule[]> {
  const own = { cwd: keeper, env: { GIT_DIR: keeper }, isOwn: true, accepts: [0, 1, 128] }
  const { stdout: entries } = await runGit(means, {
    ...own,
    args: ['config', '--blob', `${commit}:.gitmodules`, '--no-includes', '--list', '-z'],
  })
  const modules = new Map<string, { path?: string; url?: string }>()
  for (const entry of entries.toString().split('\0')) {
    const [, name = '', field = '', value = ''] = /^submodule\.(.+)\.(path|url)\n(.*)$/s.exec(entry) ?? []
    if (name !== '') modules.set(name, { ...modules.get(name), [field]: value })
  }
  const named = new Map([...modules.values()].flatMap(({ path, url }) => (path && url ? [[path, url] as const] : [])))
  if (named.size === 0) return []
  if (named.size > COUNT_LIMIT) throw new GitError('too_large', `There are more than ${COUNT_LIMIT} submodules.`)
  const { stdout: tree } = await runGit(means, {
    ...own,
    args: ['--literal-pathspecs', 'ls-tree', '-z', '--full-tree', commit, '--', ...named.keys()],
  })
  return tree
    .toString()
    .split('\0')
    .flatMap((line) => {
      const [, sha, path] = /^160000 commit ([0-9a-f]+)\t(.*)$/s.exec(line) ?? []
      const url = path === undefined ? undefined : named.get(path)
      return sha === undefined || path === undefined || url === undefined ? [] : [{ path, commit: sha, url }]
    })
}

/** Checks out what a commit's `.gitmodules` names, each from its own mirror; those of the operator's list alone. */
export async function checkOutSubmodules(mirrors: Mirrors, { workspace, isAllowed, ...root }: Options): Promise<void> {
  let count = 0
  const scratch = join(mirrors.means.home, 'submodule.git')
  async function descend(parent: Parent, depth: number): Promise<void> {
    for (const { path, commit, url } of await listSubmodules(mirrors, parent)) {
      count += 1
      if (count > COUNT_LIMIT) throw new GitError('too_large', `There are more than ${COUNT_LIMIT} submodules.`)
      if (depth > DEPTH_LIMIT) return fail(path, `is nested deeper than ${DEPTH_LIMIT} levels`)
      const address = toAddress(path, resolveUrl(parent.address, url))
      if (!isAllowed(address.url)) return fail(path, 'is at an address that is not on the operator’s list')
      const folder = join(parent.path, path)
      // A link on the way would lead elsewhere.
      if ((await realpath(folder)) !== folder) return fail(path, 'is reached through a symbolic link')
      const keeper = `${scratch}-${depth}`
      await obtainInto(mirrors, keeper, () => obtain(mirrors, address, { ref: commit }))
      await runGit(mirrors.means, {
        args: ['read-tree', '-u', '--reset', commit],
        cwd: folder,
        env: { GIT_DIR: keeper, GIT_WORK_TREE: folder },
        writable: [keeper],
      })
      const git = join(folder, '.git')
      await makeGitFolder(git, { commit, url: address.url })
      await giveObjects(keeper, git, 'copy')
      await copyFile(join(keeper, 'index'), join(git, 'index'))
      await descend({ address, commit, keeper, path: folder }, depth + 1)
      await removeTree(keeper)
    }
  }
  await descend({ ...root, path: workspace.path }, 1)
}

function toAddress(path: string, url: string): RepositoryAddress {
  try {
    return parseRepositoryUrl(url)
  } catch (error) {
    if (!(error instanceof RepositoryUrlError)) throw error
    return fail(path, `has an address that ${error.message}`)
  }
}
