import { spawnClaude, type ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import { writeConfined } from '../../platform/confined-folder.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { PooledCredential } from '../claim/credential-pool.js'
import type { RunSandbox } from '../claim/run-reach.js'
import type { RunServices } from '../claim/run-services.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { RunFolders, Workspace } from '../workspaces/prepare-workspace.js'
import type { Opening } from './opening.js'
import { openCaches } from './run-caches.js'
import { listOwn, listProtected, openRunSandbox } from './run-sandbox.js'

/**
 * Of a lease: the last heartbeat is sent at half of it at the latest, so the kill is over before others may take the
 * execution.
 */
const HEARTBEAT_TIMEOUT_OF_LEASE = 0.4

/** So long without a heartbeat, and the processes of a run are ended by themselves. */
export const heartbeatTimeoutOf = ({ config: { lockSeconds } }: Pick<RunServices, 'config'>): number =>
  lockSeconds * 1_000 * HEARTBEAT_TIMEOUT_OF_LEASE

export interface Wanted {
  readonly level: SandboxLevel
  readonly folders: RunFolders
  readonly planned: ClaudeCommand
  /** What it is shown beside its folders. */
  readonly openings?: readonly Opening[]
}

/** Its sandbox, proxy and login, and the files that its command reads. The caller closes it. @throws LoginError */
export async function openReach(
  services: RunServices,
  credential: PooledCredential,
  record: Pick<ExecutionRecord, 'id' | 'owner' | 'request'>,
  { level, folders, planned, openings = [] }: Wanted,
): Promise<RunSandbox> {
  const caches = await openCaches(services, record, level, folders)
  const reach = await openRunSandbox(
    services,
    credential,
    record.request,
    level,
    folders,
    // A variable that the operator lets through is his own choice.
    { ...planned, env: { ...caches.variables, ...planned.env } },
    [caches.opening, ...openings],
  )
  try {
    for (const { name, content } of reach.command.files)
      await writeConfined(folders.input, name, Buffer.from(content), { mode: 0o600, replaces: true })
    return reach
  } catch (error) {
    await reach.close()
    throw error
  }
}

/** The CLI behind its gate, in what `openReach` has given. @throws as spawnClaude */
export const spawnRun = (
  services: RunServices,
  {
    reach,
    folders,
    workspace,
    marker,
    binary,
  }: {
    readonly reach: RunSandbox
    readonly folders: RunFolders
    readonly workspace: Workspace
    readonly marker: string
    readonly binary: string
  },
): Promise<ClaudeProcess> =>
  spawnClaude(reach.command, {
    containment: services.containment,
    workspace: folders.workspace,
    folder: workspace,
    marker,
    hidden: listOwn(services),
    exposed: Object.values(folders),
    protected: [...listProtected(services), binary],
    sandbox: reach.sandbox,
    heartbeatTimeoutMs: heartbeatTimeoutOf(services),
  })
