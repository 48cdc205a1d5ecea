import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { COMPARE, toIdentity, type Committed } from './commit-changes.js'
import { GitError } from '../git/git-error.js'
import { runGit, type GitMeans } from './run-git.js'

/** What is handed out of a run's commits; undefined: there is none, or it is larger than what is kept. */
export interface Delivery {
  /** A mailbox, for `git am` and `git apply`. */
  readonly patch: Buffer | 'too_large'
  /** undefined: there is nothing to bundle. */
  readonly bundle: Buffer | 'too_large' | undefined
}

/** Lines of a message which the programs that read a patch take for the end of it, or for the beginning of another. */
const MISLEADING = /^(?:---|diff -|Index: |From |>From |\*\*\* )/m

class Overflow extends GitError {}

interface Keeper {
  readonly means: GitMeans
  readonly keeper: string
  readonly limitBytes: number
  readonly author: string
}

async function ask({ means, keeper, limitBytes, author }: Keeper, args: readonly string[]): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  await runGit(means, {
    args,
    cwd: keeper,
    env: { GIT_DIR: keeper, ...toIdentity(author) },
    isOwn: true,
    onOutput(chunk) {
      bytes += chunk.length
      if (bytes > limitBytes) throw new Overflow('too_large', 'It is larger than what is kept of an execution.')
      pieces.push(chunk)
    },
  })
  return Buffer.concat(pieces)
}

async function askBounded(keeper: Keeper, args: readonly string[]): Promise<Buffer | 'too_large'> {
  try {
    return await ask(keeper, args)
  } catch (error) {
    if (error instanceof Overflow) return 'too_large'
    throw error
  }
}

/**
 * Whether the run's own commits make a series that `git am` takes as it is: no merges, and no message that reads as
 * the beginning of a patch.
 */
async function isSeries(keeper: Keeper, { base, head, commits }: Committed): Promise<boolean> {
  if (commits === 1) return true
  const [merges, messages] = [
    await ask(keeper, ['rev-list', '--count', '--merges', `${base}..${head}`]),
    await askBounded(keeper, ['log', '--format=%B', `${base}..${head}`]),
  ]
  return merges.toString().trim() === '0' && messages !== 'too_large' && !MISLEADING.test(messages.toString())
}

const isMisleading = async (keeper: Keeper, { head }: Committed): Promise<boolean> =>
  MISLEADING.test((await ask(keeper, ['log', '-1', '--format=%B', head])).toString())

/** The commits as mails, or all of them as one where they make no series. */
async function toPatch(keeper: Keeper, committed: Committed, message: string): Promise<Buffer | 'too_large'> {
  const { base, head, tree } = committed
  const isWhole = (await isSeries(keeper, committed)) && !(await isMisleading(keeper, committed))
  const top = isWhole ? head : (await ask(keeper, ['commit-tree', tree, '-p', base, '-m', message])).toString().trim()
  const form = ['format-patch', '--stdout', '--binary', '--full-index', '--no-signature', '--no-attach', '--no-thread']
  const args = [...form, '--no-cover-letter', '--no-base', '--no-notes', ...COMPARE, `${base}..${top}`]
  const patch = await askBounded(keeper, args)
  // `git am` takes the carriage return off the end of a line: of such files it gets the bytes.
  if (patch === 'too_large' || !patch.includes('\r\n')) return patch
  const attributes = join(keeper.keeper, 'info/attributes')
  await writeFile(attributes, '* -diff\n')
  try {
    return await askBounded(keeper, args)
  } finally {
    await writeFile(attributes, '')
  }
}

/** @param limitBytes of each of both */
export async function deliver(
  means: GitMeans,
  keeper: string,
  branch: string,
  committed: Committed,
  { message, author, limitBytes }: { readonly message: string; readonly author: string; readonly limitBytes: number },
): Promise<Delivery> {
  const { base, head } = committed
  if (head === base) return { patch: Buffer.alloc(0), bundle: undefined }
  const bounded = { means, keeper, limitBytes, author }
  const patch = await toPatch(bounded, committed, message)
  const bundle = await askBounded(bounded, ['bundle', 'create', '-q', '-', `^${base}`, `refs/heads/${branch}`])
  return { patch, bundle }
}
