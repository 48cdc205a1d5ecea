import { toOmission, toPatch, toRemark, type FileState } from '../../files/patch.js'
import { writeTar, type TarEntry } from '../../files/tar.js'
import { fromStore } from '../../platform/redis.js'
import { ExecutorError } from '../../protocol/errors.js'
import { isTerminal } from '../../protocol/execution.js'
import type { FileContent, WorkspaceFile, WorkspaceFiles } from '../../protocol/files.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toStatus } from '../records/execution-state.js'
import { requireExecution } from './find-execution.js'
import type { ReadServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

/** A file whose content is in the store. */
export type KeptFile = WorkspaceFile & { readonly sha256: string }

const notKept = (detail: string): ExecutorError => new ExecutorError('FILE_NOT_KEPT', { detail })

function whyNothing({ startedAt, outcome }: ExecutionRecord): string {
  if (startedAt === undefined) return 'The execution ended before its run started: there are no files.'
  if (outcome?.code === 'WORKER_LOST')
    return 'The worker was lost, or stopped, before it could keep the files; a named workspace still holds them on its host.'
  return (
    'The files of this execution were not kept: the store did not accept them, or it ended before this ' +
    'service stored files.'
  )
}

/** What a finished execution left in its workspace. @throws ExecutorError NOT_FINISHED, FILE_NOT_KEPT */
export async function readFiles(services: ReadServices, id: string, caller: Caller): Promise<WorkspaceFiles> {
  const record = await requireExecution(services, id, caller)
  if (!isTerminal(record.state))
    throw new ExecutorError('NOT_FINISHED', {
      detail: `The execution is ${toStatus(record.state)}; its files are available when it has ended.`,
    })
  const listing = await fromStore(services.files.readListing(id))
  if (!listing) throw notKept(whyNothing(record))
  return listing
}

const REASONS: Record<Exclude<FileContent, 'kept'>, (listing: WorkspaceFiles) => string> = {
  unchanged: () => 'the run did not change it, and only what it changed is kept',
  deleted: () => 'the run deleted it',
  too_large: ({ limitBytes }) =>
    `it is larger than the ${limitBytes} bytes kept per execution (CC_EXECUTOR_FILES_LIMIT_BYTES)`,
  over_limit: ({ limitBytes }) =>
    `smaller files used up the ${limitBytes} bytes kept per execution (CC_EXECUTOR_FILES_LIMIT_BYTES)`,
  unreadable: () => 'it could not be read after the run, or changed meanwhile',
  withheld: () => 'it contains a secret of the operator, and a masked copy would be another file',
  not_a_file: () => 'it is not a regular file',
}

const shorten = (path: string): string => JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path)

/** A path is looked up among those that were seen after the run, to the letter: it leads to no disk. */
function requireFile(listing: WorkspaceFiles, path: string): WorkspaceFile {
  const file = listing.files.find((one) => one.path === path)
  if (!file)
    throw new ExecutorError('FILE_NOT_FOUND', {
      detail: `This execution has no file ${shorten(path)}; GET /executions/${listing.executionId}/files lists them.`,
    })
  return file
}

const isKept = (file: WorkspaceFile): file is KeptFile => file.content === 'kept' && file.sha256 !== undefined

/** One file that can be had. @throws ExecutorError NOT_FINISHED, FILE_NOT_FOUND, FILE_NOT_KEPT */
export async function findFile(services: ReadServices, id: string, path: string, caller: Caller): Promise<KeptFile> {
  const listing = await readFiles(services, id, caller)
  const file = requireFile(listing, path)
  if (isKept(file)) return file
  // Safe: what is kept has its hash.
  throw notKept(
    `The content of ${shorten(path)} is not available: ` +
      `${REASONS[file.content as Exclude<FileContent, 'kept'>](listing)}.`,
  )
}

/** Its bytes, from `start` up to and without `end`. */
export const readFileContent = (
  { files }: ReadServices,
  id: string,
  { sha256 }: KeptFile,
  range: { start: number; end: number },
): AsyncGenerator<Buffer> => files.readContent(id, { sha256, ...range })

async function readWhole(services: ReadServices, id: string, file: KeptFile): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of readFileContent(services, id, file, { start: 0, end: file.size })) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** One file's part of a patch, and what stands for it where the whole is to be applied. */
interface Part {
  readonly patch: Buffer
  readonly omission?: Buffer
}

const toPart = (path: string, before: FileState | undefined, after: FileState | undefined): Part => ({
  patch: toPatch(path, before, after),
  omission: toOmission(path, before, after),
})

async function readPart(services: ReadServices, id: string, file: WorkspaceFile): Promise<Part> {
  const { path, change } = file
  const state = { mode: Number.parseInt(file.mode, 8), isLink: file.kind === 'link' }
  const stored = await services.files.readPatch(id, path)
  if (stored) return { patch: stored }
  if (change === 'created')
    return toPart(path, undefined, isKept(file) ? { ...state, bytes: await readWhole(services, id, file) } : state)
  return toPart(path, state, change === 'deleted' ? undefined : state)
}

/** What the run did to one file. @throws ExecutorError NOT_FINISHED, FILE_NOT_FOUND, FILE_NOT_KEPT */
export async function readFilePatch(services: ReadServices, id: string, path: string, caller: Caller): Promise<Buffer> {
  const file = requireFile(await readFiles(services, id, caller), path)
  if (file.change === 'unchanged') throw notKept(`There is no difference: the run did not change ${shorten(path)}.`)
  return (await fromStore(readPart(services, id, file))).patch
}

/** A file where a folder was, or a folder where a file was: its changes apply together or not at all. */
function groupByPlace(files: readonly WorkspaceFile[]): WorkspaceFile[][] {
  const changed = files.filter(({ change }) => change !== 'unchanged')
  const paths = new Set(changed.map(({ path }) => path))
  const groups = new Map<string, WorkspaceFile[]>()
  for (const file of changed) {
    const folders = file.path.split('/').map((_part, index, parts) => parts.slice(0, index + 1).join('/'))
    const place = folders.find((folder) => paths.has(folder)) ?? file.path
    const group = groups.get(place)
    if (group) group.push(file)
    else groups.set(place, [file])
  }
  return [...groups.values()]
}

/**
 * What the run did to all files, one patch after the other. It can be applied whole: a comment stands for what no tool
 * could apply.
 */
export async function* readAllPatches(
  services: ReadServices,
  { executionId, files }: WorkspaceFiles,
): AsyncGenerator<Buffer> {
  for (const group of groupByPlace(files)) {
    let left: string | undefined
    if (group.length > 1)
      for (const file of group) if ((await readPart(services, executionId, file)).omission) left ??= shorten(file.path)
    for (const file of group) {
      const { patch, omission } = await readPart(services, executionId, file)
      yield omission ?? (left === undefined ? patch : toRemark(file.path, `it goes with ${left}`))
    }
  }
}

/** What the run created or modified and what of it is missing from an archive. */
export function splitChanged({ files, notListed }: WorkspaceFiles): { kept: KeptFile[]; missing: number } {
  const changed = files.filter(({ change }) => change === 'created' || change === 'modified')
  const kept = changed.filter(isKept)
  const hasMore = files.every(({ change }) => change !== 'unchanged') ? notListed : 0
  return { kept, missing: changed.length - kept.length + hasMore }
}

/** A tar archive of these files; the same files make the same bytes. */
export function readArchive(services: ReadServices, id: string, files: readonly KeptFile[]): AsyncGenerator<Buffer> {
  return writeTar(
    files.map((file): TarEntry => ({
      path: file.path,
      size: file.size,
      mode: Number.parseInt(file.mode, 8),
      content: () => readFileContent(services, id, file, { start: 0, end: file.size }),
    })),
  )
}
