import type { Containment } from '../../supervision/containment.js'
import type { Sandbox } from '../../supervision/sandbox.js'
import { startSupervised, type OpenFolder, type SupervisedProcess } from '../../supervision/supervised-process.js'
import type { ClaudeCommand } from '../command/claude-command.js'

export type { Sandbox } from '../../supervision/sandbox.js'
export type { Containment } from '../../supervision/containment.js'

/** The CLI under supervision, prepared and not yet let go. */
export type ClaudeProcess = SupervisedProcess

export interface SpawnOptions {
  readonly containment: Containment
  readonly workspace: string
  /** The same, opened by the caller. */
  readonly folder?: OpenFolder
  /** Found again in every process of the run, so that a sweep knows whose they are. */
  readonly marker: string
  /** The service's own: token, keys, other runs. */
  readonly hidden: readonly string[]
  /** What the run may see of it. */
  readonly exposed: readonly string[]
  /** What the service is made of. */
  readonly protected?: readonly string[]
  readonly heartbeatTimeoutMs: number
  /** A level above `host`, in place of the three. */
  readonly sandbox?: Sandbox
}

/** @throws Error with code ENOENT_FILE, BAD_CWD or SPAWN_FAILED; nothing is left behind */
export function spawnClaude(
  { file, args, env }: ClaudeCommand,
  {
    containment,
    workspace,
    folder,
    marker,
    hidden,
    exposed,
    protected: kept = [],
    heartbeatTimeoutMs,
    sandbox,
  }: SpawnOptions,
): Promise<ClaudeProcess> {
  return startSupervised({
    containment,
    file,
    args,
    env,
    cwd: workspace,
    folder,
    marker,
    hiddenPaths: hidden,
    exposedPaths: exposed,
    protectedPaths: kept,
    heartbeatTimeoutMs,
    sandbox,
  })
}
