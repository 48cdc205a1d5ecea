import { chmod, lstat, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { machineId, placeOf, placesMountedBelow, readMounts } from '../../platform/folder-identity.js'
import { openFolder, type OpenFolder } from '../../platform/open-folder.js'
import { findOwnByPlace, type OwnSettings } from '../../platform/own-places.js'
import { isExecutionId } from '../../protocol/ids.js'
import { isInside } from './workspace-name.js'
import { makeFolder, makeFolderFor } from '../../platform/make-folder.js'
import { removeTree } from '../../platform/remove-tree.js'
import { isHalfMade } from '../../repositories/checkout.js'
import { folderWithSocketRoom } from '../../platform/temporary-place.js'

/** The folders of one execution on this host. */
export interface RunFolders {
  readonly workspace: string
  /** HOME of the run: Claude's transcripts live there. */
  readonly home: string
  /** CLAUDE_CODE_TMPDIR and TMPDIR of the run. */
  readonly temporary: string
  /** What the run is given to read: prompts, servers, hooks. Not its own to write where there is a sandbox. */
  readonly input: string
}

/** Says what is wrong with the workspace, without a path of the host. */
export class WorkspaceError extends Error {
  override readonly name = 'WorkspaceError'
}

type Roots = OwnSettings

const sessionsOf = ({ dataDir }: Pick<Roots, 'dataDir'>): string => join(dataDir, 'sessions')

/**
 * The same for every attempt, and found by whoever clears up, from the execution's id alone. The id in fewer letters,
 * for the sockets in it.
 */
function temporaryOf(id: string, { dataDir }: Pick<Roots, 'dataDir'>): string {
  const name = `cce-${isExecutionId(id) ? Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url') : id}`
  return join(folderWithSocketRoom(join(dataDir, 'tmp'), name), name)
}

const inputOf = (id: string, roots: Pick<Roots, 'dataDir'>): string => join(sessionsOf(roots), id, 'input')

/**
 * What was seen of the workspace before the first attempt; the run does not see it. Beside HOME, without whose
 * transcript no other worker can continue the run either: where that is, this is.
 */
export const beforeOf = (id: string, roots: Pick<Roots, 'dataDir'>): string => join(sessionsOf(roots), id, 'before')

/** Mirrors of repositories, shared by all workers with this data folder; no run sees them. */
export const mirrorsOf = ({ dataDir }: Pick<Roots, 'dataDir'>): string => join(dataDir, 'repositories')

/** What the worker knows of a checkout; `id` is its workspace's name. */
export const repositoryOf = (id: string, roots: Pick<Roots, 'dataDir'>): string =>
  join(sessionsOf(roots), id, 'repository')

/** HOME of the worker's own git while it works for an execution; it may hold a copy of the operator's credentials. */
export const gitHomeOf = (id: string, roots: Pick<Roots, 'dataDir'>): string => join(sessionsOf(roots), id, 'git')

/** Anybody may have made it where all users of the machine may make folders. */
async function requireOwnFolder(path: string): Promise<void> {
  const stats = await lstat(path)
  if (!stats.isDirectory() || stats.uid !== process.geteuid?.())
    throw new WorkspaceError('The temporary folder of the run already exists and belongs to another user.')
}

/**
 * The nearest part of the path that exists, with every symbolic link resolved: a link may not lead out even where the
 * rest is still to be made.
 */
async function resolveNearest(path: string): Promise<string> {
  for (let nearest = path; ; nearest = dirname(nearest)) {
    const resolved = await realpath(nearest).catch(() => undefined)
    if (resolved !== undefined || nearest === dirname(nearest)) return resolved ?? nearest
  }
}

/** A worker that is root makes it for whoever owns the folder that was admitted. */
async function makeWorkspace(wanted: string, roots: readonly string[]): Promise<void> {
  const root = roots.filter((folder) => isInside(wanted, folder)).sort((a, b) => b.length - a.length)[0]
  const owner = process.getuid?.() === 0 && root !== undefined ? await stat(root).catch(() => undefined) : undefined
  if (owner) await makeFolderFor(owner, wanted, 0o755)
  else await makeFolder(wanted, 0o755)
}

const LINKED_OUT = 'The workspace leads out of the allowed folders through a symbolic link.'

/** A workspace that was opened once, and is from then on used by its descriptor. */
export interface Workspace extends OpenFolder {
  /**
   * What nobody else may have meanwhile, by whatever name: its place and inode on this machine, and what is mounted
   * below it. None of a fresh one.
   */
  readonly places: readonly string[]
}

/** @param folder opened; its path is the kernel's own */
function locate(name: string, folder: OpenFolder, roots: Roots): readonly string[] {
  const mounts = readMounts()
  const place = placeOf(folder.fd, folder.path, mounts)
  const setting = findOwnByPlace({ place, path: folder.path, isAbsolutelyNamed: isAbsolute(name) }, roots)
  if (setting !== undefined)
    throw new WorkspaceError(`The workspace is, contains or is inside a folder of the service (${setting}).`)
  const machine = machineId()
  return [
    ...[place, ...placesMountedBelow(folder.path, mounts)].map((one) => `@${machine}/${one}`),
    `#${machine}/${folder.device}:${folder.inode}`,
  ]
}

/** A folder in which runs may work; made where it is missing. Whoever asks closes it. @throws WorkspaceError */
export async function openWorkspace(name: string, settings: Roots): Promise<Workspace> {
  const { workspaceRoot, allowedRoots, admittedFolders = [] } = settings
  await makeFolder(workspaceRoot, 0o700)
  const roots = await Promise.all(
    (isAbsolute(name) ? allowedRoots : [workspaceRoot]).map(async (root) => ({
      root,
      real: await realpath(root).catch(() => root),
    })),
  )
  if (isAbsolute(name)) roots.push(...admittedFolders.map((root) => ({ root, real: root })))
  const wanted = isAbsolute(name) ? name : join(workspaceRoot, name)
  const isAdmitted = (path: string): boolean => roots.some(({ real }) => isInside(path, real))
  if (!isAdmitted(await resolveNearest(wanted))) throw new WorkspaceError(LINKED_OUT)
  await makeWorkspace(
    wanted,
    roots.map(({ root }) => root),
  )
  const resolved = await realpath(wanted)
  if (!isAdmitted(resolved)) throw new WorkspaceError(LINKED_OUT)
  // A name is what is locked and owned, and one folder must not have two.
  if (!roots.some(({ root, real }) => join(real, relative(root, wanted)) === resolved)) {
    const { root, real } = roots.find((one) => isInside(resolved, one.real)) ?? { root: '/', real: '/' }
    const target = relative(real, resolved)
    throw new WorkspaceError(
      'The workspace is reached through a symbolic link, which would let two executions work in it at ' +
        `once; name the folder itself: ${JSON.stringify(isAbsolute(name) ? join(root, target) : target)}.`,
    )
  }
  if (!(await stat(resolved)).isDirectory()) throw new WorkspaceError('The workspace is not a folder.')
  const folder = await openFolder(resolved)
  try {
    // What was looked at until now was a path, and may have been exchanged; this is what is worked in.
    if (folder.path !== resolved) throw new WorkspaceError('The workspace was replaced while it was being opened.')
    return { ...folder, places: isExecutionId(name) ? [] : locate(name, folder, settings) }
  } catch (error) {
    await folder.close()
    throw error
  }
}

/**
 * Makes what a run needs on disk: HOME is that of the first execution of its conversation. Whoever asks for it closes
 * the workspace. @throws WorkspaceError
 */
export async function prepareWorkspace(
  { id, home, workspace: name }: { id: string; home: string; workspace: string },
  roots: Roots,
): Promise<{ folders: RunFolders; workspace: Workspace }> {
  const sessions = sessionsOf(roots)
  const folders = {
    home: join(sessions, home, 'home'),
    temporary: temporaryOf(id, roots),
    input: inputOf(id, roots),
  }
  let workspace: Workspace | undefined
  try {
    workspace = await openWorkspace(name, roots)
    // Whoever owns a fresh workspace has a folder here, by which the sweep finds both: also a task list, which never
    // runs itself.
    if (isExecutionId(name)) await makeFolder(join(sessionsOf(roots), name), 0o700)
    for (const folder of Object.values(folders)) {
      await makeFolder(folder, 0o700)
      if (folder === folders.temporary) await requireOwnFolder(folder)
      await chmod(folder, 0o700)
    }
    return { folders: { workspace: workspace.path, ...folders }, workspace }
  } catch (error) {
    await workspace?.close()
    if (error instanceof WorkspaceError) throw error
    // Safe: whatever node:fs rejects with is an errno exception.
    const { code } = error as NodeJS.ErrnoException
    throw new WorkspaceError(
      `The workspace could not be prepared (${code ?? 'unknown error'}): check that the folder can be ` +
        'written and that the disk is not full.',
      { cause: error },
    )
  }
}

/** What a run left in its temporary folder, and what it was given, is of no use after it. */
export async function clearTemporary({ temporary, input }: Pick<RunFolders, 'temporary' | 'input'>): Promise<void> {
  await removeTree(temporary)
  await removeTree(input)
}

/** Whether anything of that name is on this host. */
export async function hasFolders(id: string, roots: Pick<Roots, 'dataDir' | 'workspaceRoot'>): Promise<boolean> {
  const places = [join(roots.workspaceRoot, id), join(sessionsOf(roots), id)]
  const found = await Promise.all(places.map((path) => lstat(path).catch(() => undefined)))
  return found.some((stats) => stats !== undefined)
}

/** Whether there is something that the end of a run clears: its worker was killed, or it runs now. */
export async function hasTemporary(executionId: string, roots: Pick<Roots, 'dataDir'>): Promise<boolean> {
  const found = await Promise.all(
    [temporaryOf, inputOf, beforeOf, gitHomeOf]
      .map((toPath) => toPath(executionId, roots))
      .map((path) => lstat(path).catch(() => undefined)),
  )
  return found.some((stats) => stats !== undefined) || (await isHalfMade(repositoryOf(executionId, roots)))
}

/** What is left of a run that no worker has. */
export async function clearTemporaryOf(
  executionId: string,
  roots: Pick<Roots, 'dataDir' | 'workspaceRoot'>,
): Promise<void> {
  await clearTemporary({ temporary: temporaryOf(executionId, roots), input: inputOf(executionId, roots) })
  await removeTree(beforeOf(executionId, roots))
  await removeTree(gitHomeOf(executionId, roots))
  // First the checkout: by what is beside it the next sweep finds it.
  if (!(await isHalfMade(repositoryOf(executionId, roots)))) return
  await removeTree(join(roots.workspaceRoot, executionId))
  await removeTree(repositoryOf(executionId, roots))
}

/**
 * Removes the folders that belong to one execution alone; a named workspace stays, and with `keepsWorkspace` its own.
 */
export async function removeFolders(
  executionId: string,
  roots: Pick<Roots, 'dataDir' | 'workspaceRoot'>,
  { keepsWorkspace = false }: { readonly keepsWorkspace?: boolean } = {},
): Promise<void> {
  if (!keepsWorkspace) await removeTree(join(roots.workspaceRoot, executionId))
  // First: by the other folder the sweep finds both.
  await removeTree(temporaryOf(executionId, roots))
  await removeTree(join(sessionsOf(roots), executionId))
}

/**
 * Executions that have folders on this host. What bears another name is nobody's to remove: below the workspace root it
 * would be a named workspace.
 */
export async function listFolderOwners(roots: Pick<Roots, 'dataDir'>): Promise<string[]> {
  return (await readdir(sessionsOf(roots)).catch(() => [])).filter(isExecutionId)
}
