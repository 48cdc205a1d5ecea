import * as z from 'zod'
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
      '`exited`: it exited normally; `timed_out`, `output_limit`: stopped at its limit; `stopped`: stopped ' +
      'with its execution (cancel, worker shutdown); `not_found`, `not_started`: it never ran.',
  })
export type HookEnding = z.infer<typeof HookEnding>

/** What is told of a hook that has run. */
export const HookFinished = z.object({
  stage: HookStage,
  name: z.string(),
  exitCode: z.number().int().nullable().meta({ description: 'null if it did not exit normally.' }),
  durationMs: z.number(),
  output: z
    .string()
    .meta({ description: 'Its output, both streams interleaved; if longer than 8 KiB, its beginning and end.' }),
  outputBytes: z.number().int().meta({ description: 'Size of its output.' }),
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
