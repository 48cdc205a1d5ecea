import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** For each of the programs below; a tree that takes longer is met again by the next sweep. */
const DEADLINE_MS = 60_000

/**
 * Removes a folder that a program was free to fill. Node's own `rm` cannot go deeper than PATH_MAX, and stops at
 * folders that
 * their owner has made read-only, as Go's module cache is; the system's programs go down by descriptors, and give us
 * back what is ours first.
 * @throws what rm said, where it cannot be removed either
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch {
    const options = { timeout: DEADLINE_MS, killSignal: 'SIGKILL' } as const
    // It follows no link; what belongs to others stays as it is, and rm says so.
    await run('chmod', ['-R', 'u+rwX', '--', path], options).catch(() => undefined)
    await run('rm', ['-rf', '--', path], options)
  }
}
