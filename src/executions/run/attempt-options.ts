import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { Failure } from '../../claude/stream/classify-failure.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { Translator } from '../../claude/stream/translate-message.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import type { PooledCredential } from '../claim/credential-pool.js'
import type { RunJournal } from '../claim/run-journal.js'
import type { RunServices } from '../claim/run-services.js'
import type { AnswerSchema } from '../json-mode/answer-schema.js'
import type { ApprovalRecord } from '../records/approval-record.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import type { LeftCall } from './held-call.js'
import type { MessageDesk } from './message-desk.js'
import type { Progress } from './progress-meter.js'
import type { RunServers } from './run-servers.js'

export interface AttemptReport {
  readonly outcome: Outcome
  readonly usage: Usage
  readonly failure: Failure
  /** From GO to the last process gone, pauses left out; with the attempts whose timeout it has taken up. */
  readonly activeMs: number
  /** It had to be ended because it did not exit after its answer. */
  readonly wasForced: boolean
  /** The call that it was ended with, for a decision, as the session holds it; lost: it does not. */
  readonly left: LeftCall | 'lost' | undefined
  /** The decision for which the execution was parked, where the CLI has not come to it. */
  readonly untouched: string | undefined
  /** It was ended after its answer, on request or with its background tasks: how it would have exited is not known. */
  readonly endedAfterAnswer: boolean
}

export interface AttemptOptions {
  readonly services: RunServices
  readonly credential: PooledCredential
  readonly executionId: string
  readonly fence: string
  readonly run: RunRequest
  readonly command: ClaudeCommand
  readonly child: ClaudeProcess
  readonly translator: Translator
  readonly servers: RunServers | undefined
  readonly desk: MessageDesk
  readonly journal: RunJournal
  /** JSON mode: what the answer must be. */
  readonly answerSchema: AnswerSchema | undefined
  /** Whose it is. */
  readonly owner: string
  /** The approval for which the execution was parked, and whose call the CLI takes up. */
  readonly decided: ApprovalRecord | undefined
  /** An attempt before may have given the decision already: it is not given again. */
  readonly isSpent: boolean
  /** False where the attempt before could not keep a call in the session. */
  readonly canKeep: boolean
  readonly sessionId: string
  /** For how long the attempts ran whose timeout it takes up. */
  readonly ranMs: number | undefined
  /** How many changes of its budget the log has. */
  readonly budgetChangesKnown: number
  readonly onProgress: (progress: Progress) => void
  readonly onFirstOutput: () => void
  readonly attempt: number
  /** Stores, trying again while the claim is held. */
  readonly persist: <Answer>(store: () => Promise<Answer>) => Promise<Answer>
  /** Told by their role in messages, never by their path. */
  readonly folders: RunFolders
}
