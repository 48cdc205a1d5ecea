import { serializeWithoutSeq } from '../../events/stored-event.js'
import { toScore } from './execution-reads.js'
import { shortenRequest } from '../records/execution-record.js'
import type { NewRecord } from './transitions.js'
import { SandboxLevel } from '../../protocol/sandbox.js'

/** A new record as the scripts take it. */
export interface NewRecordArguments {
  /** Its place in the queue. */
  readonly score: string
  readonly fields: Record<string, string>
  /** Its first event in two pieces, between which stands its position. */
  readonly before: string
  readonly after: string
}

export function toNewRecord(record: NewRecord): NewRecordArguments {
  const { owner, request, requestDigest, priority, createdAt, workspace, metadata, simulated, kind = 'run' } = record
  const score = String(toScore(priority, createdAt))
  const fields = {
    state: 'queued',
    owner,
    request: JSON.stringify(request),
    shortRequest: JSON.stringify(shortenRequest(request)),
    requestDigest,
    priority,
    claim: '1',
    attempt: '0',
    createdAt: String(createdAt),
    ...(workspace !== undefined && { workspace }),
    metadata: JSON.stringify(metadata),
    simulated: simulated ? '1' : '0',
    score,
    kind,
    ...(record.grant && { grant: JSON.stringify(record.grant) }),
    ...(record.workspaceLock !== undefined && { workspaceLock: record.workspaceLock }),
    ...(request.sandbox !== undefined && { sandbox: String(SandboxLevel.options.indexOf(request.sandbox)) }),
    ...(record.queueDeadline !== undefined && { queueDeadline: String(record.queueDeadline) }),
    ...(record.idempotencyKey !== undefined && { idempotencyKey: record.idempotencyKey }),
    wantedBudget: JSON.stringify(record.wantedBudget ?? {}),
    ...(record.model !== undefined && { model: record.model }),
    ...(record.dailyBudget && { dailyBudget: JSON.stringify(record.dailyBudget) }),
    ...(record.timeoutEstimate && { timeoutEstimate: JSON.stringify(record.timeoutEstimate) }),
    ...(record.fingerprints && { fingerprints: JSON.stringify(record.fingerprints) }),
    ...(record.parentId !== undefined && { parentId: record.parentId, taskIndex: String(record.taskIndex ?? 0) }),
    ...(record.taskCount !== undefined && { taskCount: String(record.taskCount) }),
  }
  const event = serializeWithoutSeq(
    {
      type: 'execution.queued',
      data: { position: 0, requestDigest, ...(record.timeoutEstimate && { timeoutEstimate: record.timeoutEstimate }) },
    },
    new Date(createdAt),
    0,
  )
  const [before = '', after = ''] = event.split(/(?<="position":)0/)
  return { score, fields, before, after }
}
