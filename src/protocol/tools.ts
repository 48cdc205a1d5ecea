import { z } from 'zod'
import { CheckedExecution } from './checked-execution.js'
import { FieldError } from './errors.js'
import { ExecuteRequest, requireExactlyOneTask } from './execute-request.js'
import { Execution, Outcome, Usage } from './execution.js'
import { ExecutionReference } from './ids.js'
import { QueueState, Readiness } from './service-state.js'

/**
 * Clients of MCP give up after 60 s as a rule; a call of ours, a service that must be started first included, ends
 * before that.
 */
export const TOOL_WAIT_LIMIT_SECONDS = 45
export const DEFAULT_WAIT_SECONDS = 30
export const DEFAULT_CANCEL_WAIT_SECONDS = 10

const waitSeconds = (fallback: number) =>
  z
    .number()
    .min(0)
    .max(TOOL_WAIT_LIMIT_SECONDS)
    .optional()
    .meta({
      description:
        `How long to wait for the end, at most ${TOOL_WAIT_LIMIT_SECONDS}; default ${fallback}. What is not ` +
        'finished by then goes on, and its id is answered.',
    })
/** How many executions verify_execution lists at most: their checks must fit into one answer. */
export const LAST_LIMIT = 50
const Target = { executionId: ExecutionReference }

const ExecuteToolInput = z
  .strictObject({
    ...ExecuteRequest.shape,
    waitSeconds: waitSeconds(DEFAULT_WAIT_SECONDS),
    idempotencyKey: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .meta({ description: 'The same key and request give the same execution, also when this call is repeated.' }),
  })
  .superRefine(requireExactlyOneTask)

/** An execution as a tool answers it: without its request, its result bounded. */
export const ExecutionReport = z.looseObject({
  ...Execution.omit({ request: true, outcome: true, usage: true }).shape,
  usage: Usage.loose(),
  outcome: Outcome.loose().optional(),
  isFinished: z.boolean(),
  resultLength: z
    .number()
    .int()
    .optional()
    .meta({ description: 'Characters of the whole result, where only a part of it is in outcome.result.' }),
  resultOffset: z.number().int().optional().meta({ description: 'Where in the whole result outcome.result begins.' }),
  note: z.string().optional().meta({ description: 'How the waiting went, where that is worth a word.' }),
  next: z.string().optional().meta({ description: 'What to call next.' }),
})
export type ExecutionReport = z.infer<typeof ExecutionReport>

export const VerificationReport = z.looseObject({
  executionId: z.string(),
  status: Execution.shape.status,
  isFinished: z.boolean(),
  simulated: z.boolean(),
  outcome: Outcome.omit({ result: true }).loose().optional(),
  usage: Usage.loose(),
  log: z
    .looseObject({
      isWhole: z.boolean().meta({
        description:
          'Events 1 to lastSeq are there without a gap, the last one is execution.finished, and it says the same as the execution.',
      }),
      lastSeq: z.number().int(),
      eventsRead: z.number().int(),
      hasGap: z.boolean(),
      isEnded: z.boolean().meta({ description: 'The last event is execution.finished.' }),
      isSameOutcome: z
        .boolean()
        .optional()
        .meta({ description: 'The last event tells the same outcome and usage as the execution.' }),
      truncatedBytes: z.number().meta({ description: 'Output that was dropped, as the log itself says.' }),
      message: z.string(),
    })
    .meta({ description: 'The event log, read from its beginning by this call.' }),
  notChecked: z.array(z.string()).meta({ description: 'What nobody has looked at yet.' }),
})
export type VerificationReport = z.infer<typeof VerificationReport>

const VerifyToolInput = z
  .strictObject({
    executionId: ExecutionReference.optional().meta({
      description: 'The execution to look at. Exactly one of executionId and lastN.',
    }),
    lastN: z
      .int()
      .min(1)
      .max(LAST_LIMIT)
      .optional()
      .meta({
        description: `In place of executionId: the newest so many executions, at most ${LAST_LIMIT}, each with its checks.`,
      }),
  })
  .superRefine(({ executionId, lastN }, check) => {
    if ((executionId === undefined) === (lastN === undefined))
      check.addIssue({
        code: 'custom',
        path: [executionId === undefined ? 'executionId' : 'lastN'],
        message: 'exactly one of executionId, lastN is required',
      })
  })

/** Of one execution, or, asked with lastN, the newest ones in short. */
const VerificationAnswer = VerificationReport.partial().extend({
  executions: z.array(CheckedExecution).optional().meta({ description: 'With lastN: the newest first.' }),
})

export const ExecutorStatus = z.looseObject({
  url: z.string(),
  version: z.string(),
  simulated: z.boolean().meta({ description: 'true: a scripted model answers, not Claude.' }),
  uptimeSeconds: z.number(),
  isReady: z.boolean(),
  parts: z.looseObject(Readiness.shape.parts.shape),
  queue: QueueState.loose(),
})
export type ExecutorStatus = z.infer<typeof ExecutorStatus>

/** The structured content of a tool result with `isError`. */
export const ToolError = z.looseObject({
  code: z.string().meta({ description: 'Stable; branch on this, never on text.' }),
  detail: z.string(),
  retryable: z.boolean(),
  requestId: z.string().optional(),
  errors: z.array(FieldError).optional(),
  retryAfterSeconds: z.number().optional(),
})
export type ToolError = z.infer<typeof ToolError>

interface ToolDeclaration {
  readonly title: string
  readonly description: string
  readonly input: z.ZodType
  readonly output: z.ZodType
  readonly annotations: {
    readonly readOnlyHint: boolean
    readonly destructiveHint?: boolean
    readonly idempotentHint?: boolean
    readonly openWorldHint?: boolean
  }
}

const READS = { readOnlyHint: true, idempotentHint: true, openWorldHint: false } as const

/** Every tool of the MCP server: what it takes, what it answers. */
export const TOOLS = {
  execute: {
    title: 'Run Claude Code',
    description:
      'Runs a prompt with Claude Code in a folder of its own (or the named workspace), in the ' +
      `background, and waits for its end up to waitSeconds (at most ${TOOL_WAIT_LIMIT_SECONDS}). Answers ` +
      'the finished execution with its result, or, when it takes longer, its id for ' +
      'wait_for_execution. It is never stopped by the end of a call; cancel_execution ends it. With ' +
      'session.resume it goes on with the conversation of an earlier execution, in its folder.',
    input: ExecuteToolInput,
    output: ExecutionReport,
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  },
  wait_for_execution: {
    title: 'Wait for an execution',
    description:
      `Waits up to waitSeconds (at most ${TOOL_WAIT_LIMIT_SECONDS}) for the end of an execution and answers ` +
      'it with its result, or, when it still runs, its state; then call it again.',
    input: z.strictObject({ ...Target, waitSeconds: waitSeconds(DEFAULT_WAIT_SECONDS) }),
    output: ExecutionReport,
    annotations: READS,
  },
  get_execution: {
    title: 'Look at an execution',
    description:
      'Answers an execution as it is now, without waiting. A long result comes in parts: resultOffset names where to go on.',
    input: z.strictObject({
      ...Target,
      resultOffset: z.int().min(0).optional().meta({ description: 'The result from this character on; default 0.' }),
    }),
    output: ExecutionReport,
    annotations: READS,
  },
  cancel_execution: {
    title: 'Cancel an execution',
    description:
      'Ends an execution and every process that it has started. Cancelling twice, or after the end, is no error.',
    input: z.strictObject({
      ...Target,
      reason: z.string().max(500).optional(),
      waitSeconds: waitSeconds(DEFAULT_CANCEL_WAIT_SECONDS),
    }),
    output: ExecutionReport,
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  },
  verify_execution: {
    title: 'Check an execution',
    description:
      'Answers what is known of an execution beyond what the model says: how the process ended, what ' +
      'the service checked of it (outcome.verification: files, claims, commands), which tool calls ' +
      'were denied, usage, and whether its event log is whole. It names what has not been checked. ' +
      'With lastN it lists the newest executions with their checks.',
    input: VerifyToolInput,
    output: VerificationAnswer,
    annotations: READS,
  },
  get_executor_status: {
    title: 'Status of the executor',
    description:
      'Whether executions can run: the service, its queue and workers, the Claude CLI and how it is ' +
      'authenticated, the containment of runs. Starts the service when none is running.',
    input: z.strictObject({}),
    output: ExecutorStatus,
    annotations: READS,
  },
} as const satisfies Record<string, ToolDeclaration>

export type ToolName = keyof typeof TOOLS
export type ToolInput<Name extends ToolName> = z.output<(typeof TOOLS)[Name]['input']>
export type ToolOutput<Name extends ToolName> = z.output<(typeof TOOLS)[Name]['output']>
