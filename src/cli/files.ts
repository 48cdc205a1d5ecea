import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Client } from '../client/open-client.js'
import { ConfinedPathError, writeConfined } from '../platform/confined-folder.js'
import type { WorkspaceFile, WorkspaceFiles } from '../protocol/files.js'
import { EXIT_CODES, requireId, say, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson } from './print.js'

const WHY_NOT: Record<Exclude<WorkspaceFile['content'], 'kept' | 'unchanged'>, string> = {
  deleted: 'gone',
  too_large: 'not kept: larger than the limit per execution',
  over_limit: 'not kept: other files used up the limit per execution',
  unreadable: 'not kept: it could not be read',
  withheld: 'it contains a secret of the operator',
  not_a_file: 'not a regular file',
}

function toLine({ path, change, size, content }: WorkspaceFile): string {
  const remark = content === 'kept' || content === 'unchanged' ? '' : `  (${WHY_NOT[content]})`
  // A name may hold control characters, which a terminal would obey.
  return `${change.padEnd(9)}  ${String(size).padStart(10)}  ${path.replace(/\p{Cc}/gu, '?')}${remark}`
}

function toSummary({ created, modified, deleted, unchanged, notListed, incomplete }: WorkspaceFiles): string {
  const more = [notListed > 0 ? `${notListed} more are not listed` : '', incomplete ?? ''].filter((text) => text !== '')
  return [`${created} created, ${modified} modified, ${deleted} deleted, ${unchanged} unchanged`, ...more].join('; ')
}

const WHY_NO_GIT = 'not written, because files in .git can run programs'

/** A repository's own configuration runs programs; some file systems take these names for the one as well. */
const isOfGit = (path: string): boolean =>
  path.split(/[/\\]/).some((part) =>
    ['.git', 'git~1'].includes(
      part
        .replace(/\p{Cf}/gu, '')
        .replace(/[. ]+$/, '')
        .toLowerCase(),
    ),
  )

/** What the service says of a path is not believed: nothing is written outside of the folder, nor through a link. */
async function write(client: Client, id: string, files: readonly WorkspaceFile[], out: string): Promise<void> {
  await mkdir(out, { recursive: true })
  for (const { path, mode } of files) {
    const content = await client.file(id, path)
    try {
      await writeConfined(out, path, content, { mode: Number.parseInt(mode, 8) & 0o777, replaces: true })
    } catch (error) {
      if (!(error instanceof ConfinedPathError)) throw error
      throw new UsageError(`${JSON.stringify(path)} is not written below --out: it ${error.message}`)
    }
  }
}

async function save(client: Client, id: string, path: string | undefined, out: string): Promise<void> {
  const { files } = await client.files(id)
  const wanted = files.filter((file) =>
    path === undefined ? file.change === 'created' || file.change === 'modified' : file.path === path,
  )
  if (path !== undefined && wanted.length === 0)
    throw new UsageError(`the workspace has no ${JSON.stringify(path)}; cc-executor files ${id} lists it`)
  // Asked for by name, the service itself says why it has it not.
  const known = path === undefined ? wanted.filter(({ content }) => content === 'kept') : wanted
  const kept = known.filter((file) => !isOfGit(file.path))
  const ofGit = known.length - kept.length
  if (path !== undefined && ofGit > 0) throw new UsageError(`${JSON.stringify(path)} ${WHY_NO_GIT}`)
  await write(client, id, kept, resolve(out))
  if (ofGit > 0) say(`${ofGit} file${ofGit === 1 ? '' : 's'}: ${WHY_NO_GIT}`)
  const missing = wanted.length - known.length
  const written = `${kept.length} file${kept.length === 1 ? '' : 's'} written below ${join(out)}`
  const remark = `; ${missing} that changed ${missing === 1 ? 'is' : 'are'} not kept, cc-executor files ${id} says why`
  say(missing === 0 ? written : written + remark)
}

export const files: Command = {
  summary: ['files <id> [PATH] [--out DIR] [--diff]', 'what a run changed in its workspace'],
  usage: `Usage: cc-executor files <id> [PATH] [flags]

Lists the workspace of a finished execution as its run left it; with PATH, prints that file byte for byte.

  --out DIR                       writes what was created or modified (with PATH: that file) below DIR
  --diff                          prints the changes as a patch, for git apply and patch -p1
  --json                          the listing as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, out: { type: 'string' }, diff: { type: 'boolean' }, json: { type: 'boolean' } },
    })
    const [path, ...others] = positionals.slice(1)
    if (others.length > 0) throw new UsageError('expected the id of one execution and at most one path')
    const id = requireId(positionals.slice(0, 1))
    const { out, diff = false, json = false } = values
    if ([out !== undefined, diff, json].filter(Boolean).length > 1)
      throw new UsageError('--out, --diff and --json exclude each other')
    if (json && path !== undefined) throw new UsageError('--json is for the listing; it takes no path')
    await withService(values.url, async (client) => {
      if (out !== undefined) await save(client, id, path, out)
      else if (diff) process.stdout.write(await client.patch(id, path))
      else if (path !== undefined) process.stdout.write(await client.file(id, path))
      else if (json) printJson(await client.files(id))
      else {
        const listing = await client.files(id)
        for (const file of listing.files) process.stdout.write(`${toLine(file)}\n`)
        say(toSummary(listing))
      }
    })
    return EXIT_CODES.succeeded
  },
}
