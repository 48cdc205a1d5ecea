import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../platform/make-folder.js'
import { removeTree } from '../../platform/remove-tree.js'

/** The CLI's configuration folder, below HOME. */
export const CLAUDE_FOLDER = '.claude'
/**
 * What of it belongs to the conversation: transcripts (with what was too long for them), plans and lists of tasks.
 * Texts and data; nothing in them is run, allows anything or is read by another session.
 */
const OF_THE_SESSION = new Set(['projects', 'plans', 'tasks', 'todos', 'file-history'])
/** What the CLI would read as its configuration if it lay in HOME itself. */
const CONFIGURATION = /^\.claude(?:\.json.*)?$/

const isFolder = async (path: string): Promise<boolean> =>
  (await lstat(path).catch(() => undefined))?.isDirectory() === true

async function removeAllBut(folder: string, keeps: (name: string, path: string) => Promise<boolean>): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    if (!(await keeps(name, path))) await removeTree(path)
  }
}

/**
 * Makes HOME anew for a run, since whatever an earlier one has left there (settings, hooks, `.bashrc`, `.gitconfig`)
 * would be obeyed by this one, which may have fewer rights. A conversation keeps its transcripts; a further attempt of
 * the same execution, which has the same rights, keeps its files too, and gets another configuration.
 */
export async function renewHome(home: string, { isFirstAttempt }: { readonly isFirstAttempt: boolean }): Promise<void> {
  const claude = join(home, CLAUDE_FOLDER)
  const projects = join(claude, 'projects')
  await removeAllBut(home, async (name, path) =>
    name === CLAUDE_FOLDER ? isFolder(path) : !isFirstAttempt && !CONFIGURATION.test(name),
  )
  await makeFolder(claude, 0o700)
  await removeAllBut(claude, async (name, path) => OF_THE_SESSION.has(name) && (await isFolder(path)))
  // The worker reads in them too, and must not be led elsewhere.
  if (await isFolder(projects)) await removeAllBut(projects, async (_name, path) => isFolder(path))
}
