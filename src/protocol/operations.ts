import { z } from 'zod'
import type { ErrorCode } from './errors.js'
import { EventSchema, EventType, ShortenedEvent } from './events.js'
import { MaxEventBytes } from './event-size.js'
import { ExecuteParams } from './execute-request.js'
import { Execution, ExecutionKind, ExecutionStatus } from './execution.js'
import { Cursor, ExecutionId, ExecutionReference } from './ids.js'
import { Health, QueueState } from './service-state.js'

export const LIST_LIMIT = 200
export const EVENT_PAGE_LIMIT = 1_000

const SubscriptionId = z.string().meta({ id: 'SubscriptionId' })

export const ExecutionFilters = z
  .strictObject({
    status: z.array(ExecutionStatus).optional(),
    kind: ExecutionKind.optional().meta({
      description: 'Only this kind. Tasks are listed only with `parentId`.',
    }),
    parentId: ExecutionReference.optional().meta({ description: 'The tasks of this list.' }),
    metadata: z.record(z.string(), z.string()).optional().meta({ description: 'All given labels must match.' }),
    createdAfter: z.iso.datetime({ offset: true }).optional(),
    createdBefore: z.iso.datetime({ offset: true }).optional(),
    limit: z.int().min(1).max(LIST_LIMIT).optional().meta({ description: 'Default 50.' }),
    cursor: ExecutionId.optional().meta({ description: '`nextCursor` of the previous page.' }),
  })
  .meta({ id: 'ExecutionFilters' })
export type ExecutionFilters = z.infer<typeof ExecutionFilters>

export const ExecutionPage = z
  .object({ executions: z.array(Execution), nextCursor: ExecutionId.nullable() })
  .meta({ id: 'ExecutionPage', description: 'Newest first.' })
export type ExecutionPage = z.infer<typeof ExecutionPage>

export const EventPage = z
  .object({
    events: z.array(z.union([EventSchema, ShortenedEvent])),
    nextAfter: Cursor.meta({ description: 'The cursor for the next page.' }),
    hasMore: z.boolean().meta({ description: 'The log already holds more events.' }),
    finished: z
      .boolean()
      .meta({ description: 'The terminal event is at or before nextAfter: no further events follow.' }),
  })
  .meta({ id: 'EventPage' })

export const SubscribeParams = z.strictObject({
  executionId: ExecutionReference,
  after: Cursor.optional(),
  types: z
    .array(EventType)
    .min(1)
    .optional()
    .meta({ description: 'Only these event types; the order is kept, seqs have gaps.' }),
  maxEventBytes: MaxEventBytes.optional(),
})
export type SubscribeParams = z.infer<typeof SubscribeParams>

const Target = z.strictObject({ executionId: ExecutionReference })
const ControlParams = z.strictObject({ executionId: ExecutionReference, reason: z.string().max(500).optional() })
const Nothing = z.strictObject({})

interface Operation {
  readonly summary: string
  readonly params: z.ZodType
  readonly result: z.ZodType
  readonly errors: readonly ErrorCode[]
}

/** Every JSON-RPC method of `/ws`: params, result, errors. The OpenRPC document is generated from this. */
export const OPERATIONS = {
  execute: {
    summary: 'Submits an execution and, unless subscribe is false, sends its events from seq 1.',
    params: ExecuteParams,
    result: Execution.extend({ subscriptionId: SubscriptionId.optional() }).meta({ id: 'ExecuteResult' }),
    errors: [
      'COMMAND_NOT_ALLOWED',
      'FORBIDDEN',
      'WORKSPACE_NOT_FOUND',
      'SESSION_NOT_FOUND',
      'SESSION_BUSY',
      'PAYLOAD_TOO_LARGE',
      'IDEMPOTENCY_CONFLICT',
      'EXECUTION_NOT_FOUND',
      'QUEUE_FULL',
      'BUDGET_EXCEEDED',
      'SUBSCRIPTION_LIMIT',
      'STORE_UNAVAILABLE',
    ],
  },
  'execution.get': {
    summary: 'One execution.',
    params: Target,
    result: Execution,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
  },
  'execution.list': {
    summary: 'Executions, newest first.',
    params: ExecutionFilters,
    result: ExecutionPage,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
  },
  'execution.cancel': {
    summary: 'Ends an execution; idempotent.',
    params: ControlParams,
    result: Execution,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
  },
  'execution.pause': {
    summary: 'Stops the processes of a running execution until it is resumed; idempotent.',
    params: ControlParams,
    result: Execution,
    errors: ['EXECUTION_NOT_FOUND', 'ALREADY_FINISHED', 'NOT_RUNNING', 'STORE_UNAVAILABLE'],
  },
  'execution.resume': {
    summary: 'Resumes a paused execution; idempotent.',
    params: ControlParams,
    result: Execution,
    errors: ['EXECUTION_NOT_FOUND', 'ALREADY_FINISHED', 'NOT_RUNNING', 'STORE_UNAVAILABLE'],
  },
  'execution.subscribe': {
    summary: 'Sends the events after a seq, then live events until the end.',
    params: SubscribeParams,
    result: z
      .object({ subscriptionId: SubscriptionId, status: ExecutionStatus, lastSeq: Cursor })
      .meta({ id: 'SubscribeResult' }),
    errors: ['EXECUTION_NOT_FOUND', 'SUBSCRIPTION_LIMIT', 'STORE_UNAVAILABLE'],
  },
  'execution.unsubscribe': {
    summary: 'Ends a subscription.',
    params: z.strictObject({ subscriptionId: SubscriptionId }),
    result: Nothing,
    errors: ['SUBSCRIPTION_NOT_FOUND'],
  },
  'queue.get': {
    summary: 'The queue and its workers.',
    params: Nothing,
    result: QueueState,
    errors: ['STORE_UNAVAILABLE'],
  },
  'health.get': { summary: 'Whether this process serves.', params: Nothing, result: Health, errors: [] },
  'rpc.discover': {
    summary: 'This interface as an OpenRPC document.',
    params: Nothing,
    result: z.record(z.string(), z.unknown()).meta({ id: 'OpenRpcDocument' }),
    errors: [],
  },
} as const satisfies Record<string, Operation>

export type OperationName = keyof typeof OPERATIONS
export type OperationParams<Name extends OperationName> = z.output<(typeof OPERATIONS)[Name]['params']>
export type OperationResult<Name extends OperationName> = z.input<(typeof OPERATIONS)[Name]['result']>

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name)
}

/** Why a subscription ended. */
export const SubscriptionClosedReason = z.enum([
  'finished',
  'unsubscribed',
  'deleted',
  'cursor_expired',
  'store_unavailable',
])
export type SubscriptionClosedReason = z.infer<typeof SubscriptionClosedReason>

/** What the server sends by itself. */
export const NOTIFICATIONS = {
  'execution.event': {
    summary: 'One event of a subscription, in order.',
    params: z.object({
      subscriptionId: SubscriptionId,
      executionId: ExecutionId,
      event: z.union([EventSchema, ShortenedEvent]),
    }),
  },
  'subscription.closed': {
    summary: 'No further events follow on this subscription.',
    params: z.object({ subscriptionId: SubscriptionId, executionId: ExecutionId, reason: SubscriptionClosedReason }),
  },
} as const
