import { z } from 'zod'
import { Timestamp } from './ids.js'

/** When a hook of the operator's runs. */
export const HOOK_STAGES = ['pre-execute', 'post-execute', 'pre-task-list', 'post-task-list', 'on-failure'] as const
export const HookStage = z.enum(HOOK_STAGES).meta({ id: 'HookStage' })
export type HookStage = z.infer<typeof HookStage>

export const HookEnding = z
  .enum(['exited', 'signalled', 'timed_out', 'output_limit', 'stopped', 'not_found', 'not_started'])
  .meta({
    id: 'HookEnding',
    description:
      '`exited`: by itself; `timed_out`, `output_limit`: ended at its limit; `stopped`: ended with its ' +
      'execution (a cancel, the worker’s stop); `not_found`, `not_started`: it never ran.',
  })
export type HookEnding = z.infer<typeof HookEnding>

/** What is told of a hook that has run. */
export const HookFinished = z.object({
  stage: HookStage,
  name: z.string(),
  exitCode: z.number().int().nullable().meta({ description: 'null where it did not exit by itself.' }),
  durationMs: z.number(),
  output: z
    .string()
    .meta({ description: 'What it wrote, on both streams as it came; of more than 8 KiB the beginning and the end.' }),
  outputBytes: z.number().int().meta({ description: 'How much it wrote.' }),
  ending: HookEnding,
  signal: z.string().optional(),
})
export type HookFinished = z.infer<typeof HookFinished>

/** What a worker says of the hooks that it runs. */
export const HooksState = z.object({
  path: z.string(),
  /** Stages, and Claude's own events as `claude:PreToolUse`. */
  configured: z.array(z.string()),
  timeoutSeconds: z.number(),
  runs: z.number().int(),
  failed: z.number().int(),
  vetoed: z.number().int(),
  recent: z.array(
    z.object({
      stage: HookStage,
      name: z.string(),
      exitCode: z.number().int().nullable(),
      durationMs: z.number(),
      at: Timestamp,
    }),
  ),
})
export type HooksState = z.infer<typeof HooksState>
