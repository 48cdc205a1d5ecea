import * as z from 'zod'
import { EventSchema, ShortenedEvent } from './events.js'
import { Execution, ExecutionKind, ExecutionStatus } from './execution.js'
import { Cursor, ExecutionId, ExecutionReference } from './ids.js'
import { LIST_LIMIT, QUERY_CHARACTERS_LIMIT } from './limits.js'

/** Part of what was asked for, in upper or lower case. */
export const PromptQuery = z
  .string()
  .min(1)
  .max(QUERY_CHARACTERS_LIMIT)
  .meta({
    description:
      'Only executions whose prompt, command or a task’s prompt contains this text, in upper or lower case. A page ' +
      'reads a bounded number of them: it may be shorter than `limit`, or empty, while `nextCursor` leads on.',
  })

export const ExecutionFilters = z
  .strictObject({
    status: z.array(ExecutionStatus).optional(),
    kind: ExecutionKind.optional().meta({
      description: 'Only this kind. Tasks are listed only with `parentId`.',
    }),
    parentId: ExecutionReference.optional().meta({ description: 'The tasks of this list.' }),
    scheduleId: z.string().min(1).max(64).optional().meta({ description: 'Those that this schedule has started.' }),
    q: PromptQuery.optional(),
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
