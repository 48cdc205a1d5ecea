import type { Approval, ApprovalDecision } from '../../protocol/approvals.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, toInvalidRequest, type FieldError } from '../../protocol/errors.js'
import { fromStore } from '../../platform/redis.js'
import { requireApproval } from '../read/find-approvals.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import { toQueueDeadline } from '../conclude/unpark-execution.js'
import {
  digestDecision,
  toApproval,
  toClosedApproval,
  toDecidedEvent,
  type ApprovalRecord,
} from '../records/approval-record.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { isParked, type ParkedState } from '../records/execution-state.js'
import type { DomainServices } from '../services.js'
import type { DecideApprovalAnswer, ParkedDecision } from '../store/approval-commands.js'
import { notifyWorkers } from './notify-workers.js'

/** How often a decision is tried again when its execution was parked, or continued, in between. */
const TRIES = 5
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
 * notified, and tells of it in the log; one that is parked for it continues in the same step.
 * @throws ExecutorError APPROVAL_NOT_FOUND, APPROVAL_CLOSED, INVALID_REQUEST, STORE_UNAVAILABLE
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
  const answer = await decide(services, record, decision, caller)
  if (answer.kind === 'unparked') await enqueueReady(services, answer.ready)
  else if (answer.kind !== 'missing') await notifyWorkers(services, record.executionId)
  const after = await requireApproval(services, id, caller)
  if (answer.kind === 'closed' || answer.kind === 'missing') throw tellClosed(after)
  return toApproval(after)
}

/** Its execution may be parked between a look at it and the decision, and continue. */
async function decide(
  services: DomainServices,
  approval: ApprovalRecord,
  decision: ApprovalDecision,
  caller: Caller,
): Promise<DecideApprovalAnswer> {
  const { store } = services
  const { id, executionId } = approval
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const [execution] = await fromStore(store.getMany([executionId]))
    const parked = execution && isParked(execution.state) ? await toParked(execution, execution.state) : undefined
    const answer = await fromStore(store.decideApproval(id, decision, digestDecision(decision), caller, parked))
    if (answer.kind !== 'moved') return answer
  }
  throw new ExecutorError('STORE_UNAVAILABLE', { detail: 'The execution kept changing; try again.' })

  async function toParked(execution: ExecutionRecord, state: ParkedState): Promise<ParkedDecision> {
    const at = new Date(await fromStore(store.now()))
    return {
      seen: { state, attempt: execution.attempt },
      event: toDecidedEvent(id, decision, caller.name),
      next: { by: caller.name, at, queueDeadline: toQueueDeadline(execution, at) },
    }
  }
}
