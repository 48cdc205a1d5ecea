import { ConfinedPathError } from '../../platform/confined-folder.js'
import { ExecutorError } from '../../protocol/errors.js'
import type { Outcome, OutcomeCode } from '../../protocol/execution.js'
import { AttachmentError } from './load-attachments.js'
import { WorkspaceError } from '../workspaces/prepare-workspace.js'
import type { Unstarted } from './prepared-run.js'

export const failed = (code: OutcomeCode, message: string): Outcome => ({ status: 'failed', code, message })

export const refused = (outcome: Outcome): Unstarted => ({ kind: 'refused', outcome })

/** A disk that takes nothing is no fault of the service's. */
const DISK = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM'])

/** Of what was done before there was a CLI. @throws what is not foreseen */
export function toFolderFailure(error: unknown): Outcome {
  if (error instanceof WorkspaceError) return failed('WORKSPACE_ERROR', error.message)
  if (error instanceof ConfinedPathError)
    return failed('WORKSPACE_ERROR', `The folders of the run could not be prepared: ${error.message}`)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (!DISK.has(code)) throw error
  return failed(
    'WORKSPACE_ERROR',
    `The folders of the run could not be prepared (${code}); check the disk of the worker.`,
  )
}

/** @throws what is not foreseen */
export function toAttachmentFailure(error: unknown): Outcome {
  if (!(error instanceof AttachmentError)) throw error
  return failed('WORKSPACE_ERROR', error.message)
}

/** The machine had no process, memory or descriptor left. */
export const isScarce = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'SCARCE'

export const toErrorText = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export function toSpawnFailure(error: unknown): Outcome {
  if (error instanceof ExecutorError) throw error
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'ENOENT_FILE':
      return failed(
        'CLAUDE_NOT_FOUND',
        'The Claude CLI is no longer where the worker found it; install it again or set CC_EXECUTOR_CLAUDE_BIN.',
      )
    case 'BAD_CWD':
      return failed('WORKSPACE_ERROR', 'The workspace cannot be entered; check its permissions.')
    default:
      return failed('CLAUDE_EXITED', `The CLI could not be started: ${toErrorText(error)}`)
  }
}
