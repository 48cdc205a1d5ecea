import { z } from 'zod'
import { TimeoutEstimate } from './estimate.js'
import { ExecuteRequest } from './execute-request.js'
import { Cursor, ExecutionId, Timestamp } from './ids.js'
import { SandboxOutcome } from './sandbox.js'
import { RunBudget } from './usage.js'
import { Verification } from './verification.js'

export const TERMINAL_STATUSES = ['succeeded', 'failed', 'cancelled', 'timed_out'] as const
export const TerminalStatus = z.enum(TERMINAL_STATUSES).meta({ id: 'TerminalStatus' })
export type TerminalStatus = z.infer<typeof TerminalStatus>

export const ExecutionStatus = z.enum(['queued', 'running', 'paused', ...TERMINAL_STATUSES]).meta({
  id: 'ExecutionStatus',
  description: 'Exactly one terminal status (succeeded, failed, cancelled, timed_out), reached once and never left.',
})
export type ExecutionStatus = z.infer<typeof ExecutionStatus>

export function isTerminal(status: string): status is TerminalStatus {
  return (TERMINAL_STATUSES as readonly string[]).includes(status)
}

/** Why a run did not succeed. */
export const OutcomeCode = z
  .enum([
    'CLAUDE_NOT_FOUND',
    'CLAUDE_NOT_AUTHENTICATED',
    'CLAUDE_EXITED',
    'CLAUDE_SIGNALLED',
    'CLAUDE_RATE_LIMITED',
    'CLAUDE_OVERLOADED',
    'CLAUDE_TOO_OLD',
    'PERMISSION_DENIED',
    'MAX_TURNS',
    'BUDGET_EXCEEDED',
    'CONTEXT_TOO_LONG',
    'TIMED_OUT',
    'IDLE_TIMEOUT',
    'QUEUE_TIMEOUT',
    'BACKGROUND_UNFINISHED',
    'ANSWER_INCOMPLETE',
    'REFUSED',
    'TOOL_DEFERRED',
    'OUTPUT_LIMIT',
    'OUTPUT_INVALID',
    'VERIFICATION_FAILED',
    'WORKER_LOST',
    'WORKSPACE_ERROR',
    'FORBIDDEN',
    'MCP_UNAVAILABLE',
    'SESSION_NOT_FOUND',
    'CANCELLED',
    'HOOK_VETOED',
    'HOOK_FAILED',
    'TASK_FAILED',
  ])
  .meta({ id: 'OutcomeCode' })
export type OutcomeCode = z.infer<typeof OutcomeCode>

/** Why an execution went back to the queue. */
export const RetryReason = z.enum([...OutcomeCode.options, 'WORKER_STOPPING']).meta({
  id: 'RetryReason',
  description: 'The code that would have been its outcome; WORKER_STOPPING: its worker was stopped and handed it over.',
})
export type RetryReason = z.infer<typeof RetryReason>

export const PermissionDenial = z
  .object({
    tool: z.string(),
    toolUseId: z.string().optional(),
    input: z.string().meta({ description: 'The input of the refused call as JSON, shortened.' }),
    allowWith: z
      .string()
      .meta({ description: 'The setting that would allow it; `no setting: ` and the reason where none would.' }),
  })
  .meta({ id: 'PermissionDenial' })
export type PermissionDenial = z.infer<typeof PermissionDenial>

/** What was still going on when a run ended: the service ended it, or it never came back. */
export const Unfinished = z
  .object({
    kind: z
      .enum(['task', 'tool_call'])
      .meta({ description: '`task`: a background task of the CLI; `tool_call`: a call without a result.' }),
    id: z.string(),
    description: z.string(),
  })
  .meta({ id: 'Unfinished' })
export type Unfinished = z.infer<typeof Unfinished>

/** How an execution ended. */
export const Outcome = z
  .object({
    status: TerminalStatus,
    code: OutcomeCode.optional().meta({ description: 'Absent when it succeeded.' }),
    message: z.string().optional().meta({ description: 'What happened and what to do about it, for people.' }),
    exitCode: z.number().int().optional(),
    signal: z.string().optional(),
    apiStatus: z.int().optional().meta({ description: 'HTTP status of the Claude API where it reported an error.' }),
    requiredVersion: z.string().optional().meta({
      description:
        'With CLAUDE_TOO_OLD: the version of the Claude CLI from which on the API takes this model, where it said so.',
    }),
    result: z
      .union([z.string(), z.record(z.string(), z.unknown())])
      .optional()
      .meta({
        description:
          'The answer, or what there was of it: text, and in JSON mode the object (an answer that did not ' +
          'match its schema is kept as the text that it was).',
      }),
    isPartial: z.boolean().optional().meta({ description: 'The result is what was produced before the end.' }),
    stopReason: z.string().optional().meta({ description: 'The last stop reason of the model, as the CLI gave it.' }),
    unfinished: z.array(Unfinished).optional().meta({
      description:
        'Background tasks that were ended, or lost, with the run, and tool calls that never came back; absent where there were none.',
    }),
    permissionDenials: z.array(PermissionDenial).optional().meta({ description: 'Of all attempts: the first 200.' }),
    permissionDenialCount: z.int().optional().meta({ description: 'How many, where not all are listed.' }),
    sandbox: SandboxOutcome.optional().meta({ description: 'Absent where the CLI was never let go.' }),
    verification: Verification.optional().meta({
      description: 'Absent where the CLI was never let go, or its worker was lost.',
    }),
  })
  .meta({ id: 'Outcome' })
export type Outcome = z.infer<typeof Outcome>

/** Tokens and dollars as the CLI reports them; an estimate, and meaningless as a price under a subscription. */
export const Usage = z
  .object({
    inputTokens: z.number(),
    outputTokens: z.number(),
    cacheReadTokens: z.number(),
    cacheCreationTokens: z.number(),
    costUsd: z.number().meta({
      description: "The CLI's own estimate in US dollars, from list prices; under a subscription it means nothing.",
    }),
    turns: z.number(),
    durationMs: z.number().meta({ description: 'Wall clock of the run.' }),
    isCostIncomplete: z
      .boolean()
      .optional()
      .meta({
        description:
          "true: an attempt ended without the CLI's own sum (its worker died, it was cancelled, timed out " +
          'or killed); its tokens are what the stream told, its dollars what was last reported.',
      }),
  })
  .meta({ id: 'Usage' })
export type Usage = z.infer<typeof Usage>

export const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  costUsd: 0,
  turns: 0,
  durationMs: 0,
}

/** Attempts of one execution, or parts of one run, together. */
export function addUsage(one: Usage, other: Usage): Usage {
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    cacheReadTokens: one.cacheReadTokens + other.cacheReadTokens,
    cacheCreationTokens: one.cacheCreationTokens + other.cacheCreationTokens,
    costUsd: one.costUsd + other.costUsd,
    turns: one.turns + other.turns,
    durationMs: one.durationMs + other.durationMs,
    ...((one.isCostIncomplete === true || other.isCostIncomplete === true) && { isCostIncomplete: true }),
  }
}

export const ExecutionKind = z.enum(['run', 'task_list', 'task']).meta({
  id: 'ExecutionKind',
  description:
    '`task_list`: made of tasks, which are executions of their own; no process runs for it. `task`: one of them.',
})
export type ExecutionKind = z.infer<typeof ExecutionKind>

export const TaskState = z
  .object({ index: z.int(), id: ExecutionId, status: ExecutionStatus })
  .meta({ id: 'TaskState' })
export type TaskState = z.infer<typeof TaskState>

/** An execution as every surface shows it. */
export const Execution = z
  .object({
    id: ExecutionId,
    kind: ExecutionKind,
    status: ExecutionStatus,
    request: ExecuteRequest.meta({ description: 'As it was accepted; in lists a long prompt is shortened.' }),
    position: z.number().int().optional().meta({ description: 'Place in the queue, 1 is next; while queued.' }),
    waitingFor: z
      .enum(['workspace', 'retry', 'sandbox'])
      .optional()
      .meta({
        description:
          'Why a queued execution cannot start although a worker is free: `workspace`: another one has it; ' +
          '`retry`: its next attempt is not to begin before `notBefore`; `sandbox`: no free worker has a ' +
          'sandbox of its level.',
      }),
    notBefore: Timestamp.optional(),
    estimatedStartAt: Timestamp.optional().meta({
      description:
        'When a queued execution may be expected to start, by what earlier runs took; absent where that ' +
        'is not known (no worker, no history, waiting for something else than a place).',
    }),
    timeoutEstimate: TimeoutEstimate.optional().meta({
      description: 'With `timeoutSeconds: "auto"`: the timeout in force and its basis, fixed at submission.',
    }),
    model: z
      .string()
      .optional()
      .meta({ description: 'As the CLI named it; before it did, the one that was asked for.' }),
    budget: RunBudget.optional(),
    createdAt: Timestamp,
    startedAt: Timestamp.optional(),
    finishedAt: Timestamp.optional(),
    attempt: z.number().int().meta({
      description:
        'How often the CLI was started for it; 0 before the first start. The events of an attempt carry its number.',
    }),
    workerId: z.string().optional(),
    sessionId: z.string().optional().meta({ description: "Claude's own session." }),
    resumedFrom: ExecutionId.optional().meta({
      description: 'The execution whose conversation this one goes on with.',
    }),
    workspace: z.string().meta({
      description:
        'Relative to the workspace root, or absolute if it was asked for so. Of a resumed session: that of the first execution.',
    }),
    lastSeq: Cursor,
    usage: Usage,
    outcome: Outcome.optional(),
    tasks: z.array(TaskState).optional().meta({
      description:
        'Of a task list: its tasks in order, as far as they exist; a task is made when its turn comes. Left out in lists.',
    }),
    taskCount: z.int().optional().meta({ description: 'Of a task list: how many tasks it has.' }),
    parentId: ExecutionId.optional().meta({ description: 'Of a task: its list.' }),
    taskIndex: z.int().optional().meta({ description: 'Of a task: its place in the list, from 0.' }),
    metadata: z.record(z.string(), z.string()),
    simulated: z.boolean().meta({ description: 'true: a scripted model answered, not Claude.' }),
  })
  .meta({ id: 'Execution' })
export type Execution = z.infer<typeof Execution>
