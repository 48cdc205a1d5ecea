import { chmod, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import type { Config } from '../../platform/config.js'
import { isExecutionId } from '../../protocol/ids.js'
import { isInside } from './workspace-name.js'
import { makeFolder, makeFolderFor } from '../../platform/make-folder.js'
import { removeTree } from '../../platform/remove-tree.js'

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

type Roots = Pick<Config, 'workspaceRoot' | 'allowedRoots' | 'dataDir'>

const sessionsOf = ({ dataDir }: Roots): string => join(dataDir, 'sessions')

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

async function openWorkspace(name: string, { workspaceRoot, allowedRoots }: Roots): Promise<string> {
  await makeFolder(workspaceRoot, 0o700)
  const roots = await Promise.all(
    (isAbsolute(name) ? allowedRoots : [workspaceRoot]).map(async (root) => ({
      root,
      real: await realpath(root).catch(() => root),
    })),
  )
  const wanted = isAbsolute(name) ? name : join(workspaceRoot, name)
  const isAdmitted = (path: string): boolean => roots.some(({ real }) => isInside(path, real))
  if (!isAdmitted(await resolveNearest(wanted)))
    throw new WorkspaceError('The workspace leads out of the folders that are admitted, through a symbolic link.')
  await makeWorkspace(
    wanted,
    roots.map(({ root }) => root),
  )
  // Again after it was made: what was checked before may have been exchanged meanwhile.
  const resolved = await realpath(wanted)
  if (!isAdmitted(resolved))
    throw new WorkspaceError('The workspace leads out of the folders that are admitted, through a symbolic link.')
  if (!(await stat(resolved)).isDirectory()) throw new WorkspaceError('The workspace is not a folder.')
  // A name is what is locked, and one folder must not have two.
  if (!roots.some(({ root, real }) => join(real, relative(root, wanted)) === resolved)) {
    const { root, real } = roots.find((one) => isInside(resolved, one.real)) ?? { root: '/', real: '/' }
    const target = relative(real, resolved)
    throw new WorkspaceError(
      'The workspace is reached through a symbolic link, which would let two executions work in it at ' +
        `once; name the folder itself: ${JSON.stringify(isAbsolute(name) ? join(root, target) : target)}.`,
    )
  }
  return resolved
}

/** Makes what a run needs on disk: HOME is that of the first execution of its conversation. @throws WorkspaceError */
export async function prepareWorkspace(
  { id, home, workspace: name }: { id: string; home: string; workspace: string },
  roots: Roots,
): Promise<RunFolders> {
  const sessions = sessionsOf(roots)
  const folders = {
    home: join(sessions, home, 'home'),
    temporary: join(sessions, id, 'tmp'),
    input: join(sessions, id, 'input'),
  }
  try {
    const workspace = await openWorkspace(name, roots)
    // Whoever owns a fresh workspace has a folder here, by which the sweep finds both: also a task list, which never
    // runs itself.
    if (isExecutionId(name)) await makeFolder(join(sessionsOf(roots), name), 0o700)
    for (const folder of Object.values(folders)) {
      await makeFolder(folder, 0o700)
      await chmod(folder, 0o700)
    }
    return { workspace, ...folders }
  } catch (error) {
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
export async function clearTemporary({ temporary, input }: RunFolders): Promise<void> {
  await removeTree(temporary)
  await removeTree(input)
}

/** Removes the folders that belong to one execution alone; a named workspace stays. */
export async function removeFolders(executionId: string, roots: Roots): Promise<void> {
  await removeTree(join(roots.workspaceRoot, executionId))
  await removeTree(join(sessionsOf(roots), executionId))
}

/**
 * Executions that have folders on this host. What bears another name is nobody's to remove: below the workspace root it
 * would be a named workspace.
 */
export async function listFolderOwners(roots: Roots): Promise<string[]> {
  return (await readdir(sessionsOf(roots)).catch(() => [])).filter(isExecutionId)
}
