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
  /** What `npm start` runs after its set-up: flags of node and the file. */
  readonly entry: readonly string[]
}

const BUILD_DEADLINE_MS = 600_000

/** From the script `start` of package.json, so that whatever file it names is the one that is measured. */
async function readEntry(root: string): Promise<string[]> {
  // Safe: npm's own file.
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const words = /exec node (.+) start$/.exec(scripts['start'] ?? '')?.[1]?.split(' ')
  if (words === undefined) throw new Error(`${root}: the script start of package.json is not understood`)
  return words.map((word) => (word.startsWith('-') ? word : join(root, word)))
}

export const ours = async (): Promise<Checkout> => ({
  name: HERE,
  title: 'here',
  root: ROOT,
  entry: await readEntry(ROOT),
})

const lockOf = (folder: string): Promise<string> => readFile(join(folder, 'package-lock.json'), 'utf8')

/** The commit, built in a folder; its dependencies are ours where the lock file is the same. */
async function build(commit: string, folder: string): Promise<void> {
  const deadlineMs = BUILD_DEADLINE_MS
  await run('sh', ['-c', 'git archive --format=tar "$0" | tar -x -C "$1"', commit, folder], { cwd: ROOT, deadlineMs })
  if ((await lockOf(folder)) === (await lockOf(ROOT)))
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  else await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, deadlineMs })
  await run('npm', ['run', 'build'], { cwd: folder, deadlineMs })
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
    return { name: BASE, title, root: commitOrFolder, entry: await readEntry(commitOrFolder) }
  }
  const title = (
    await run('git', ['rev-parse', '--short', '--verify', `${commitOrFolder}^{commit}`], { cwd: ROOT })
  ).trim()
  process.stderr.write(`bench: building ${title} …\n`)
  await build(title, folder)
  return { name: BASE, title, root: folder, entry: await readEntry(folder) }
}
