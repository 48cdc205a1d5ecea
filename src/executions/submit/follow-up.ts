import { toFields } from '../../claude/command/run-request.js'
import type { Caller } from '../../protocol/caller.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { MessageRequest } from '../../protocol/messages.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { DomainServices } from '../services.js'
import type { NewRecord } from '../store/transitions.js'
import { planRecord, submitExecution, type Submission } from './submit-execution.js'
import type { Taken } from './take-attachments.js'

type Said = Pick<MessageRequest, 'text' | 'attachments'>
type Followed = Pick<ExecutionRecord, 'id' | 'request' | 'trace'>

/**
 * The request of a follow-up: the same model, permissions, limits and labels, in the same workspace. What was for one
 * answer alone stays behind: its files, its form and its checks.
 */
function toFollowUp({ id, request }: Followed, { text, attachments }: Said): ExecuteRequest {
  const {
    prompt: _prompt,
    literalPrompt: _literalPrompt,
    session: _session,
    workspace: _workspace,
    worktree: _worktree,
    repository: _repository,
    files: _files,
    attachments: _attachments,
    json: _json,
    outputSchema: _outputSchema,
    maxRepairs: _maxRepairs,
    verify: _verify,
    ...inherited
  } = toFields(request)
  return { ...inherited, prompt: text, attachments, session: { resume: id } }
}

/** An execution that goes on with the session of another one, behind those that wait for it already. */
export const submitFollowUp = (
  services: DomainServices,
  followed: Followed,
  { request, contents }: Taken<Said>,
  caller: Caller,
  idempotencyKey: string | undefined,
): Promise<Submission> =>
  submitExecution(services, toFollowUp(followed, request), caller, idempotencyKey, {
    follows: true,
    contents,
    trace: followed.trace,
  })

/** The same, to be stored later without its caller. */
export const planFollowUp = async (
  services: DomainServices,
  followed: Followed,
  { request, contents }: Taken<Said>,
  caller: Caller,
): Promise<NewRecord> =>
  (
    await planRecord(services, toFollowUp(followed, request), caller, {
      follows: true,
      contents,
      trace: followed.trace,
    })
  ).record
