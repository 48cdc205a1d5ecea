import { TerminalStatus } from '../../protocol/execution.js'
import type { ReceiptFacts, ReceiptTask } from '../../protocol/receipt.js'
import { sha256 } from '../../platform/hash.js'
import { toAnswerText } from '../../verification/canonical-json.js'
import { signReceipt } from '../../verification/receipt.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toPayments } from '../records/payments.js'
import { concludingEvents } from '../store/concluding-events.js'
import type { ListedTask } from '../records/listed-task.js'
import type { DomainServices } from '../services.js'
import type { Conclusion, Seal } from '../store/transitions.js'
import { LogReading, readLog } from './log-reading.js'

/** Only what has ended is in a list that ends. */
const toReceiptTask = ({ index, id, state, receiptSha256 }: ListedTask): ReceiptTask => ({
  index,
  executionId: id,
  status: TerminalStatus.parse(state),
  receipt: receiptSha256 === undefined ? undefined : { sha256: receiptSha256 },
})

const toTime = (milliseconds: number): string => new Date(milliseconds).toISOString()

function toFacts(
  { id, parentId, taskIndex, requestDigest, workspace, createdAt, startedAt, simulated, ...record }: ExecutionRecord,
  { chain, started }: LogReading,
  { outcome, usage, finishedAt, attempt, files, tasks }: Conclusion,
  paidBy: Seal['paidBy'],
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
    budgetChanges: record.budgetChanges && [...record.budgetChanges],
    tasks: tasks?.map(toReceiptTask),
    files,
    verification,
    events: chain.summary(),
    simulated,
  }
}

/**
 * The signed receipt of a conclusion that is about to be stored; undefined where the execution is gone. `written`: the
 * log as its writer knows it. The store takes the receipt only where the log ends there; else it is made anew without.
 */
export async function sealExecution(
  services: DomainServices,
  id: string,
  conclusion: Conclusion,
  written?: LogReading,
): Promise<Seal | undefined> {
  const [key, [record]] = await Promise.all([services.signingKey(), services.store.getMany([id])])
  if (!record) return undefined
  const reading = written === undefined ? await readLog(services.log, id) : new LogReading(written)
  for (const event of concludingEvents(conclusion)) reading.add(`{"seq":${reading.lastSeq + 1},${event}`)
  const paidBy = toPayments(record, conclusion.usage, conclusion.attempt)
  return {
    paidBy,
    receipt: signReceipt(toFacts(record, reading, conclusion, paidBy), key),
    finishedSeq: reading.lastSeq,
    key: key.jwk,
  }
}
