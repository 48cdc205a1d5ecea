import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GitError } from '../git/git-error.js'
import { runGit as run, type GitCall as Call, type GitChild, type GitReport, type GitStart } from '../git/run-git.js'
import type { RunLimits } from '../platform/run-limits.js'
import type { Containment } from '../supervision/containment.js'
import type { Sandbox } from '../supervision/sandbox.js'
import { startSupervised, type SupervisedProcess } from '../supervision/supervised-process.js'

/** How a worker starts git for one claim. */
export interface GitMeans extends Omit<GitStart, 'start'> {
  readonly containment: Containment
  readonly marker: string
  readonly heartbeatTimeoutMs: number
  /** Who calls heartbeat() from now on. */
  readonly onProcess: (child: SupervisedProcess) => void
  readonly limits: RunLimits
}

export interface GitCall extends Omit<Call, 'watch'> {
  /** Real paths beside cwd. */
  readonly writable?: readonly string[]
  readonly readable?: readonly string[]
  /** It reads only what the worker itself has written or checked, and needs no sandbox of its own. */
  readonly isOwn?: boolean
  /** It goes out; else it has no network where there is a sandbox. */
  readonly isRemote?: boolean
  /** A folder whose files, and those of its folders, may not grow beyond this. */
  readonly growth?: { readonly folder: string; readonly limitBytes: number }
}

/** git is shown its folders and the system's programs, nothing else, where this machine can do that. */
function sandboxOf(
  { containment, home, limits }: GitMeans,
  { isOwn = false, isRemote = false, writable = [], readable = [] }: GitCall,
): Sandbox | undefined {
  if (isOwn) return undefined
  const level = isRemote ? 'workspace' : 'locked'
  if (containment.sandbox?.levels.includes(level) !== true) return undefined
  return {
    level,
    home,
    limits,
    writable: [home, ...writable],
    readable,
    sockets: [],
    hidden: [],
    protected: [],
  }
}

/** Of all files in it; what goes while it is looked at counts nothing. */
export async function sizeOfFolder(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return sizeOfFolder(path)
      return stat(path).then(
        ({ size }) => size,
        () => 0,
      )
    }),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/**
 * Runs git under the same supervision as a run: nothing of it is left when this resolves, however the worker or git
 * ends. @throws GitError
 */
export function runGit(means: GitMeans, call: GitCall): Promise<GitReport> {
  const { containment, marker, heartbeatTimeoutMs } = means
  const { growth } = call
  const start: GitStart['start'] = async (command): Promise<GitChild> => {
    const sandbox = sandboxOf(means, call)
    const child = await startSupervised({ ...command, containment, marker, heartbeatTimeoutMs, sandbox })
    try {
      means.onProcess(child)
      return child
    } catch (error) {
      await child.killAll()
      throw error
    }
  }
  const watch = growth && (() => requireBounded(growth))
  return run({ ...means, start }, { ...call, watch })
}

async function requireBounded({ folder, limitBytes }: NonNullable<GitCall['growth']>): Promise<void> {
  if ((await sizeOfFolder(folder)) > limitBytes) throw tooLarge(limitBytes)
}

export const tooLarge = (limitBytes: number): GitError =>
  new GitError('too_large', `The repository is larger than ${limitBytes} bytes (CC_EXECUTOR_REPOSITORY_LIMIT_BYTES).`)
