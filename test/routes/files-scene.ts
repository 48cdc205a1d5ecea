// A run that left files of every kind in its workspace, on a worker that shares no folder with the API.
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import type { WorkspaceFile, WorkspaceFiles } from '../../src/protocol/files.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService, type TestService } from '../support/service.js'

export const LIMIT = 1024 * 1024
const RESULT = {
  line: {
    type: 'result',
    subtype: 'success',
    is_error: false,
    result: 'done',
    num_turns: 1,
    usage: {},
    permission_denials: [],
  },
}
/** A run that does in its workspace what a shell says. */
export const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex')
export const find = (listing: WorkspaceFiles, path: string): WorkspaceFile | undefined =>
  listing.files.find((file) => file.path === path)

export async function openFiles(t: Test) {
  // The API's folders are not the workers': they share Redis and nothing else.
  const service = await openTestService(t, { workers: 0, env: { CC_EXECUTOR_FILES_LIMIT_BYTES: String(LIMIT) } })
  const apart = (name: string): NodeJS.ProcessEnv => ({ CC_EXECUTOR_DATA_DIR: join(service.directory, name) })
  await service.openWorker({ ...apart('worker-1'), CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI })
  const workspaces = join(service.directory, 'worker-1', 'workspaces')

  /** A run that does in its workspace what a shell says. */
  const run = async (command: string, more: Record<string, unknown> = {}): Promise<Execution> =>
    service.finished((await service.submit({ prompt: JSON.stringify([{ tool: command }, RESULT]), ...more })).id)
  const get = (
    execution: { id: string },
    tail: string,
    headers: Record<string, string> = {},
  ): ReturnType<TestService['call']> => service.call('GET', `/executions/${execution.id}/files${tail}`, { headers })
  async function bytesOf({ id }: { id: string }, tail: string): Promise<Buffer> {
    const response = await fetch(`${service.url()}/executions/${id}/files${tail}`, {
      headers: { authorization: `Bearer ${service.token}` },
    })
    return Buffer.from(await response.arrayBuffer())
  }

  await mkdir(join(workspaces, 'project', 'src'), { recursive: true })
  const before = {
    'src/changed.txt': 'one\ntwo\nthree\n',
    'gone.txt': 'it was here\n',
    'same.txt': 'as it was\n',
    'picture.bin': Buffer.from([1, 0, 2]),
    'umlaut.txt': Buffer.from('gr\xfc\xdfe\n', 'latin1'),
  }
  for (const [path, content] of Object.entries(before)) await writeFile(join(workspaces, 'project', path), content)
  const project = await run(
    [
      "printf 'one\\n2\\nthree\\nfour' > src/changed.txt",
      'rm gone.txt',
      "printf '\\3\\0\\4' > picture.bin",
      "printf 'gr\\374\\337e!\\n' > umlaut.txt",
      "printf '<script>alert(1)</script>' > page.html",
      "mkdir -p 'deep/a b'",
      "printf '#!/bin/sh\\n' > 'deep/a b/run é.sh'",
      "chmod 755 'deep/a b/run é.sh'",
      ': > empty',
      'mkfifo pipe',
      'ln -s /etc/passwd outside',
      'ln -s /etc folder',
      'head -c 2000000 /dev/zero > large',
      'head -c 700000 /dev/urandom > first',
      'head -c 800000 /dev/urandom > second',
    ].join('; '),
    { workspace: 'project' },
  )
  const listing: WorkspaceFiles = (await get(project, '')).body

  return { service, apart, workspaces, run, get, bytesOf, before, project, listing }
}
