// Our checkout and another one, each as a black box: its processes, HTTP, WebSocket and Redis.
import { existsSync } from 'node:fs'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../support/paths.js'
import { run } from './programs.js'
import { BASE, HERE } from './rows.js'

export interface Checkout {
  readonly name: string
  /** How it is shown. */
  readonly title: string
  readonly root: string
  /** What node is started with: flags, and the file. */
  readonly entry: readonly string[]
}

const BUILD_DEADLINE_MS = 600_000

/** The file that the deployment's units name, in every version. */
const toEntry = (root: string): string[] => [join(root, 'dist/src/main/cli.js')]

export const ours = (): Checkout => ({
  name: HERE,
  title: 'here',
  root: ROOT,
  entry: toEntry(ROOT),
})

const lockOf = (folder: string): Promise<string> => readFile(join(folder, 'package-lock.json'), 'utf8')

/** The commit, built in a folder; its dependencies are ours where the lock file is the same. */
async function build(commit: string, folder: string): Promise<void> {
  const deadlineMs = BUILD_DEADLINE_MS
  await run('sh', ['-c', 'git archive --format=tar "$0" | tar -x -C "$1"', commit, folder], { cwd: ROOT, deadlineMs })
  if ((await lockOf(folder)) === (await lockOf(ROOT)))
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  else await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, deadlineMs })
  await run(process.execPath, ['src/setup/set-up.mjs', '--only=build'], { cwd: folder, deadlineMs })
}

/** A commit, which is built in `folder`, or the folder of one that is built already. */
export async function openBase(commitOrFolder: string, folder: string): Promise<Checkout> {
  if (existsSync(join(commitOrFolder, 'package.json'))) {
    const title =
      commitOrFolder
        .replace(/\/+$/, '')
        .split('/')
        .at(-1)
        ?.replace(/^base-/, '') ?? BASE
    return { name: BASE, title, root: commitOrFolder, entry: toEntry(commitOrFolder) }
  }
  const title = (
    await run('git', ['rev-parse', '--short', '--verify', `${commitOrFolder}^{commit}`], { cwd: ROOT })
  ).trim()
  process.stderr.write(`bench: building ${title} …\n`)
  await build(title, folder)
  return { name: BASE, title, root: folder, entry: toEntry(folder) }
}
