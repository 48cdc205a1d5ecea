import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { ClaudeProcess, Containment } from '../../claude/stream/spawn-claude.js'
import type { SecretMask } from '../../platform/secret-mask.js'
import type { ProjectInstructions } from '../../protocol/project-instructions.js'
import type { Outcome } from '../../protocol/execution.js'
import type { WorkspaceEvidence } from '../../protocol/verification.js'
import type { RunSandbox } from '../claim/run-reach.js'
import type { AnswerSchema } from '../json-mode/answer-schema.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import type { LeftBehind } from './keep-files.js'
import type { LoadAttachments, LoadedAttachments } from './load-attachments.js'
import type { PossibleBeginning } from './plan-continuation.js'
import type { AttemptReport } from './attempt-options.js'
import type { RunAttempt } from './run-attempt.js'
import type { RunRepository } from './run-repository.js'
import type { RunWorktree } from './run-worktree.js'

/** A CLI that stands ready and has not been let go. */
export interface PreparedRun {
  readonly kind: 'prepared'
  readonly record: ExecutionRecord
  readonly run: RunRequest
  readonly beginning: PossibleBeginning
  readonly answerSchema: AnswerSchema | undefined
  readonly sessionId: string
  readonly command: ClaudeCommand
  /** What it hands to the CLI with the prompt; `load`: for the messages to it. */
  readonly attachments: Pick<LoadedAttachments, 'sent'> & { readonly load: LoadAttachments }
  readonly worktree: RunWorktree | undefined
  readonly projectInstructions: ProjectInstructions | undefined
  /** What must not be told of it: the operator's secrets, and those of its request. */
  readonly mask: SecretMask
  /** What it may reach. */
  readonly reach: RunSandbox
  readonly folders: RunFolders
  /** Its checkout, where it runs on a repository. */
  readonly repository: RunRepository | undefined
  readonly child: ClaudeProcess
  readonly evidence: Evidence
  /** Lets the next start through; a start is over with the CLI's first output, or after START_LIMIT_MS. */
  readonly leaveGate: () => void
  /** It had been started before it was asked for; its record is as its start will leave it. */
  readonly standby: true | undefined
}

/** Why there is no CLI to let go. */
export type Unstarted =
  /** Something is wrong with it, each thing with a code of its own. */
  | { readonly kind: 'refused'; readonly outcome: Outcome }
  /** Cancelled, or its worker stops or has lost the claim. */
  | { readonly kind: 'stopped'; readonly folders: RunFolders }
  /** Another execution has the folder, by another name: this one waits for it, outside the queue. */
  | { readonly kind: 'parked' }
  /** The machine had no process, memory or descriptor left: it is no fault of the execution's. */
  | { readonly kind: 'scarce'; readonly folders: RunFolders; readonly why: string }
  /** Its login was refused for good, and its worker has another credential. */
  | { readonly kind: 'elsewhere'; readonly folders: RunFolders; readonly outcome: Outcome }
  /** The login could not be renewed for now: nothing is known to be wrong with the execution or the login. */
  | { readonly kind: 'delayed'; readonly folders: RunFolders; readonly outcome: Outcome }

export interface VerifyOptions {
  readonly prepared: PreparedRun
  readonly attempt: RunAttempt
  readonly report: Pick<AttemptReport, 'endedAfterAnswer' | 'wasForced'>
  readonly outcome: Outcome
  readonly containment: Containment
  readonly marker: string
  readonly onProcess: (child: ClaudeProcess) => void
  /** Called with what the run changed, before any command of the caller's may change more. */
  readonly keepFiles: (left: LeftBehind) => Promise<void>
}

/** A run that is about to begin, as its workspace stands before it. */
export interface Evidence {
  verify(options: VerifyOptions): Promise<{ outcome: Outcome; files: WorkspaceEvidence }>
  /** For attempts that follow, on whichever worker. */
  keep(): Promise<void>
  /** No attempt follows. */
  forget(): Promise<void>
  /** Lets go of what was kept of the time before. */
  close(): void
}
