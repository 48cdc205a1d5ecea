import * as z from 'zod'
import { TimeoutEstimate } from './estimate.js'
import { ExecuteRequest } from './execute-request.js'
import { Cursor, ExecutionId, Timestamp } from './ids.js'
import { RepositoryOutcome } from './repositories.js'
import { SandboxOutcome } from './sandbox.js'
import { TERMINAL_STATUSES } from './terminal-status.js'
import { RunBudget } from './usage.js'
import { Verification } from './verification.js'
import { WorktreeOutcome } from './worktrees.js'

export { isTerminal } from './terminal-status.js'

export const TerminalStatus = z.enum(TERMINAL_STATUSES).meta({ id: 'TerminalStatus' })
export type TerminalStatus = z.infer<typeof TerminalStatus>

/** What a parked execution waits for. */
export const ParkReason = z.enum(['approval', 'budget']).meta({ id: 'ParkReason' })
export type ParkReason = z.infer<typeof ParkReason>

export const ExecutionStatus = z
  .enum(['queued', 'running', 'paused', 'waiting_approval', 'waiting_budget', ...TERMINAL_STATUSES])
  .meta({
    id: 'ExecutionStatus',
    description:
      'Exactly one terminal status (succeeded, failed, cancelled, timed_out), reached exactly once and final. ' +
      '`waiting_approval`, `waiting_budget`: parked; it keeps its session and workspace and occupies no worker.',
  })
export type ExecutionStatus = z.infer<typeof ExecutionStatus>

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
    'APPROVAL_TIMEOUT',
    'OUTPUT_LIMIT',
    'OUTPUT_INVALID',
    'VERIFICATION_FAILED',
    'WORKER_LOST',
    'WORKSPACE_ERROR',
    'REPOSITORY_ERROR',
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
  description:
    'The code that the outcome would have had; WORKER_STOPPING: the worker was shut down and handed the run over.',
})
export type RetryReason = z.infer<typeof RetryReason>

export const PermissionDenial = z
  .object({
    tool: z.string(),
    toolUseId: z.string().optional(),
    input: z.string().meta({ description: 'The input of the refused call as JSON, shortened.' }),
    allowWith: z
      .string()
      .meta({ description: 'The setting that would allow it; `no setting: ` and the reason if none would.' }),
    by: z.string().optional().meta({ description: 'The name of the token, if a person denied it (an approval).' }),
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
    code: OutcomeCode.optional().meta({ description: 'Absent if it succeeded.' }),
    message: z.string().optional().meta({ description: 'Human-readable: what happened and what to do about it.' }),
    exitCode: z.number().int().optional(),
    signal: z.string().optional(),
    apiStatus: z.int().optional().meta({ description: 'HTTP status of the Claude API, if it reported an error.' }),
    requiredVersion: z.string().optional().meta({
      description: 'With CLAUDE_TOO_OLD: the minimum Claude CLI version for this model, if the API reported it.',
    }),
    result: z
      .union([z.string(), z.record(z.string(), z.unknown())])
      .optional()
      .meta({
        description:
          'The answer, or what exists of it: text, or the object in JSON mode (an answer that did not match ' +
          'its schema is kept as text).',
      }),
    isPartial: z
      .boolean()
      .optional()
      .meta({ description: 'The result is incomplete: it holds what was produced before the end.' }),
    stopReason: z
      .string()
      .optional()
      .meta({ description: 'The last stop reason of the model, as reported by the CLI.' }),
    unfinished: z
      .array(Unfinished)
      .optional()
      .meta({
        description:
          'Background tasks that were stopped or lost at the end of the run, and tool calls without a result; ' +
          'absent if there were none.',
      }),
    permissionDenials: z.array(PermissionDenial).optional().meta({ description: 'The first 200 of all attempts.' }),
    permissionDenialCount: z.int().optional().meta({ description: 'Total number, if not all are listed.' }),
    sandbox: SandboxOutcome.optional().meta({ description: 'Absent if the CLI was never started.' }),
    worktree: WorktreeOutcome.optional().meta({
      description: 'Of a run in a separate git worktree; absent if the CLI was never started or its worker was lost.',
    }),
    repository: RepositoryOutcome.optional().meta({
      description: 'Of a run on a repository; absent if the CLI was never started or its worker was lost.',
    }),
    verification: Verification.optional().meta({
      description: 'Absent if the CLI was never started or its worker was lost.',
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
      description: "The CLI's estimate in US dollars, from list prices; not meaningful under a subscription.",
    }),
    turns: z.number(),
    durationMs: z.number().meta({ description: 'Wall-clock time of the run.' }),
    isCostIncomplete: z
      .boolean()
      .optional()
      .meta({
        description:
          'true: an attempt ended before the CLI reported its total (worker died, cancelled, timed out or ' +
          'killed); its tokens are those seen in the stream, its dollars those last reported.',
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

export const Payment = z
  .object({
    credential: z.string().meta({ description: 'The name of a credential of the worker.' }),
    usage: Usage,
  })
  .meta({ id: 'Payment', description: 'The part of the usage that one credential paid for.' })
export type Payment = z.infer<typeof Payment>

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
    isCostIncomplete: one.isCostIncomplete === true || other.isCostIncomplete === true || undefined,
  }
}

export const ExecutionKind = z.enum(['run', 'task_list', 'task']).meta({
  id: 'ExecutionKind',
  description:
    '`task_list`: consists of tasks, which are separate executions; it has no process itself. `task`: ' +
    'one of those tasks.',
})
export type ExecutionKind = z.infer<typeof ExecutionKind>

const TaskState = z.object({ index: z.int(), id: ExecutionId, status: ExecutionStatus }).meta({ id: 'TaskState' })

/** An execution as every surface shows it. */
export const Execution = z
  .object({
    id: ExecutionId,
    kind: ExecutionKind,
    status: ExecutionStatus,
    request: ExecuteRequest.meta({ description: 'As accepted; long prompts are shortened in lists.' }),
    position: z.number().int().optional().meta({ description: 'Place in the queue, 1 is next; while queued.' }),
    waitingFor: z
      .enum(['workspace', 'retry', 'sandbox', 'session', 'token', 'approval', 'budget'])
      .optional()
      .meta({
        description:
          'Why a queued execution cannot start although a worker is free. `workspace`: another execution uses ' +
          'it; `retry`: the next attempt starts no earlier than `notBefore`; `sandbox`: no free worker ' +
          'provides its sandbox level; `session`: a follow-up waits for the executions of its session before it; ' +
          '`token`: as many executions of its token are running as its `maxConcurrent` allows. `approval`: a call waits for a ' +
          'decision; its clocks stand still. `budget`: it is parked until its budget is raised.',
      }),
    pendingApprovals: z.int().optional().meta({
      description: 'How many approvals are pending; of a task list, those of its tasks. Absent if there are none.',
    }),
    pendingApprovalIds: z.array(z.string()).optional().meta({ description: 'Their ids, oldest first.' }),
    notBefore: Timestamp.optional().meta({
      description: 'Its next attempt starts no earlier; a parked execution continues by itself at this time.',
    }),
    parkedUntil: Timestamp.optional().meta({ description: 'A parked execution ends at this time.' }),
    estimatedStartAt: Timestamp.optional().meta({
      description:
        'Expected start of a queued execution, estimated from earlier runs; absent if unknown (no worker, no ' +
        'history, or it waits for something other than a free slot). With `maxConcurrent` of its token it is an ' +
        'upper bound: it starts earlier if others of the token end earlier.',
    }),
    timeoutEstimate: TimeoutEstimate.optional().meta({
      description: 'With `timeoutSeconds: "auto"`: the timeout in force and its basis, fixed at submission.',
    }),
    model: z.string().optional().meta({ description: 'As reported by the CLI; until then the requested model.' }),
    budget: RunBudget.optional(),
    createdAt: Timestamp,
    startedAt: Timestamp.optional(),
    finishedAt: Timestamp.optional(),
    attempt: z.number().int().meta({
      description:
        'How many times the CLI was started; 0 before the first start. The events of an attempt carry its number.',
    }),
    workerId: z.string().optional(),
    sessionId: z.string().optional().meta({ description: 'The Claude session.' }),
    resumedFrom: ExecutionId.optional().meta({
      description: 'The execution whose conversation this one continues.',
    }),
    workspace: z.string().meta({
      description:
        'Relative to the workspace root, or absolute if requested that way. For a resumed session: the ' +
        'workspace of the first execution.',
    }),
    lastSeq: Cursor,
    usage: Usage,
    paidBy: z
      .array(Payment)
      .optional()
      .meta({ description: 'The usage of the finished attempts by the credential that paid for it, in order.' }),
    outcome: Outcome.optional(),
    tasks: z
      .array(TaskState)
      .optional()
      .meta({
        description:
          'For a task list: its tasks in order, as far as they exist; a task is created when its turn comes. ' +
          'Omitted in lists.',
      }),
    taskCount: z.int().optional().meta({ description: 'For a task list: its number of tasks.' }),
    parentId: ExecutionId.optional().meta({ description: 'For a task: its list.' }),
    taskIndex: z.int().optional().meta({ description: 'For a task: its index in the list, from 0.' }),
    scheduleId: z.string().optional().meta({ description: 'The schedule that has started it.' }),
    metadata: z.record(z.string(), z.string()),
    traceId: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .optional()
      .meta({ description: 'The trace of its spans (W3C Trace Context); absent where tracing was off.' }),
    simulated: z.boolean().meta({ description: 'true: a scripted model answered, not Claude.' }),
  })
  .meta({ id: 'Execution' })
export type Execution = z.infer<typeof Execution>
