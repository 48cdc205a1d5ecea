import * as z from 'zod'
import { Attachments } from './attachments.js'
import { MaxEventBytes } from './event-size.js'
import { InlineFiles } from './inline-files.js'
import {
  AGENT_DESCRIPTION_LIMIT_BYTES,
  AGENT_PROMPT_LIMIT_BYTES,
  APPROVAL_TIMEOUT_LIMIT_SECONDS,
  ATTEMPTS_LIMIT,
  BUDGET_LIMIT_TOKENS,
  BUDGET_LIMIT_USD,
  CHECK_ARGUMENT_LIMIT_BYTES,
  IDEMPOTENCY_KEY_LIMIT,
  METADATA_LIMIT_BYTES,
  NAMES_LIMIT,
  PARKED_LIMIT_SECONDS,
  PROGRAM_LIMIT_BYTES,
  PROMPT_LIMIT_BYTES,
  REPAIRS_LIMIT,
  SYSTEM_PROMPT_LIMIT_BYTES,
  TASKS_LIMIT,
  TIMEOUT_LIMIT_SECONDS,
  TOOL_RULE_LIMIT_BYTES,
  TURNS_LIMIT,
  VERIFIED_FILES_LIMIT,
  VERIFIED_PATH_LIMIT_BYTES,
  VERIFY_COMMANDS_LIMIT,
  WEBHOOK_NAMES_LIMIT,
  WORKSPACE_LIMIT_BYTES,
} from './limits.js'
import { PermissionMode } from './permission-mode.js'
import { isShallow, TOO_DEEP } from './nesting.js'
import { RepositoryRequest } from './repositories.js'
import { NetworkRequest, SandboxLevel } from './sandbox.js'
import { runText as text } from './run-text.js'
import { SessionRequest } from './session.js'
import { WorktreeRequest } from './worktrees.js'

export const DEFAULT_TIMEOUT_SECONDS = 600

/** Claude would be started, and paid, with nothing to do. */
const prompt = text(PROMPT_LIMIT_BYTES).refine(
  (value) => value === '' || /\S/.test(value),
  'must not consist of white space only',
)

const seconds = z
  .number()
  .positive('must be more than 0')
  .max(TIMEOUT_LIMIT_SECONDS, `must not be more than ${TIMEOUT_LIMIT_SECONDS}`)
const toolRules = z.array(text(TOOL_RULE_LIMIT_BYTES)).max(NAMES_LIMIT)

export const Effort = z.enum(['low', 'medium', 'high', 'xhigh', 'max']).meta({ id: 'Effort' })

export const Priority = z.enum(['low', 'normal', 'high']).meta({ id: 'Priority' })
export type Priority = z.infer<typeof Priority>

const Metadata = z
  .record(
    z.string().regex(/^[\w.-]{1,64}$/, 'a label is 1 to 64 letters, digits, _, . or -'),
    z
      .string()
      .refine(
        (value) => value.isWellFormed() && !value.includes('\0'),
        'must not contain NUL characters or lone surrogates',
      ),
  )
  .superRefine((value, context) => {
    if (Buffer.byteLength(JSON.stringify(value)) > METADATA_LIMIT_BYTES) {
      context.addIssue({
        code: 'custom',
        message: `must not be longer than ${METADATA_LIMIT_BYTES} bytes as JSON`,
        params: { tooLarge: true },
      })
    }
  })
  .meta({
    id: 'Metadata',
    description: 'Labels of the caller: strings, 4 KiB in total; returned and searchable by equality.',
    examples: [{ team: 'docs' }],
  })

const AgentDefinition = z
  .strictObject({
    description: text(AGENT_DESCRIPTION_LIMIT_BYTES),
    prompt: text(AGENT_PROMPT_LIMIT_BYTES),
    tools: toolRules.optional(),
    disallowedTools: toolRules.optional(),
    model: text(200).optional(),
  })
  .meta({ id: 'AgentDefinition', description: 'A subagent, as the CLI takes it with --agents.' })

const Verify = z
  .strictObject({
    files: z
      .array(
        text(VERIFIED_PATH_LIMIT_BYTES).refine(
          (path) => !path.startsWith('/') && !path.split('/').includes('..'),
          'must be a path inside the workspace',
        ),
      )
      .min(1)
      .max(VERIFIED_FILES_LIMIT)
      .optional()
      .meta({ description: 'Must exist in the workspace after the run.' }),
    background: z
      .boolean()
      .optional()
      .meta({
        description:
          'true: a background task that was stopped at the end of the run fails the check and thereby the run, ' +
          'also with `backgroundTimeoutSeconds: 0`.',
      }),
    commands: z
      .array(z.array(text(CHECK_ARGUMENT_LIMIT_BYTES)).min(1).max(256))
      .min(1)
      .max(VERIFY_COMMANDS_LIMIT)
      .optional()
      .meta({
        description:
          'Argument vectors, run in the workspace after the run, under the same supervision; each must ' +
          'exit with 0. Needs the admin scope, or CC_EXECUTOR_ALLOW_VERIFY_COMMANDS.',
      }),
  })
  .meta({
    id: 'Verify',
    description:
      'Checks that the server performs after the run; a failed check makes the run `failed / ' +
      'VERIFICATION_FAILED`.',
    examples: [{ files: ['report.md'], commands: [['npm', 'test']] }],
  })

const StringMap = z.record(z.string(), z.string())

/** One that starts a program needs the `admin` scope: it is the right to run anything. */
export const McpServer = z
  .union(
    [
      z.strictObject({
        type: z.enum(['http', 'sse']),
        url: z.url({ protocol: /^https?$/ }),
        headers: StringMap.optional(),
      }),
      z.strictObject({
        type: z.literal('stdio').optional(),
        command: text(PROGRAM_LIMIT_BYTES),
        args: z.array(z.string()).optional(),
        env: StringMap.optional(),
      }),
    ],
    'expected {"command", "args"?, "env"?} or {"type": "http" or "sse", "url", "headers"?}',
  )
  .meta({
    id: 'McpServer',
    description: 'An MCP server for this run. One that starts a program (`command`) needs the `admin` scope.',
  })
export type McpServer = z.infer<typeof McpServer>

const fields = {
  prompt: prompt.optional().meta({ description: 'The task for Claude; 1 byte to 4 MiB.', examples: ['Say hello'] }),
  command: text(PROMPT_LIMIT_BYTES)
    .optional()
    .meta({
      description:
        'Instead of `prompt`: a `claude …` command line, split into words as a POSIX shell does, ' +
        'without expansion, pipes or substitution.',
      examples: ['claude -p "Say hello"'],
    }),
  timeout: z
    .int()
    .positive()
    .max(TIMEOUT_LIMIT_SECONDS)
    .optional()
    .meta({ description: "Only with `command`: the original's name for `timeoutSeconds`." }),
  model: text(200).optional(),
  fallbackModel: text(200).optional(),
  effort: Effort.optional(),
  systemPrompt: text(SYSTEM_PROMPT_LIMIT_BYTES).optional().meta({ description: "Replaces the CLI's system prompt." }),
  appendSystemPrompt: text(SYSTEM_PROMPT_LIMIT_BYTES).optional(),
  maxTurns: z.int().min(1).max(TURNS_LIMIT).optional(),
  maxBudgetUsd: z
    .number()
    .positive()
    .max(BUDGET_LIMIT_USD)
    .optional()
    .meta({
      description:
        'In US dollars, as estimated by the CLI; not meaningful under a subscription. Applies to all ' +
        'attempts together; the operator may have set a lower limit.',
    }),
  maxBudgetTokens: z.int().positive().max(BUDGET_LIMIT_TOKENS).optional().meta({
    description: 'Input, output and cache creation tokens of all attempts; a run that exceeds this is stopped.',
  }),
  onBudgetExceeded: z
    .enum(['fail', 'pause'])
    .optional()
    .meta({
      description:
        'At `maxBudgetUsd`, `maxBudgetTokens` or the daily budget of the token: `fail` (default) ends the run ' +
        'as `failed / BUDGET_EXCEEDED`; `pause` parks it as `waiting_budget`. It continues in the same session ' +
        'when PUT /executions/{id}/budget raises the limit, or, at the daily budget, when the next UTC day begins.',
    }),
  budgetTimeoutSeconds: z
    .number()
    .positive('must be more than 0')
    .max(PARKED_LIMIT_SECONDS, `must not be more than ${PARKED_LIMIT_SECONDS}`)
    .optional()
    .meta({
      description:
        'With `onBudgetExceeded: "pause"`: how long it waits for a higher budget before it ends as ' +
        '`failed / BUDGET_EXCEEDED`; default 86,400 (a day).',
    }),
  allowedTools: toolRules
    .optional()
    .meta({ description: 'Permission rules as the CLI writes them.', examples: [['Bash(npm test:*)', 'WebFetch']] }),
  disallowedTools: toolRules.optional(),
  permissionMode: PermissionMode.optional().meta({
    description:
      'Default: CC_EXECUTOR_PERMISSION_MODE. `manual` is another name for `default`; `auto` and ' +
      '`bypassPermissions` only if the operator has enabled them.',
  }),
  agents: z.record(text(200), AgentDefinition).optional(),
  mcpServers: z
    .record(z.string().regex(/^[\w-]{1,64}$/, 'a name is 1 to 64 letters, digits, _ or -'), McpServer)
    .optional(),
  mcpRequired: z
    .union([z.boolean(), z.array(text(64)).max(NAMES_LIMIT)], 'must be true, false, or a list of names of mcpServers')
    .optional()
    .meta({
      description:
        'All of `mcpServers` (true), or the named ones, must be connected before the first prompt is sent, ' +
        'within CC_EXECUTOR_MCP_TIMEOUT_SECONDS; otherwise the run is `failed / MCP_UNAVAILABLE` and costs ' +
        'nothing. Default false: `mcp.status` and the check `mcp_servers` report missing servers.',
    }),
  projectInstructions: z
    .boolean()
    .optional()
    .meta({
      description:
        'Default true: CLAUDE.md and .claude/CLAUDE.md of the workspace are passed to the model as text, up ' +
        'to 64 KiB each. Hooks, MCP servers and settings of the workspace apply only with ' +
        'CC_EXECUTOR_TRUST_WORKSPACES.',
    }),
  workspace: text(WORKSPACE_LIMIT_BYTES)
    .optional()
    .meta({
      description:
        'A folder relative to the workspace root, created if missing; default: a new folder for this ' +
        'execution. Absolute paths only inside the allowed roots.',
      examples: ['my-project'],
    }),
  worktree: WorktreeRequest.optional(),
  repository: RepositoryRequest.optional(),
  sandbox: SandboxLevel.optional().meta({
    description: 'The sandbox level of the run; the default and minimum is the operator’s CC_EXECUTOR_SANDBOX.',
  }),
  network: NetworkRequest.optional(),
  session: SessionRequest.optional(),
  files: InlineFiles.optional(),
  attachments: Attachments.optional().meta({
    description:
      'Images and PDF that the model is given with the prompt. Their bytes are kept until the end of the execution, ' +
      'and only their digests are shown. A task gets those of its list and its own. Limits: ' +
      'CC_EXECUTOR_MAX_ATTACHMENTS, _ATTACHMENT_LIMIT_BYTES, _ATTACHMENTS_LIMIT_BYTES.',
  }),
  timeoutSeconds: z
    .union(
      [seconds, z.literal('auto')],
      `must be a number of seconds, more than 0 and not more than ${TIMEOUT_LIMIT_SECONDS}, or "auto"`,
    )
    .optional()
    .meta({
      description:
        'Wall-clock limit of the run, from its start; default 600. It applies to each attempt separately. ' +
        '`auto`: estimated from the history of this token’s runs; `timeoutEstimate` of the execution gives ' +
        'the timeout and its basis.',
    }),
  idleTimeoutSeconds: seconds
    .optional()
    .meta({ description: 'Longest time without output of the CLI; default: no limit.' }),
  backgroundTimeoutSeconds: z
    .number()
    .min(0, 'must not be less than 0')
    .max(TIMEOUT_LIMIT_SECONDS, `must not be more than ${TIMEOUT_LIMIT_SECONDS}`)
    .optional()
    .meta({
      description:
        'How long background tasks of the CLI (commands, subagents) may run after Claude has answered; 0 ' +
        'stops them at the answer. Default: the rest of `timeoutSeconds`.',
    }),
  queueTimeoutSeconds: seconds
    .optional()
    .meta({ description: 'Longest wait in the queue, counted separately for each attempt; default: no limit.' }),
  priority: Priority.optional().meta({ description: 'Order in the queue; default normal.' }),
  partialText: z
    .boolean()
    .optional()
    .meta({ description: 'Stream text while it is generated, as `text.delta` events; default true.' }),
  literalPrompt: z
    .boolean()
    .optional()
    .meta({ description: 'The prompt is text: no slash commands, no @file attachments; default true.' }),
  json: z
    .boolean()
    .optional()
    .meta({
      description:
        'JSON mode: the answer is an object with `result`, `files_created`, `files_modified`, `summary` ' +
        'and `execution_uuid`, validated by the server; default false.',
    }),
  outputSchema: z
    .record(z.string(), z.unknown())
    .refine((value) => isShallow(value), TOO_DEEP)
    .optional()
    .meta({
      description:
        'JSON mode with the caller’s schema: JSON Schema 2020-12 (or the 2019-09, draft-07 or draft-06 that ' +
        'its `$schema` names) with `"type": "object"` at its root, or a `$ref` there to such a schema in the ' +
        'same document; at most 100 KiB, no references to other documents.',
      examples: [{ type: 'object', properties: { answer: { type: 'number' } }, required: ['answer'] }],
    }),
  maxRepairs: z.int().min(0).max(REPAIRS_LIMIT).optional().meta({
    description:
      'JSON mode: how many times Claude is asked, in the same session, to correct an invalid answer; default 1.',
  }),
  onWorkerLost: z
    .enum(['fail', 'continue'])
    .optional()
    .meta({
      description:
        'If the worker dies during the run: `fail` (default) ends it as `failed / WORKER_LOST`; with ' +
        '`continue` another worker continues the same Claude session. A worker that is shut down hands such ' +
        'a run over.',
    }),
  maxAttempts: z
    .int()
    .min(1)
    .max(ATTEMPTS_LIMIT)
    .optional()
    .meta({
      description:
        'Maximum number of attempts: further attempts follow transient failures of the Claude API and lost ' +
        'workers (`onWorkerLost`). Default 1, with `onWorkerLost: "continue"` 2. A hand-over and a wait for ' +
        'a rate limit do not count.',
    }),
  onPermissionDenied: z.enum(['report', 'fail']).optional().meta({
    description: '`fail`: a denied tool call ends the run as `failed / PERMISSION_DENIED`; default `report`.',
  }),
  onPermissionNeeded: z
    .enum(['deny', 'ask'])
    .optional()
    .meta({
      description:
        '`ask`: a tool call for which the CLI would ask a person waits as an approval (GET /approvals) instead of being ' +
        'denied, and Claude can ask questions and submit plans. Not with dontAsk. Default: ' +
        'CC_EXECUTOR_ON_PERMISSION_NEEDED.',
    }),
  approvalHoldSeconds: z
    .number()
    .min(0)
    .max(APPROVAL_TIMEOUT_LIMIT_SECONDS, `must not be more than ${APPROVAL_TIMEOUT_LIMIT_SECONDS}`)
    .optional()
    .meta({
      description:
        'How long a worker waits for a decision before the execution is parked as `waiting_approval`, where its call can ' +
        'be kept without a worker (`heldBecause` of the approval says why not). Default: ' +
        'CC_EXECUTOR_APPROVAL_HOLD_SECONDS.',
    }),
  approvalTimeoutSeconds: z
    .number()
    .positive('must be more than 0')
    .max(APPROVAL_TIMEOUT_LIMIT_SECONDS, `must not be more than ${APPROVAL_TIMEOUT_LIMIT_SECONDS}`)
    .optional()
    .meta({
      description:
        'How long an approval may wait for its decision; default 86400. The other clocks of the run stand still meanwhile.',
    }),
  onApprovalTimeout: z.enum(['deny', 'fail']).optional().meta({
    description:
      'Without a decision in time: `deny` (default) denies the call, `fail` ends the run as APPROVAL_TIMEOUT.',
  }),
  verify: Verify.optional(),
  metadata: Metadata.optional(),
  webhooks: z
    .array(text(64))
    .max(WEBHOOK_NAMES_LIMIT)
    .optional()
    .meta({
      description:
        'Ids of your webhooks that receive the events of this execution; default: all of them, `[]`: none. ' +
        'Webhooks for all tokens receive them in any case.',
    }),
} as const

/** What belongs to the list as a whole; everything else a task inherits from it, and may say anew for itself. */
const {
  command: _command,
  timeout: _timeout,
  workspace: _workspace,
  worktree: _worktree,
  repository: _repository,
  priority: _priority,
  session: _session,
  sandbox: _sandbox,
  ...taskFields
} = fields

const Task = z
  .union(
    [prompt, z.strictObject({ ...taskFields, prompt }).superRefine(requireOneMode)],
    'expected a prompt, or an object with a prompt',
  )
  .meta({
    id: 'Task',
    description: 'A prompt, or an object with a prompt and fields that override those of the list; labels are merged.',
  })

const taskListFields = {
  tasks: z
    .array(Task)
    .min(1, 'at least one task is required')
    .max(TASKS_LIMIT, `at most ${TASKS_LIMIT} tasks`)
    .optional()
    .meta({
      description:
        'Instead of `prompt`: a task list. The tasks run one after the other, each in a new Claude context, ' +
        'all in one workspace.',
      examples: [['Write hello.py', { prompt: 'Test hello.py', timeoutSeconds: 60 }]],
    }),
  onTaskFailure: z
    .enum(['stop', 'continue'])
    .optional()
    .meta({
      description:
        'Only with `tasks`: whether a task that did not succeed ends the list (`stop`, default) or the next ' +
        'task starts (`continue`).',
    }),
  timeout_per_task: z.int().positive().max(TIMEOUT_LIMIT_SECONDS).optional().meta({
    description: "Only with `tasks`: the original's name for `timeoutSeconds`, which applies to each task.",
  }),
}
const requestFields = { ...fields, ...taskListFields } as const

function requireOneMode(request: Pick<Asked, 'json' | 'outputSchema'>, context: z.RefinementCtx): void {
  if (request.json === false && request.outputSchema !== undefined)
    context.addIssue({
      code: 'custom',
      path: ['json'],
      message: 'must not be false with outputSchema, which implies JSON mode',
    })
}

interface Asked {
  readonly prompt?: unknown
  readonly command?: unknown
  readonly tasks?: unknown
  readonly session?: unknown
  readonly workspace?: unknown
  readonly worktree?: unknown
  readonly repository?: unknown
  readonly onTaskFailure?: unknown
  readonly timeout_per_task?: unknown
  readonly timeout?: unknown
  readonly timeoutSeconds?: unknown
  readonly json?: unknown
  readonly outputSchema?: unknown
}

export function requireExactlyOneTask(request: Asked, context: z.RefinementCtx): void {
  const addIssue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (request.prompt === undefined && request.command === undefined && request.tasks === undefined)
    addIssue('prompt', 'either prompt, command or tasks is required')
  if (request.prompt !== undefined && request.command !== undefined)
    addIssue('command', 'give either prompt or command, not both')
  for (const field of ['workspace', 'session'] as const)
    if (request.repository !== undefined && request[field] !== undefined)
      addIssue(
        field,
        field === 'session'
          ? 'cannot be combined with repository: the session continues in its own checkout'
          : 'give either repository or workspace, not both',
      )
  if (request.tasks !== undefined && request.session !== undefined)
    addIssue('session', 'cannot be combined with tasks: each task has a new context')
  if (request.tasks !== undefined)
    for (const field of ['prompt', 'command'] as const)
      if (request[field] !== undefined) addIssue(field, 'give either tasks or this, not both')
  for (const field of ['onTaskFailure', 'timeout_per_task'] as const)
    if (request[field] !== undefined && request.tasks === undefined) addIssue(field, 'is accepted only with tasks')
  if (request.timeout_per_task !== undefined && request.timeoutSeconds !== undefined)
    addIssue('timeout_per_task', 'give either timeout_per_task or timeoutSeconds, not both')
  if (request.timeout !== undefined && request.command === undefined)
    addIssue('timeout', 'is accepted only with command; write timeoutSeconds')
  if (request.timeout !== undefined && request.timeoutSeconds !== undefined)
    addIssue('timeout', 'give either timeout or timeoutSeconds, not both')
  if (request.worktree !== undefined && request.session !== undefined)
    addIssue('worktree', 'cannot be combined with session, which continues in its own workspace')
  else if (
    request.worktree !== undefined &&
    !(typeof request.workspace === 'string' && request.workspace.startsWith('/'))
  )
    addIssue('worktree', 'is accepted only with workspace as an absolute path')
  requireOneMode(request, context)
}

/** For generated schemas: what {@link requireExactlyOneTask} checks, said in JSON Schema. */
const exactlyOneTask = { oneOf: [{ required: ['prompt'] }, { required: ['command'] }, { required: ['tasks'] }] }

/**
 * What a caller asks for: the body of `POST /execute`. Exactly one of `prompt`, `command` and `tasks`; an unknown field
 * is an error.
 */
export const ExecuteRequest = z
  .strictObject(requestFields)
  .superRefine(requireExactlyOneTask)
  .meta({
    id: 'ExecuteRequest',
    description: 'Exactly one of `prompt`, `command` and `tasks`. Unknown fields are rejected by name.',
    examples: [{ prompt: 'Say hello' }],
    ...exactlyOneTask,
  })
export type ExecuteRequest = z.infer<typeof ExecuteRequest>

/** The params of the JSON-RPC method `execute`. */
export const ExecuteParams = z
  .strictObject({
    ...requestFields,
    subscribe: z
      .boolean()
      .optional()
      .meta({ description: 'Send the events on this connection, from seq 1; default true.' }),
    maxEventBytes: MaxEventBytes.optional(),
    idempotencyKey: z
      .string()
      .min(1)
      .max(IDEMPOTENCY_KEY_LIMIT)
      .optional()
      .meta({ description: 'Same as the header Idempotency-Key of POST /execute; both share one namespace.' }),
  })
  .superRefine(requireExactlyOneTask)
  .meta({
    id: 'ExecuteParams',
    description: 'An ExecuteRequest plus `subscribe`, `maxEventBytes` and `idempotencyKey`.',
    ...exactlyOneTask,
  })
export type ExecuteParams = z.infer<typeof ExecuteParams>
