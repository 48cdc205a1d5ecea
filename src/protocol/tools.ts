import * as z from 'zod'
import { Approval, ApprovalPage, DecideParams } from './approvals.js'
import { CheckedExecution } from './checked-execution.js'
import { FieldError } from './errors.js'
import { ExecuteRequest, requireExactlyOneTask } from './execute-request.js'
import { Execution, Outcome, Usage } from './execution.js'
import { ExecutionReference } from './ids.js'
import { IDEMPOTENCY_KEY_LIMIT, LAST_LIMIT, TOOL_WAIT_LIMIT_SECONDS } from './limits.js'
import { Message, MessageSendParams } from './messages.js'
import { OPERATIONS, type OperationName } from './operations.js'
import { QueueState, Readiness } from './service-state.js'

export const DEFAULT_WAIT_SECONDS = 30
export const DEFAULT_CANCEL_WAIT_SECONDS = 10

const Target = OPERATIONS['execution.get'].rpc.params
const waitSeconds = (fallback: number) =>
  z
    .number()
    .min(0)
    .max(TOOL_WAIT_LIMIT_SECONDS)
    .optional()
    .meta({
      description:
        `How long to wait for the end, at most ${TOOL_WAIT_LIMIT_SECONDS}; default ${fallback}. An execution ` +
        'that is not finished by then keeps running, and its id is returned.',
    })

const ExecuteToolInput = z
  .strictObject({
    ...ExecuteRequest.shape,
    waitSeconds: waitSeconds(DEFAULT_WAIT_SECONDS),
    idempotencyKey: z
      .string()
      .min(1)
      .max(IDEMPOTENCY_KEY_LIMIT)
      .optional()
      .meta({ description: 'The same key and request return the same execution, also if this call is repeated.' }),
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
    .meta({ description: 'Number of characters of the whole result, if outcome.result holds only a part.' }),
  resultOffset: z.number().int().optional().meta({ description: 'Where in the whole result outcome.result begins.' }),
  approvals: z.array(Approval.loose()).optional().meta({ description: 'What waits for a decision.' }),
  note: z.string().optional().meta({ description: 'Remark about the wait, if there is one.' }),
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
          'Events 1 to lastSeq are complete, the last one is execution.finished, and it agrees with the execution.',
      }),
      lastSeq: z.number().int(),
      eventsRead: z.number().int(),
      hasGap: z.boolean(),
      isEnded: z.boolean().meta({ description: 'The last event is execution.finished.' }),
      isSameOutcome: z
        .boolean()
        .optional()
        .meta({ description: 'The last event has the same outcome and usage as the execution.' }),
      truncatedBytes: z.number().meta({ description: 'Dropped output, according to the log.' }),
      message: z.string(),
    })
    .meta({ description: 'The event log, read from its beginning by this call.' }),
  notChecked: z.array(z.string()).meta({ description: 'What has not been checked.' }),
})
export type VerificationReport = z.infer<typeof VerificationReport>

const VerifyToolInput = z
  .strictObject({
    executionId: ExecutionReference.optional().meta({
      description: 'The execution to examine. Give exactly one of executionId and lastN.',
    }),
    lastN: z
      .int()
      .min(1)
      .max(LAST_LIMIT)
      .optional()
      .meta({
        description: `Instead of executionId: the number of newest executions, at most ${LAST_LIMIT}, each with its checks.`,
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
  /** What it does to the execution; what it reads beside that needs no more than the read scope. */
  readonly operation: OperationName
  readonly title: string
  readonly description: string
  readonly input: z.ZodType
  readonly output: z.ZodType
  readonly annotations: {
    readonly destructiveHint?: boolean
    readonly idempotentHint?: boolean
    readonly openWorldHint?: boolean
  }
}

const READS = { idempotentHint: true, openWorldHint: false } as const

/** Every tool of the MCP server: what it takes, what it answers. */
export const TOOLS = {
  execute: {
    operation: 'execute',
    title: 'Run Claude Code',
    description:
      'Runs a prompt with Claude Code in a separate folder (or the named workspace), in the background, ' +
      `and waits for its end up to waitSeconds (at most ${TOOL_WAIT_LIMIT_SECONDS}). Returns the finished ` +
      'execution with its result, or, if it takes longer, its id for wait_for_execution. The end of a call ' +
      'never stops it; cancel_execution does. With session.resume it continues the conversation of an ' +
      'earlier execution, in its folder.',
    input: ExecuteToolInput,
    output: ExecutionReport,
    annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: true },
  },
  wait_for_execution: {
    operation: 'execution.get',
    title: 'Wait for an execution',
    description:
      `Waits up to waitSeconds (at most ${TOOL_WAIT_LIMIT_SECONDS}) for the end of an execution and ` +
      'returns it with its result, or, if it is still running, its state; then call it again.',
    input: z.strictObject({ ...Target.shape, waitSeconds: waitSeconds(DEFAULT_WAIT_SECONDS) }),
    output: ExecutionReport,
    annotations: READS,
  },
  get_execution: {
    operation: 'execution.get',
    title: 'Get an execution',
    description:
      'Returns an execution as it is now, without waiting. A long result is returned in parts: ' +
      'resultOffset says where to continue.',
    input: z.strictObject({
      ...Target.shape,
      resultOffset: z
        .int()
        .min(0)
        .optional()
        .meta({ description: 'Return the result from this character; default 0.' }),
    }),
    output: ExecutionReport,
    annotations: READS,
  },
  cancel_execution: {
    operation: 'execution.cancel',
    title: 'Cancel an execution',
    description:
      'Ends an execution and every process that it has started. Cancelling twice, or after the end, is not ' +
      'an error.',
    input: z.strictObject({
      ...OPERATIONS['execution.cancel'].rpc.params.shape,
      waitSeconds: waitSeconds(DEFAULT_CANCEL_WAIT_SECONDS),
    }),
    output: ExecutionReport,
    annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: false },
  },
  send_message: {
    operation: 'message.send',
    title: 'Send a message to an execution',
    description:
      'Sends a message to an execution while it runs: Claude reads it after its next tool call, or as its next turn. ' +
      'With delivery "follow_up" it becomes a new execution on the same session, which starts when the ' +
      'ones before it have ended; followUpId is its id for wait_for_execution. A message that comes too late is ' +
      'dropped (status "dropped" and a reason), unless onDropped is "follow_up".',
    input: MessageSendParams,
    output: Message.loose(),
    annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: true },
  },
  verify_execution: {
    operation: 'execution.get',
    title: 'Check an execution',
    description:
      "Returns what is known about an execution beyond the model's own report: how the process ended, what " +
      'the service checked (outcome.verification: files, claims, commands), which tool calls were denied, ' +
      'usage, and whether its event log is complete. It also names what was not checked. With lastN it ' +
      'lists the newest executions with their checks.',
    input: VerifyToolInput,
    output: VerificationAnswer,
    annotations: READS,
  },
  list_approvals: {
    operation: 'approval.list',
    title: 'List approvals',
    description:
      'Tool calls, questions and plans of executions with onPermissionNeeded "ask" that wait for a decision, newest ' +
      'first; with status also those that are closed.',
    input: OPERATIONS['approval.list'].rpc.params,
    output: ApprovalPage.loose(),
    annotations: READS,
  },
  decide_approval: {
    operation: 'approval.decide',
    title: 'Decide on an approval',
    description:
      'Allows or denies a tool call or a plan, or answers questions, for the person who is responsible: ask that person ' +
      'unless you were told how to decide. The first decision counts.',
    input: DecideParams,
    output: Approval.loose(),
    annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: true },
  },
  get_executor_status: {
    operation: 'queue.get',
    title: 'Status of the executor',
    description:
      'Whether executions can run: the service, its queue and workers, the Claude CLI and how it is ' +
      'authenticated, the containment of runs. Starts the service if none is running.',
    input: z.strictObject({}),
    output: ExecutorStatus,
    annotations: READS,
  },
} as const satisfies Record<string, ToolDeclaration>

export type ToolName = keyof typeof TOOLS
export type ToolInput<Name extends ToolName> = z.output<(typeof TOOLS)[Name]['input']>
