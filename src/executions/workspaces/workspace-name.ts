import { isAbsolute, normalize, relative, resolve, sep } from 'node:path'
import { findOwnByName, type OwnSettings } from '../../platform/own-places.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'

/** What file systems take. */
const NAME_LIMIT_BYTES = 255
/** Each folder around a workspace is told of it by its whole name: what that takes grows with the depth squared. */
const DEPTH_LIMIT = 64
const EXECUTION_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export const isInside = (path: string, root: string): boolean =>
  path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)

/**
 * A workspace as the record names it. A fresh one bears the execution's id; `lock` is what may be held by one execution
 * at a time.
 */
export interface WorkspaceName {
  readonly name: string
  readonly lock?: string
}

const refuseWorkspace = (message: string): ExecutorError => toInvalidRequest([{ path: 'workspace', message }])

/** As a record writes it: one spelling for one folder. */
export const normalizeWorkspace = (wanted: string): string => normalize(wanted).replace(/(?<=.)\/+$/, '')

/**
 * What an older API has named by its whole path, and what a caller may name so: by its name below the workspace root.
 * The folder of an execution has no other name.
 */
export function fromWorkspaceRoot(path: string, settings: Pick<OwnSettings, 'workspaceRoot'>): string {
  const workspaceRoot = resolve(settings.workspaceRoot)
  if (path === workspaceRoot || !isInside(path, workspaceRoot)) return path
  const name = relative(workspaceRoot, path)
  return EXECUTION_ID.test(name.split(sep)[0] ?? '') ? path : name
}

/**
 * The name of a record's workspace. An older API, which granted nothing, did not look whether a path led below the
 * workspace root; since then a path that does is refused, as who wrote it has not asked whose the folder is.
 * @param submission the record itself, or its list
 */
export const workspaceOf = (
  { workspace }: { readonly workspace: string },
  { grant }: { readonly grant?: unknown },
  settings: Pick<OwnSettings, 'workspaceRoot'>,
): string => (grant === undefined ? fromWorkspaceRoot(workspace, settings) : workspace)

/** What lies below the workspace root has one name, by which it is locked and owned: the one from there. */
function toAdmitted(path: string, settings: OwnSettings): string {
  const { allowedRoots, admittedFolders = [] } = settings
  if (![...allowedRoots, ...admittedFolders].some((root) => isInside(path, normalize(root)))) {
    throw new ExecutorError('FORBIDDEN', {
      detail:
        'workspace: an absolute path is accepted only inside the folders that the operator allows ' +
        '(CC_EXECUTOR_ALLOWED_ROOTS, or npm start -- --root DIR), or that cc-executor run --here has allowed ' +
        'for this token.',
      errors: [{ path: 'workspace', message: 'not inside an allowed root' }],
    })
  }
  const workspaceRoot = resolve(settings.workspaceRoot)
  if (findOwnByName(path, settings) || isInside(workspaceRoot, path)) {
    throw new ExecutorError('FORBIDDEN', {
      detail: 'workspace: this folder is, contains or is inside a folder of the service; choose another one.',
      errors: [{ path: 'workspace', message: 'a folder of the service' }],
    })
  }
  return isInside(path, workspaceRoot) ? relative(workspaceRoot, path) : path
}

/** Checks a workspace's name by its text; the worker checks the folder itself, symbolic links included. */
export function nameWorkspace(wanted: string | undefined, executionId: string, settings: OwnSettings): WorkspaceName {
  if (wanted === undefined) return { name: executionId }
  // What one system takes as a part of a name separates names on another.
  if (wanted.includes('\\')) throw refuseWorkspace('must not contain a backslash; names are separated by /')
  if (/\p{Cc}/u.test(wanted)) throw refuseWorkspace('must not contain NUL or other control characters')
  if (wanted.split(sep).some((name) => Buffer.byteLength(name) > NAME_LIMIT_BYTES))
    throw refuseWorkspace(`must not have a name longer than ${NAME_LIMIT_BYTES} bytes`)
  const named = normalizeWorkspace(wanted)
  if (named.split(sep).length > DEPTH_LIMIT)
    throw refuseWorkspace(`must not be nested deeper than ${DEPTH_LIMIT} folders`)
  const name = isAbsolute(named) ? toAdmitted(named, settings) : named
  if (isAbsolute(name)) return { name, lock: name }
  const [first = ''] = name.split(sep)
  if (first === '..') throw refuseWorkspace('must not leave the workspace root')
  if (first === '.' || first === '') throw refuseWorkspace('must name a folder below the workspace root')
  if (EXECUTION_ID.test(first)) throw refuseWorkspace('names the folder of an execution; choose another name')
  return { name, lock: name }
}

/**
 * The workspace of a request. A worktree is a folder of its execution's own, which is made from the named one: who may
 * not work there may not have it either.
 */
export function nameRequested(
  { workspace, worktree }: Pick<ExecuteRequest, 'workspace' | 'worktree'>,
  executionId: string,
  settings: OwnSettings,
): WorkspaceName {
  const named = nameWorkspace(workspace, executionId, settings)
  if (worktree === undefined) return named
  if (isAbsolute(named.name)) return { name: executionId }
  throw toInvalidRequest([
    { path: 'worktree', message: 'is accepted only with a workspace inside an allowed root, not with a named one' },
  ])
}
