import type { EventData } from '../../protocol/events.js'
import { TerminalStatus } from '../../protocol/execution.js'
import type { ReceiptFacts, ReceiptTask } from '../../protocol/receipt.js'
import { sha256 } from '../../platform/hash.js'
import { toAnswerText } from '../../verification/canonical-json.js'
import { EventChain } from '../../verification/event-chain.js'
import { signReceipt } from '../../verification/receipt.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { concludingEvents } from '../store/concluding-events.js'
import type { ListedTask } from '../records/listed-task.js'
import type { DomainServices } from '../services.js'
import type { Conclusion, Seal } from '../store/transitions.js'

/** Read from the log at once: the chain over it is a matter of milliseconds. */
const READ_BYTES = 1024 * 1024

type Started = EventData<'execution.started'>

interface LogReading {
  readonly chain: EventChain
  readonly lastSeq: number
  /** Of the last attempt. */
  readonly started?: Started
}

/** Links every stored event: what the receipt vouches for is what can be read, whoever wrote it. */
async function readLog({ log }: DomainServices, id: string): Promise<LogReading> {
  const chain = new EventChain()
  let started: Started | undefined
  for (let lastSeq = 0; ;) {
    const page = await log.readAfter(id, lastSeq, READ_BYTES)
    for (const event of page.events) {
      chain.add(event.bytes)
      lastSeq = event.seq
      // Safe: the service's own event, by its type.
      if (event.type === 'execution.started') started = (JSON.parse(event.bytes.toString()) as { data: Started }).data
    }
    if (page.events.length === 0) return { chain, lastSeq, started }
  }
}

/** Only what has ended is in a list that ends. */
const toReceiptTask = ({ index, id, state, receiptSha256 }: ListedTask): ReceiptTask => ({
  index,
  executionId: id,
  status: TerminalStatus.parse(state),
  receipt: receiptSha256 === undefined ? undefined : { sha256: receiptSha256 },
})

const toTime = (milliseconds: number): string => new Date(milliseconds).toISOString()

function toFacts(
  { id, parentId, taskIndex, requestDigest, workspace, createdAt, startedAt, simulated }: ExecutionRecord,
  { chain, started }: LogReading,
  { outcome, usage, finishedAt, attempt, files, tasks }: Conclusion,
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
    tasks: tasks?.map(toReceiptTask),
    files,
    verification,
    events: chain.summary(),
    simulated,
  }
}

/** The signed receipt of a conclusion that is about to be stored; undefined where the execution is gone. */
export async function sealExecution(
  services: DomainServices,
  id: string,
  conclusion: Conclusion,
): Promise<Seal | undefined> {
  const key = await services.signingKey()
  const [record] = await services.store.getMany([id])
  if (!record) return undefined
  const reading = await readLog(services, id)
  const last = concludingEvents(conclusion)
  for (const [index, event] of last.entries()) reading.chain.add(`{"seq":${reading.lastSeq + index + 1},${event}`)
  return {
    receipt: signReceipt(toFacts(record, reading, conclusion), key),
    finishedSeq: reading.lastSeq + last.length,
    key: key.jwk,
  }
}
