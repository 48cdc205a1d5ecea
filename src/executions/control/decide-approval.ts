import type { Approval, ApprovalDecision } from '../../protocol/approvals.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, toInvalidRequest, type FieldError } from '../../protocol/errors.js'
import { fromStore } from '../../platform/redis.js'
import { requireApproval } from '../read/find-approvals.js'
import { digestDecision, toApproval, toClosedApproval, type ApprovalRecord } from '../records/approval-record.js'
import type { DomainServices } from '../services.js'
import { notifyWorkers } from './notify-workers.js'

const KINDS = { tool: 'a tool call', question: 'questions', plan: 'a plan' } as const

function findAnswerFaults(
  { answers = [] }: ApprovalDecision,
  { questions = [] }: ApprovalRecord['asked'],
): FieldError[] {
  const seen = new Set<number>()
  return answers.flatMap(({ questionIndex, labels = [], text }, position): FieldError[] => {
    const at = (field: string, message: string): FieldError => ({ path: `answers[${position}].${field}`, message })
    const question = questions.find(({ index }) => index === questionIndex)
    if (!question) return [at('questionIndex', `there are ${questions.length} questions, from 0`)]
    if (seen.has(questionIndex)) return [at('questionIndex', 'is answered twice')]
    seen.add(questionIndex)
    const offered = question.options.map(({ label }) => label)
    const unknown = labels.find((label) => !offered.includes(label))
    if (unknown !== undefined) return [at('labels', `is none of the offered ones: ${offered.join(', ')}; use text`)]
    if (labels.length > 1 && !question.multiSelect) return [at('labels', 'this question takes one')]
    if (labels.length === 0 && (text ?? '').trim() === '') return [at('text', 'give labels or a text')]
    return []
  })
}

/** What of a decision does not fit what was asked. */
function findFaults(
  decision: ApprovalDecision,
  { asked }: ApprovalRecord,
  { config }: Pick<DomainServices, 'config'>,
): FieldError[] {
  const { kind, suggestions } = asked
  const what = KINDS[kind]
  if ((decision.decision === 'answer') !== (kind === 'question') && decision.decision !== 'deny')
    return [
      {
        path: 'decision',
        message: kind === 'question' ? `of ${what}: answer or deny` : `of ${what}: allow or deny`,
      },
    ]
  const only = (field: 'input' | 'permissionMode' | 'appliesTo', of: 'tool' | 'plan'): FieldError[] =>
    kind === of ? [] : [{ path: field, message: `is for ${KINDS[of]} only` }]
  return [
    ...(decision.input === undefined ? [] : only('input', 'tool')),
    ...(decision.permissionMode === undefined ? [] : only('permissionMode', 'plan')),
    ...(decision.permissionMode === 'auto' && !config.allowAutoPermissions
      ? [{ path: 'permissionMode', message: 'disabled by CC_EXECUTOR_ALLOW_AUTO_PERMISSIONS' }]
      : []),
    ...(decision.appliesTo !== 'execution' ? [] : only('appliesTo', 'tool')),
    ...(decision.appliesTo === 'execution' && kind === 'tool' && suggestions.length === 0
      ? [{ path: 'appliesTo', message: 'nothing is suggested for the rest of the execution; allow each call' }]
      : []),
    ...findAnswerFaults(decision, asked),
  ]
}

function tellClosed(record: ApprovalRecord): ExecutorError {
  const closed = toClosedApproval(record)
  const who = closed.decidedBy === undefined ? '' : ` by ${closed.decidedBy}`
  return new ExecutorError('APPROVAL_CLOSED', {
    detail: `The approval is ${closed.status}${who}${closed.decidedAt === undefined ? '' : ` since ${closed.decidedAt}`}.`,
    approval: closed,
  })
}

/**
 * The first decision counts; the same one of the same token again changes nothing. The worker that holds the call is
 * notified, and tells of it in the log.
 * @throws ExecutorError APPROVAL_NOT_FOUND, APPROVAL_CLOSED, INVALID_REQUEST
 */
export async function decideApproval(
  services: DomainServices,
  id: string,
  decision: ApprovalDecision,
  caller: Caller,
): Promise<Approval> {
  const record = await requireApproval(services, id, caller)
  const faults = findFaults(decision, record, services)
  if (faults.length > 0) throw toInvalidRequest(faults)
  const answer = await fromStore(services.store.decideApproval(id, decision, digestDecision(decision), caller))
  if (answer !== 'missing') await notifyWorkers(services, record.executionId)
  const after = await requireApproval(services, id, caller)
  if (answer === 'closed' || answer === 'missing') throw tellClosed(after)
  return toApproval(after)
}
