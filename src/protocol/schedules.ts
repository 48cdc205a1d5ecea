import * as z from 'zod'
import { ExecuteRequest } from './execute-request.js'
import { ExecutionStatus } from './execution.js'
import { ExecutionId, Timestamp } from './ids.js'
import {
  LEAST_EVERY_SECONDS,
  MISSED_LIMIT,
  MOST_EVERY_SECONDS,
  SCHEDULE_TEXT_LIMIT,
  SCHEDULED_REQUEST_LIMIT_BYTES,
  SHOWN_MOMENTS,
} from './limits.js'

export const ScheduleId = z
  .string()
  .regex(/^sch_[0-9a-f]{32}$/, 'expected the id of a schedule')
  .meta({ id: 'ScheduleId', examples: ['sch_019aa6f27c1e7a529f1d0c8e5a4b3d21'] })

const Name = z
  .string()
  .regex(
    new RegExp(String.raw`^(?! )[^\p{C}\p{Zl}\p{Zp}]{1,${SCHEDULE_TEXT_LIMIT}}(?<! )$`, 'u'),
    `expected 1 to ${SCHEDULE_TEXT_LIMIT} characters, none of them a control character`,
  )
  .meta({ description: 'For people; one of the token’s schedules at a time may have it.', examples: ['nightly'] })
const Cron = z
  .string()
  .min(1)
  .max(SCHEDULE_TEXT_LIMIT)
  .meta({
    description:
      'Minute, hour, day of month, month, day of week, each `*`, a number, a list, a range or a step; or `@hourly`, ' +
      '`@daily`, `@weekly`, `@monthly`, `@yearly`. Where both days are restricted, one of them must match.',
    examples: ['0 3 * * 1-5'],
  })
const EverySeconds = z.int().min(LEAST_EVERY_SECONDS).max(MOST_EVERY_SECONDS).meta({
  description: 'In place of `cron`: counted from `startAt`, or else from when it was made.',
})
const Timezone = z
  .string()
  .min(1)
  .max(64)
  .meta({
    description:
      'Of `cron`: a name of the IANA time zone database. A time that the clocks skip is run as much later as they ' +
      'are set forward; one that they show twice is run the first time only, unless the hour is `*`.',
    examples: ['Europe/Berlin'],
  })
const Overlap = z.enum(['skip', 'queue', 'cancel']).meta({
  description:
    'Where an execution of it has not ended at the next moment: the moment is skipped, or its execution waits for ' +
    'the others, or cancels them.',
})
export const Missed = z.enum(['skip', 'latest', 'all']).meta({
  description:
    'Of moments at which no API process was there: none is made up for, the latest one, or all ' +
    `(the last ${MISSED_LIMIT}), one after the other by the rule of \`overlap\`.`,
})
export type Missed = z.infer<typeof Missed>
const Moment = z.iso.datetime({ offset: true })

const RULE_FIELDS = {
  name: Name,
  cron: Cron.optional(),
  everySeconds: EverySeconds.optional(),
  timezone: Timezone.default('UTC'),
  request: ExecuteRequest,
  overlap: Overlap.default('skip'),
  missed: Missed.default('latest'),
  enabled: z.boolean().default(true).meta({ description: 'false: paused.' }),
  startAt: Moment.optional().meta({ description: 'No moment before it.' }),
  endAt: Moment.optional().meta({ description: 'No moment after it.' }),
}

export const ScheduleRequest = z
  .strictObject(RULE_FIELDS)
  .superRefine(({ cron, everySeconds, startAt, endAt, request }, context) => {
    const issue = (path: string, message: string, params = {}): void =>
      context.addIssue({ code: 'custom', path: [path], message, params })
    if (cron === undefined && everySeconds === undefined) issue('cron', 'is required, or everySeconds')
    if (cron !== undefined && everySeconds !== undefined) issue('everySeconds', 'cannot be given together with cron')
    if (startAt !== undefined && endAt !== undefined && Date.parse(endAt) <= Date.parse(startAt))
      issue('endAt', 'must be after startAt')
    if (Buffer.byteLength(JSON.stringify(request)) > SCHEDULED_REQUEST_LIMIT_BYTES)
      issue('request', `must be at most ${SCHEDULED_REQUEST_LIMIT_BYTES} bytes as JSON`, { tooLarge: true })
  })
  .meta({ id: 'ScheduleRequest', description: 'With `cron` or with `everySeconds`.' })
export type ScheduleRequest = z.infer<typeof ScheduleRequest>

/** What a change may name; it is merged into the schedule, and the whole is looked at again. */
export const ScheduleChange = z
  .strictObject({
    name: Name.optional(),
    cron: Cron.nullable().optional(),
    everySeconds: EverySeconds.nullable().optional(),
    timezone: Timezone.nullable().optional(),
    request: z.record(z.string(), z.unknown()).optional(),
    overlap: Overlap.nullable().optional(),
    missed: Missed.nullable().optional(),
    enabled: z.boolean().optional(),
    startAt: Moment.nullable().optional(),
    endAt: Moment.nullable().optional(),
  })
  .meta({
    id: 'ScheduleChange',
    description: 'A JSON merge patch: what is left out stays, null removes or restores the default, also in `request`.',
  })
export type ScheduleChange = z.infer<typeof ScheduleChange>

const SKIP_REASONS = [
  'missed',
  'overlap',
  'paused',
  'changed',
  'over_budget',
  'token_expired',
  'token_unknown',
  'token_revoked',
] as const

export const ScheduleMoment = z
  .object({
    plannedAt: Timestamp,
    outcome: z.enum(['started', 'skipped', 'failed']).meta({
      description: '`failed`: the request was not accepted.',
    }),
    settledAt: Timestamp.meta({ description: 'When that was decided.' }),
    executionId: ExecutionId.optional().meta({
      description: 'What was started; of `overlap`, what had not ended.',
    }),
    status: ExecutionStatus.optional().meta({ description: 'Of what was started, for as long as it is kept.' }),
    reason: z.enum(SKIP_REASONS).optional().meta({ description: 'Of `skipped`.' }),
    code: z.string().optional().meta({ description: 'Of a request that was not accepted: the code of its error.' }),
    message: z.string().optional(),
  })
  .meta({ id: 'ScheduleMoment', description: 'What became of one planned moment.' })
export type ScheduleMoment = z.infer<typeof ScheduleMoment>

export const Schedule = z
  .object({
    id: ScheduleId,
    token: z.string().meta({ description: 'The id of the token that it belongs to, as do its executions.' }),
    name: z.string(),
    cron: z.string().optional(),
    everySeconds: z.int().optional(),
    timezone: z.string(),
    request: ExecuteRequest,
    overlap: Overlap,
    missed: Missed,
    enabled: z.boolean(),
    stoppedBecause: z.enum(['token_revoked']).optional().meta({
      description: 'Why it was stopped for good.',
    }),
    startAt: Timestamp.optional(),
    endAt: Timestamp.optional(),
    createdAt: Timestamp,
    updatedAt: Timestamp,
    nextRunAt: Timestamp.optional().meta({ description: 'Absent: paused, stopped, or no moment follows.' }),
    lastRunAt: Timestamp.optional().meta({ description: 'When it started its last execution.' }),
    lastExecutionId: ExecutionId.optional(),
    lastStatus: ExecutionStatus.optional().meta({ description: 'Of its last execution, also when that is deleted.' }),
    moments: z.array(ScheduleMoment).meta({ description: `The last ${SHOWN_MOMENTS}, newest first.` }),
  })
  .meta({ id: 'Schedule' })
export type Schedule = z.infer<typeof Schedule>

export const SchedulePage = z
  .object({ schedules: z.array(Schedule), nextCursor: z.string().nullable() })
  .meta({ id: 'SchedulePage', description: 'Newest first.' })
export type SchedulePage = z.infer<typeof SchedulePage>
