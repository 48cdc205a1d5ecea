import { serializeWithoutSeq } from '../../events/stored-event.js'
import { toScore } from './queue-score.js'
import { toShortRequest } from '../records/execution-record.js'
import type { NewRecord } from './transitions.js'
import { SandboxLevel } from '../../protocol/sandbox.js'

/** A new record as the scripts take it. */
export interface NewRecordArguments {
  /** Its place in the queue. */
  readonly score: string
  /** Without those that are as they are read where they are missing. */
  readonly fields: Readonly<Partial<Record<string, string>>>
  readonly wantedBudget: string
  /** Its first event in two pieces, between which stands its position. */
  readonly before: string
  readonly after: string
}

const toJson = (value: object | undefined): string | undefined => value && JSON.stringify(value)

export function toNewRecord(record: NewRecord): NewRecordArguments {
  const { owner, request, requestDigest, priority, createdAt, workspace, metadata, simulated, kind = 'run' } = record
  const text = JSON.stringify(request)
  const score = String(toScore(priority, createdAt))
  const fields = {
    state: 'queued',
    owner,
    request: text,
    shortRequest: toShortRequest(request, text),
    requestDigest,
    priority,
    claim: '1',
    attempt: '0',
    createdAt: String(createdAt),
    workspace,
    metadata: Object.keys(metadata).length === 0 ? undefined : JSON.stringify(metadata),
    simulated: simulated ? '1' : '0',
    score,
    kind: kind === 'run' ? undefined : kind,
    grant: toJson(record.grant),
    workspaceLock: record.workspaceLock,
    sandbox: request.sandbox && String(SandboxLevel.options.indexOf(request.sandbox)),
    queueDeadline: record.queueDeadline?.toString(),
    queueTimeoutMs: record.queueTimeoutMs?.toString(),
    idempotencyKey: record.idempotencyKey,
    model: record.model,
    dailyBudget: toJson(record.dailyBudget),
    timeoutEstimate: toJson(record.timeoutEstimate),
    fingerprints: toJson(record.fingerprints),
    traceparent: record.trace?.traceparent,
    tracestate: record.trace?.tracestate,
    parentId: record.parentId,
    taskIndex: record.parentId === undefined ? undefined : String(record.taskIndex ?? 0),
    taskCount: record.taskCount?.toString(),
    scheduleId: record.scheduleId,
    webhooks: toJson(request.webhooks),
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
  return { score, fields, wantedBudget: JSON.stringify(record.wantedBudget ?? {}), before, after }
}
