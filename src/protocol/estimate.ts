import * as z from 'zod'
import { Effort } from './execute-request.js'

export const EstimateLevel = z.enum(['prompt', 'opening', 'model', 'all', 'none']).meta({
  id: 'EstimateLevel',
  description:
    'Which history the estimate uses, closest match first: `prompt` (the same prompt except for numbers ' +
    'and ids, with the same model, effort, workspace and number of tasks), `opening` (the same first ' +
    'words, model, effort and number of tasks), `model` (the same model and effort), `all` (all runs of ' +
    'this token), `none` (no history).',
})
export type EstimateLevel = z.infer<typeof EstimateLevel>

/** What history says of how long a run takes, and the timeout that follows from it. */
export const TimeoutEstimate = z
  .object({
    timeoutSeconds: z.number().meta({ description: 'What `timeoutSeconds: "auto"` means here.' }),
    samples: z.number().int().meta({
      description: 'Number of successful runs the estimate is based on; 0: no history, the default timeout applies.',
    }),
    timedOut: z
      .number()
      .int()
      .meta({
        description:
          'Number of runs that reached their timeout. They give a lower bound for the duration and do not ' +
          'count as successes.',
      }),
    level: EstimateLevel,
    p50Seconds: z.number().nullable().meta({ description: 'Median duration; null if unknown.' }),
    p90Seconds: z.number().nullable().meta({
      description: '90th percentile; null if unknown, also if more than a tenth of the runs were cut off.',
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
