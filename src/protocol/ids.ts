import * as z from 'zod'

/** An execution's id: a UUIDv7, so that ids sort by the time of submission. */
export const ExecutionId = z
  .string()
  .regex(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    'expected the id of an execution (a UUID in lower case)',
  )
  .meta({
    id: 'ExecutionId',
    description: 'UUIDv7 of an execution.',
    examples: ['019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21'],
  })
export type ExecutionId = z.infer<typeof ExecutionId>

/** An id as a client names it: whatever is no id of ours is simply not found. */
export const ExecutionReference = z
  .string()
  .min(1)
  .max(200)
  .meta({
    id: 'ExecutionReference',
    description: 'The id of an execution.',
    examples: ['019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21'],
  })

export const isExecutionId = (text: string): boolean => ExecutionId.safeParse(text).success

/** A cursor: the last seq that its owner has seen; 0 is before the first event. */
export const Cursor = z
  .number()
  .int()
  .min(0)
  .meta({ id: 'Cursor', description: 'The seq of the last event seen; 0 means from the beginning.' })

/** ISO 8601, UTC, milliseconds. */
export const Timestamp = z.iso
  .datetime({ precision: 3 })
  .meta({ id: 'Timestamp', description: 'ISO 8601 in UTC with milliseconds.', examples: ['2026-11-22T09:34:10.997Z'] })
