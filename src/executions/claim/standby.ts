import type { InstalledClaude } from '../../claude/behaviour.js'
import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { RunFolders, Workspace } from '../workspaces/prepare-workspace.js'
import type { PooledCredential } from './credential-pool.js'
import type { RunSandbox } from './run-reach.js'

/** With what a CLI is started that no request has asked for yet. */
export interface StandbyTerms {
  readonly credential: PooledCredential
  readonly level: SandboxLevel
  readonly claude: InstalledClaude
}

/** A contained CLI that has been let go, has answered `initialize`, and waits for its first line. */
export interface WaitingCli {
  /** Its folders bear it, in place of an execution's. */
  readonly id: string
  readonly sessionId: string
  readonly folders: RunFolders
  readonly workspace: Workspace
  /** As it was planned: what a run must want to the letter in order to be handed it. */
  readonly command: ClaudeCommand
  readonly reach: RunSandbox
  readonly child: ClaudeProcess
  /** Whether it still waits for a line. */
  isWaiting(): boolean
  /** What says on disk for whom its folders are from now on, before the record does. */
  assign(executionId: string): Promise<void>
  /** It was not what the run wants, and nothing was done with it. */
  giveBack(): void
  /** The claim that it was handed to is over: what is of no use to anybody goes. */
  close(): Promise<void>
}

/** The CLIs on standby of a worker. */
export interface Standby {
  /** How many wait, of how many that should. */
  state(): { readonly ready: number; readonly wanted: number }
  /** One that was started with these terms; it is the caller's from then on. */
  take(terms: StandbyTerms): WaitingCli | undefined
  /** Whether folders of this name are in use by one that stands by, or that was handed to a claim. */
  holds(id: string): boolean
}

export const NO_STANDBY: Standby = {
  state: () => ({ ready: 0, wanted: 0 }),
  take: () => undefined,
  holds: () => false,
}
