import { serializeWithoutSeq } from '../../events/stored-event.js'
import { toScore } from './queue-score.js'
import { shortenRequest } from '../records/execution-record.js'
import type { NewRecord } from './transitions.js'
import { SandboxLevel } from '../../protocol/sandbox.js'

/** A new record as the scripts take it. */
export interface NewRecordArguments {
  /** Its place in the queue. */
  readonly score: string
  readonly fields: Record<string, string | undefined>
  /** Its first event in two pieces, between which stands its position. */
  readonly before: string
  readonly after: string
}

const toJson = (value: object | undefined): string | undefined => value && JSON.stringify(value)

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
    workspace,
    metadata: JSON.stringify(metadata),
    simulated: simulated ? '1' : '0',
    score,
    kind,
    grant: toJson(record.grant),
    workspaceLock: record.workspaceLock,
    sandbox: request.sandbox && String(SandboxLevel.options.indexOf(request.sandbox)),
    queueDeadline: record.queueDeadline?.toString(),
    idempotencyKey: record.idempotencyKey,
    wantedBudget: JSON.stringify(record.wantedBudget ?? {}),
    model: record.model,
    dailyBudget: toJson(record.dailyBudget),
    timeoutEstimate: toJson(record.timeoutEstimate),
    fingerprints: toJson(record.fingerprints),
    parentId: record.parentId,
    taskIndex: record.parentId === undefined ? undefined : String(record.taskIndex ?? 0),
    taskCount: record.taskCount?.toString(),
  }
  const event = serializeWithoutSeq(
    {
      type: 'execution.queued',
      data: { position: 0, requestDigest, timeoutEstimate: record.timeoutEstimate },
    },
    new Date(createdAt),
    0,
  )
  const [before = '', after = ''] = event.split(/(?<="position":)0/)
  return { score, fields, before, after }
}
