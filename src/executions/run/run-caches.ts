import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sha256 } from '../../platform/hash.js'
import { makeFolder } from '../../platform/make-folder.js'
import { removeTree } from '../../platform/remove-tree.js'
import { variablesOf, type SharedCache } from '../../platform/shared-caches.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { RunServices } from '../claim/run-services.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import type { Opening } from './opening.js'

const run = promisify(execFile)
/** A run that would wait longer for its copy begins without. */
const COPY_MS = 60_000

export interface RunCaches {
  readonly variables: Readonly<Record<string, string>>
  readonly opening: Opening
}

/** By a digest: a token's name may be used again, its id is its own. */
const folderOf = (dataDir: string, owner: string, { tool }: SharedCache): string =>
  join(dataDir, 'caches', sha256(owner).slice(0, 32), tool)

/** What is shared by blocks where the file system can, else copied. false: the run goes without. */
async function copyCache(from: string, to: string, log: (err: unknown) => void): Promise<boolean> {
  try {
    const args = ['-R', '-P', '--reflink=auto', '--no-preserve=ownership', '--', `${from}/.`, to]
    await run('cp', args, { timeout: COPY_MS, killSignal: 'SIGKILL', env: { PATH: '/usr/bin:/bin' } })
    return true
  } catch (error) {
    log(error)
    await removeTree(to).catch(() => undefined)
    return false
  }
}

/**
 * The caches of a run. One that runs of a token share is shown only where nothing else of the service's folder is: at
 * `host` every run could write into those of all tokens.
 */
export async function openCaches(
  { config, logger }: RunServices,
  { id, owner }: Pick<ExecutionRecord, 'id' | 'owner'>,
  level: SandboxLevel,
  { temporary }: Pick<RunFolders, 'temporary'>,
): Promise<RunCaches> {
  const variables: Record<string, string> = {}
  const writable: string[] = []
  for (const cache of config.sharedCaches) {
    const { tool, copyOf } = cache
    if (copyOf === undefined && level === 'host') continue
    const folder = copyOf === undefined ? folderOf(config.dataDir, owner, cache) : join(temporary, `cache-${tool}`)
    if (copyOf !== undefined) await removeTree(folder)
    await makeFolder(folder, 0o700)
    if (copyOf === undefined) writable.push(folder)
    else if (
      !(await copyCache(copyOf, folder, (err) =>
        logger.warn({ executionId: id, tool, err }, 'the cache of CC_EXECUTOR_SHARED_CACHES was not copied'),
      ))
    )
      continue
    for (const [name, below] of variablesOf(tool)) variables[name] = join(folder, below)
  }
  return { variables, opening: { readable: [], writable, protected: [] } }
}
