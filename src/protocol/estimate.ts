import { z } from 'zod'
import { Effort } from './execute-request.js'

export const EstimateLevel = z.enum(['prompt', 'opening', 'model', 'all', 'none']).meta({
  id: 'EstimateLevel',
  description:
    'Whose history it is taken from, the closest first: `prompt` (the same prompt but for numbers ' +
    'and ids, with the same model, effort, workspace and number of tasks), `opening` (the same first ' +
    'words, model, effort and number of tasks), `model` (the same model and effort), `all` ' +
    '(everything that this token has run), `none` (nothing is known).',
})
export type EstimateLevel = z.infer<typeof EstimateLevel>

/** What history says of how long a run takes, and the timeout that follows from it. */
export const TimeoutEstimate = z
  .object({
    timeoutSeconds: z.number().meta({ description: 'What `timeoutSeconds: "auto"` means here.' }),
    samples: z
      .number()
      .int()
      .meta({ description: 'Successful runs behind it; 0: nothing is known, and the timeout is the default.' }),
    timedOut: z.number().int().meta({
      description:
        'Runs behind it that did not end in the time they had. They say how long it takes at least, and never count as successes.',
    }),
    level: EstimateLevel,
    p50Seconds: z
      .number()
      .nullable()
      .meta({ description: 'Half of the runs took no longer; null where that is not known.' }),
    p90Seconds: z.number().nullable().meta({
      description:
        'Nine of ten took no longer; null where that is not known, also because more than a tenth were cut off.',
    }),
  })
  .meta({ id: 'TimeoutEstimate', description: 'Estimated from the history of this token’s own runs.' })
export type TimeoutEstimate = z.infer<typeof TimeoutEstimate>

/** What `GET /estimates` is asked about: the fields of an ExecuteRequest that a duration depends on. */
export const EstimateQuery = z.strictObject({
  prompt: z
    .string()
    .min(1, 'must not be empty')
    .meta({ description: 'The prompt, or its beginning: the first words are enough for the level `opening`.' }),
  model: z.string().min(1).max(200).optional(),
  effort: Effort.optional(),
  workspace: z.string().min(1).optional(),
})
export type EstimateQuery = z.infer<typeof EstimateQuery>
