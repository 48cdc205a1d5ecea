import * as z from 'zod'
import { ApprovalId, ApprovalStatus, type ApprovalFilters } from './approvals.js'
import { EventType } from './events.js'
import { ExecutionKind, ExecutionStatus } from './execution.js'
import { ExecutionId, ExecutionReference } from './ids.js'
import {
  ASKED_WAIT_LIMIT_SECONDS,
  EVENT_PAGE_LIMIT,
  HOLD_LIMIT_SECONDS,
  LIST_LIMIT,
  REASON_LIMIT,
  SMALLEST_EVENT_BYTES,
} from './limits.js'
import { PromptQuery, type ExecutionFilters } from './listing.js'
import { wholeNumber } from './numbers.js'
import { ScheduleId } from './schedules.js'
import { USAGE_GROUPS } from './usage.js'
import { DeliveryStatus } from './webhooks.js'

/** What a change may be called: RFC 7396. */
export const MERGE_PATCH = 'application/merge-patch+json'

/** How long a wait that was asked for is held, in seconds. */
export const toHold = (seconds: number): number => Math.min(seconds, HOLD_LIMIT_SECONDS)

/** `a,b`, or the parameter given several times. */
const listOf = <Item extends z.ZodType<string, string>>(item: Item) =>
  z
    .union([z.string(), z.array(z.string())])
    .transform((value) => [value].flat().flatMap((part) => part.split(',')))
    .pipe(z.array(item).min(1))

const waitSeconds = wholeNumber(0, ASKED_WAIT_LIMIT_SECONDS).transform(toHold).optional().meta({
  description: 'How long to hold the request until there is something to return; at most 60, answered after 55.',
})

const METADATA = 'metadata.'

const LIST_PARAMETERS = {
  status: listOf(ExecutionStatus).optional().meta({ description: 'One status or several, separated by commas.' }),
  kind: ExecutionKind.optional().meta({
    description: 'Only this kind. Tasks are listed only with `parentId`.',
  }),
  parentId: ExecutionReference.optional().meta({ description: 'The tasks of this list.' }),
  scheduleId: z.string().min(1).max(64).optional().meta({ description: 'Those that this schedule has started.' }),
  q: PromptQuery.optional(),
  createdAfter: z.iso.datetime({ offset: true }).optional(),
  createdBefore: z.iso.datetime({ offset: true }).optional(),
  limit: wholeNumber(1, LIST_LIMIT)
    .optional()
    .meta({ description: 'Default 50, at most 200; an export without it holds everything.' }),
  cursor: ExecutionId.optional().meta({ description: '`nextCursor` of the previous page.' }),
  format: z.enum(['json', 'csv', 'ndjson']).optional().meta({ description: 'Instead of the Accept header.' }),
}

export const ListQuery = z
  .object(LIST_PARAMETERS)
  .catchall(z.string())
  .superRefine((query, context) => {
    for (const name of Object.keys(query)) {
      if (!Object.hasOwn(LIST_PARAMETERS, name) && !name.startsWith(METADATA))
        context.addIssue({ code: 'custom', path: [name], message: 'unknown parameter' })
    }
  })

/** `metadata.<label>=<value>` parameters become a filter by equality. */
export function toFilters({
  format: _format,
  status,
  kind,
  parentId,
  scheduleId,
  q,
  createdAfter,
  createdBefore,
  limit,
  cursor,
  ...labels
}: z.output<typeof ListQuery>): ExecutionFilters {
  const metadata = Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [name.slice(METADATA.length), value]),
  )
  return { status, kind, parentId, scheduleId, q, createdAfter, createdBefore, limit, cursor, metadata }
}

export const EventsQuery = z.strictObject({
  after: wholeNumber(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: 'The cursor: the last seq seen; default 0.' }),
  limit: wholeNumber(1, EVENT_PAGE_LIMIT).optional().meta({ description: 'Events on a page; default 100.' }),
  waitSeconds,
  types: listOf(EventType)
    .optional()
    .meta({ description: 'Only these event types; the order is kept, seqs have gaps.' }),
  maxEventBytes: wholeNumber(SMALLEST_EVENT_BYTES, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({
      description:
        'For pages and event streams: larger events are shortened and carry `truncatedBytes`. An export ' +
        'contains them in full.',
    }),
})
export const EventsHeaders = z.object({ 'last-event-id': z.string().optional() })

export const UsageQuery = z.strictObject({
  from: z.iso.date().optional().meta({ description: 'First UTC day; default: 30 days up to `to`.' }),
  to: z.iso.date().optional().meta({ description: 'Last UTC day; default today. 366 days at most.' }),
  groupBy: listOf(z.enum(USAGE_GROUPS))
    .optional()
    .meta({ description: '`day`, `model`, `token`: one or more, comma-separated; default `day`.' }),
  token: z.string().min(1).max(64).optional().meta({
    description: 'The id of a token, or `*` for all; requires the admin scope. Default: the calling token.',
  }),
})

export const ResultQuery = z.strictObject({ waitSeconds })

/** `?diff` and `?diff=true` alike. */
export const DiffQuery = z.strictObject({
  diff: z
    .enum(['', 'true', 'false'])
    .optional()
    .transform((value) => value === '' || value === 'true')
    .meta({ description: 'Return a patch instead.' }),
})

/** Of any length: what is no id of ours is not found, and never a wrong request. */
const PathId = z
  .string()
  .meta({ description: 'The id of an execution.', examples: ['019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21'] })
export const IdParams = z.strictObject({ id: PathId })
export const FileParams = z.strictObject({
  id: PathId,
  '*': z.string().meta({ description: 'Relative to the workspace, as the listing names it.' }),
})
export const TokenParams = z.strictObject({ id: z.string().meta({ description: 'The id of a token.' }) })
export const TokensQuery = z.strictObject({
  limit: wholeNumber(1, LIST_LIMIT).optional().meta({ description: 'Default 100, at most 200.' }),
  cursor: z
    .string()
    .regex(/^tok_[0-9a-f]{32}$/, 'expected the nextCursor of a page')
    .optional()
    .meta({ description: '`nextCursor` of the previous page.' }),
})
export const ScheduleParams = z.strictObject({ id: z.string().meta({ description: 'The id of a schedule.' }) })
export const SchedulesQuery = z.strictObject({
  limit: wholeNumber(1, LIST_LIMIT).optional().meta({ description: 'Default 50, at most 200.' }),
  cursor: ScheduleId.optional().meta({ description: '`nextCursor` of the previous page.' }),
})
const webhookId = z.string().meta({ description: 'The id of a webhook.' })
export const WebhookParams = z.strictObject({ id: webhookId })
export const DeliveryParams = z.strictObject({
  id: webhookId,
  deliveryId: z.string().meta({ description: 'The id of a delivery.' }),
})
export const WebhooksQuery = z.strictObject({
  limit: wholeNumber(1, LIST_LIMIT).optional().meta({ description: 'Default 50, at most 200.' }),
  cursor: z
    .string()
    .regex(/^whk_[0-9a-f]{32}$/, 'expected the nextCursor of a page')
    .optional()
    .meta({ description: '`nextCursor` of the previous page.' }),
})
export const DeliveriesQuery = z.strictObject({
  status: listOf(DeliveryStatus).optional().meta({ description: 'One or several, comma-separated; default all.' }),
  limit: wholeNumber(1, LIST_LIMIT).optional().meta({ description: 'Default 50, at most 200.' }),
  cursor: z
    .string()
    .regex(/^msg_[0-9a-f]{32}$/, 'expected the nextCursor of a page')
    .optional()
    .meta({ description: '`nextCursor` of the previous page.' }),
})
export const ApprovalParams = z.strictObject({ id: z.string().meta({ description: 'The id of an approval.' }) })
export const ApprovalsQuery = z.strictObject({
  status: listOf(ApprovalStatus).optional().meta({ description: 'One or several, comma-separated; default pending.' }),
  executionId: ExecutionReference.optional().meta({ description: 'Of this execution; of a list, of its tasks.' }),
  limit: wholeNumber(1, LIST_LIMIT).optional().meta({ description: 'Default 50, at most 200.' }),
  cursor: ApprovalId.optional().meta({ description: '`nextCursor` of the previous page.' }),
}) satisfies z.ZodType<ApprovalFilters>
export const AdmissionParams = z.object({ id: z.string() })
export const AdmissionsQuery = z.strictObject({
  limit: wholeNumber(1, LIST_LIMIT).optional().meta({ description: 'Default 100, at most 200.' }),
  cursor: z
    .string()
    .regex(/^\d{15}-[0-9a-f]{32}$/, 'expected the nextCursor of a page')
    .optional()
    .meta({ description: '`nextCursor` of the previous page.' }),
})

export const SubmitHeaders = z.object({
  'idempotency-key': z.string().optional().meta({ description: 'The same key and body return the same execution.' }),
  prefer: z.string().optional().meta({
    description: '`wait=N`: answer when it has ended, after at most N seconds (maximum 55).',
  }),
})
export const SubmitKeyHeaders = z.object({
  'idempotency-key': z.string().optional().meta({ description: 'The same key returns the same execution.' }),
})
export const KeyHeaders = z.object({
  'idempotency-key': z.string().optional().meta({ description: 'The same key and body return the same message.' }),
})
export const TokenHeaders = z.object({
  'idempotency-key': z.string().optional().meta({
    description: 'The same key and body return the same token, from the second time on without its secret.',
  }),
})
export const ScheduleHeaders = z.object({
  'idempotency-key': z.string().optional().meta({ description: 'The same key and body return the same schedule.' }),
})
export const WebhookHeaders = z.object({
  'idempotency-key': z.string().optional().meta({
    description: 'The same key and body return the same webhook, from the second time on without its secret.',
  }),
})
/** The body of cancel, pause and resume; none at all will do. */
export const ReasonBody = z.strictObject({ reason: z.string().max(REASON_LIMIT).optional() }).optional()
/** An action that takes nothing. */
export const NoBody = z.strictObject({}).optional()
