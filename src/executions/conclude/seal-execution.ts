import { TerminalStatus } from '../../protocol/execution.js'
import { MessageReason } from '../../protocol/messages.js'
import type { ReceiptFacts, ReceiptMessage, ReceiptTask } from '../../protocol/receipt.js'
import { sha256 } from '../../platform/hash.js'
import { toAnswerText } from '../../verification/canonical-json.js'
import { signReceipt } from '../../verification/receipt.js'
import { toReceiptApproval, type ApprovalRecord } from '../records/approval-record.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toPayments } from '../records/payments.js'
import { concludingEvents } from '../store/concluding-events.js'
import type { ListedTask } from '../records/listed-task.js'
import type { StoredMessage } from '../records/stored-message.js'
import type { DomainServices } from '../services.js'
import type { Conclusion, Seal } from '../store/transitions.js'
import { toEndFigures, type EndFigures } from '../../telemetry/figure-fields.js'
import { findUnrecordedApprovals } from './closing-approvals.js'
import { LogReading, readLog } from './log-reading.js'

/** Only what has ended is in a list that ends. */
const toReceiptTask = ({ index, id, state, receiptSha256 }: ListedTask): ReceiptTask => ({
  index,
  executionId: id,
  status: TerminalStatus.parse(state),
  receipt: receiptSha256 === undefined ? undefined : { sha256: receiptSha256 },
})

/** Of one that is an execution nothing else is known when the one that it was sent to ends. */
const toReceiptMessage = ({
  id,
  delivery,
  by,
  acceptedAt,
  text = '',
  attachments,
  fate,
  followUpId,
}: StoredMessage): ReceiptMessage => ({
  id,
  delivery,
  by,
  acceptedAt,
  sha256: sha256(text),
  attachments,
  deliveredAt: fate?.kind === 'delivered' ? fate.at : undefined,
  dropped: fate?.kind === 'dropped' ? MessageReason.parse(fate.reason) : undefined,
  followUpId: delivery === 'follow_up' || fate?.kind === 'dropped' ? followUpId : undefined,
})

const toTime = (milliseconds: number): string => new Date(milliseconds).toISOString()

function toFacts(
  { id, parentId, taskIndex, requestDigest, workspace, createdAt, startedAt, simulated, ...record }: ExecutionRecord,
  { chain, started, attachments }: LogReading,
  { outcome, usage, finishedAt, attempt, files, tasks }: Conclusion,
  paidBy: Seal['paidBy'],
  messages: readonly StoredMessage[],
  approvals: readonly ApprovalRecord[],
): ReceiptFacts {
  const {
    status,
    code,
    exitCode,
    signal,
    isPartial,
    result,
    permissionDenials = [],
    permissionDenialCount = permissionDenials.length,
    stopReason,
    unfinished = [],
    verification,
    repository,
  } = outcome
  const answer = result === undefined ? undefined : toAnswerText(result)
  return {
    executionId: id,
    requestDigest,
    parentId,
    taskIndex: parentId === undefined ? undefined : (taskIndex ?? 0),
    workspace,
    attempt,
    createdAt: toTime(createdAt),
    startedAt: startedAt === undefined ? undefined : toTime(startedAt),
    finishedAt: finishedAt.toISOString(),
    process: started && {
      workerId: started.workerId,
      claudeVersion: started.claudeVersion,
      sessionId: started.sessionId,
      model: started.model,
      argv: started.argv,
      containment: started.containment,
    },
    standby: started?.standby,
    outcome: {
      status,
      code,
      exitCode,
      signal,
      isPartial,
      stopReason,
      unfinished: unfinished.length > 0 ? unfinished.length : undefined,
      permissionDenials: permissionDenialCount,
    },
    result: answer === undefined ? undefined : { sha256: sha256(answer), bytes: Buffer.byteLength(answer) },
    usage,
    paidBy: paidBy && [...paidBy],
    attachments,
    messages: messages.length > 0 ? messages.map(toReceiptMessage) : undefined,
    budgetChanges: record.budgetChanges && [...record.budgetChanges],
    tasks: tasks?.map(toReceiptTask),
    approvals: approvals.length > 0 ? approvals.map(toReceiptApproval) : undefined,
    repository: repository && {
      url: repository.url,
      baseCommit: repository.baseCommit,
      headCommit: repository.headCommit,
      tree: repository.tree,
      branch: repository.branch,
      pushed: repository.pushed,
    },
    files,
    verification,
    events: chain.summary(),
    simulated,
  }
}

/** A conclusion with its receipt. */
export interface Sealed {
  readonly seal: Seal
  readonly conclusion: Conclusion
  /** Below what its spans stand. */
  readonly trace: ExecutionRecord['trace']
}

/** What need not be read again: the log as its writer knows it, or the record as it was read. */
export interface Known {
  readonly written?: LogReading | undefined
  readonly record?: ExecutionRecord | undefined
}
/** What its end adds to the metrics. */
const toFigures = (
  { kind, startedAt, model }: ExecutionRecord,
  { outcome: { status, code }, usage, finishedAt, model: reported = model }: Conclusion,
): EndFigures =>
  toEndFigures({ kind, startedAt, status, code, usage, model: reported, finishedAt: finishedAt.getTime() })

/**
 * The signed receipt of a conclusion that is about to be stored, and that conclusion, which also tells of approvals;
 * undefined where the execution is gone. The store takes the receipt only where the log ends there; else it is made
 * once more, without what was known.
 */
export async function sealExecution(
  services: DomainServices,
  id: string,
  given: Conclusion,
  { written, record: known }: Known = {},
): Promise<Sealed | undefined> {
  const { store } = services
  const [key, [record], { messages }] = await Promise.all([
    services.signingKey(),
    known ? [known] : store.getMany([id]),
    store.listMessages(id),
  ])
  if (!record) return undefined
  const reading = written === undefined ? await readLog(services.log, id) : new LogReading(written)
  const approvals = record.approvalCount > 0 ? await services.store.listApprovalsOf(id) : []
  // The holder has told of all of its own.
  const closing =
    written === undefined && approvals.length > 0 ? await findUnrecordedApprovals(services, id, reading) : []
  const conclusion: Conclusion = { ...given, closing }
  for (const event of concludingEvents(conclusion)) reading.add(`{"seq":${reading.lastSeq + 1},${event}`)
  const paidBy = toPayments(record, conclusion.usage, conclusion.attempt)
  const seal: Seal = {
    paidBy,
    receipt: signReceipt(toFacts(record, reading, conclusion, paidBy, messages, approvals), key),
    finishedSeq: reading.lastSeq,
    log: reading.pack(),
    key: key.jwk,
    figures: services.figures && toFigures(record, conclusion),
  }
  return { seal, conclusion, trace: record.trace }
}
