import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import type { Sandbox } from '../../claude/stream/spawn-claude.js'
import type { NewEvent } from '../../protocol/events.js'
import type { OutcomeCode } from '../../protocol/execution.js'
import type { RunContainment, SandboxLevel, SandboxOutcome } from '../../protocol/sandbox.js'

/**
 * After a failure that is about the credential: whether another attempt would have another one than this began with.
 * `unknown`: whoever would renew it could not be asked.
 */
export type OtherLogin = { readonly kind: 'another' | 'none' } | { readonly kind: 'unknown'; readonly why: string }

/** What a run may reach, from its preparation to its end. */
export interface RunSandbox {
  readonly level: SandboxLevel
  /** Of a level above `host`. */
  readonly sandbox?: Sandbox
  readonly command: ClaudeCommand
  /** As its start tells it. */
  readonly containment: RunContainment
  /** As its outcome tells it. */
  outcome(): SandboxOutcome
  /** After the API, or the proxy in its stead, has refused the run. */
  findOtherLogin(code: OutcomeCode): Promise<OtherLogin>
  /** Who hears from now on what happens at its borders, what has happened before included. */
  listen(report: (event: NewEvent) => void): void
  /** Nothing more is told. */
  settle(): void
  close(): Promise<void>
}
