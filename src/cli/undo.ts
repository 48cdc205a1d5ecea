/** Takes back what a run changed in a folder of this machine: all of it, or nothing. */
import { lstat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Client } from '../client/open-client.js'
import { readConfig } from '../platform/config.js'
import { readConfined, removeConfined, writeConfined } from '../platform/confined-folder.js'
import { sha256 as toSha256 } from '../platform/hash.js'
import type { WorkspaceFile, WorkspaceFiles } from '../protocol/files.js'
import { EXIT_CODES, requireId, say, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { reversePatch } from './reverse-patch.js'

/** What a file is compared by is read at once. */
const COMPARED_BYTES = 512 * 1024 * 1024

type Step =
  | { readonly path: string; readonly kind: 'remove' }
  | { readonly path: string; readonly kind: 'write'; readonly content: Buffer; readonly mode: number }
interface Refusal {
  readonly path: string
  readonly why: string
}
type Plan = Step | Refusal

const toMode = (octal: string): number => Number.parseInt(octal, 8) & 0o777

/** The file as it is now, where it is still as the run has left it. */
async function readUnchanged(folder: string, { path, sha256, mode }: WorkspaceFile): Promise<Buffer | string> {
  if (sha256 === undefined) return 'its content was not read when the run had ended'
  const state = await lstat(join(folder, path)).catch(() => undefined)
  if (state === undefined) return 'it has been deleted since'
  const bytes = await readConfined(folder, path, COMPARED_BYTES)
  if (bytes === 'too_large') return `it is larger than ${COMPARED_BYTES} bytes`
  const isSame = bytes !== undefined && toSha256(bytes) === sha256
  return isSame && (state.mode & 0o777) === toMode(mode) ? bytes : 'it has changed since'
}

async function planFile(client: Client, id: string, folder: string, file: WorkspaceFile): Promise<Plan> {
  const { path, change, kind } = file
  if (kind !== 'file') return { path, why: 'it is not a regular file' }
  let after: Buffer | string
  if (change === 'deleted') {
    const isThere = await lstat(join(folder, path)).catch(() => undefined)
    after = isThere ? 'it exists again' : Buffer.alloc(0)
  } else after = await readUnchanged(folder, file)
  if (typeof after === 'string') return { path, why: after }
  if (change === 'created') return { path, kind: 'remove' }
  const patch = Buffer.from(await client.patchBytes(id, path)).toString('latin1')
  const { before, mode } = reversePatch(patch, after.toString('latin1'))
  if (before === undefined) return { path, why: 'the patch does not contain its former content' }
  return { path, kind: 'write', content: Buffer.from(before, 'latin1'), mode: mode ?? toMode(file.mode) }
}

async function findFolder(client: Client, id: string): Promise<{ folder: string; listing: WorkspaceFiles }> {
  const { workspace, kind } = await client.get(id)
  if (kind === 'task_list') {
    const { executions } = await client.list({ parentId: id })
    const tasks = executions.map((task) => `cc-executor undo ${task.id}`).join('\n')
    throw new UsageError(`it is a task list; revert its tasks one by one, the last one first:\n${tasks}`)
  }
  const listing = await client.files(id)
  if (listing.attempt > 1)
    throw new UsageError(`it had ${listing.attempt} attempts, and only the changes of the last one are known`)
  const missing =
    listing.incomplete ?? (listing.notListed > 0 ? `${listing.notListed} files are not listed` : undefined)
  if (missing !== undefined) throw new UsageError(`not all of its changes are known: ${missing}`)
  const folder = isAbsolute(workspace) ? workspace : join(readConfig().workspaceRoot, workspace)
  if (!(await lstat(folder).catch(() => undefined))?.isDirectory())
    throw new UsageError(`${folder}, in which it worked, does not exist on this machine`)
  return { folder, listing }
}

/** What was created goes first, so that what had been there has its place. */
async function carryOut(folder: string, steps: readonly Step[]): Promise<void> {
  const isRemoval = ({ kind }: Step): boolean => kind === 'remove'
  for (const step of [...steps.filter(isRemoval), ...steps.filter((one) => !isRemoval(one))]) {
    if (step.kind === 'remove') await removeConfined(folder, step.path)
    else await writeConfined(folder, step.path, step.content, { mode: step.mode, replaces: true })
    const line = `${step.kind === 'remove' ? 'removed ' : 'restored'}  ${step.path.replace(/\p{Cc}/gu, '?')}`
    process.stdout.write(`${line}\n`)
  }
}

export const undo: Command = {
  summary: ['undo <id>', 'reverts what a run changed in a folder of this machine'],
  usage: `Usage: cc-executor undo <id> [flags]

Reverts the changes of a finished execution in its folder on this machine, using its patch: files that it created are
removed, files that it modified or deleted are restored. If a file has changed since, or cannot be restored (larger
than 256 KiB, not a regular file), it is named and nothing is done. Empty folders remain.

${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: SERVICE_FLAGS })
    const id = requireId(positionals)
    return withService(values.url, async (client): Promise<number> => {
      const { folder, listing } = await findFolder(client, id)
      const steps: Step[] = []
      const refusals: Refusal[] = []
      for (const file of listing.files.filter(({ change }) => change !== 'unchanged')) {
        const plan = await planFile(client, id, folder, file)
        if ('kind' in plan) steps.push(plan)
        else refusals.push(plan)
      }
      if (refusals.length > 0) {
        const lines = refusals.map(({ path, why }) => `  ${path.replace(/\p{Cc}/gu, '?')}: ${why}`)
        say(`nothing was reverted in ${folder}:\n${lines.join('\n')}`)
        return EXIT_CODES.failed
      }
      await carryOut(folder, steps)
      const unseen = listing.ignored.length === 0 ? '' : `; not checked: ${listing.ignored.join(', ')}`
      say(`${steps.length} change${steps.length === 1 ? '' : 's'} reverted in ${folder}${unseen}`)
      return EXIT_CODES.succeeded
    })
  },
}
