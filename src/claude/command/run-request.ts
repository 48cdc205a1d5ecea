import { DEFAULT_TIMEOUT_SECONDS, ExecuteRequest } from '../../protocol/execute-request.js'
import { type ErrorCode, saysTooLarge, toFieldErrors, toInvalidRequest } from '../../protocol/errors.js'
import type { PermissionMode } from '../../protocol/permission-mode.js'
import { type CommandFlags, type OutputFormat, parseCommandFlags } from './command-flags.js'
import { findMcpFault } from './mcp-config.js'
import { splitCommandLine } from './split-command-line.js'

export type { OutputFormat } from './command-flags.js'

/** What Claude is to do and how: the same shape whether the caller wrote fields or a `claude …` command line. */
export interface RunRequest extends Pick<
  ExecuteRequest,
  | 'model'
  | 'fallbackModel'
  | 'effort'
  | 'systemPrompt'
  | 'appendSystemPrompt'
  | 'maxTurns'
  | 'maxBudgetUsd'
  | 'maxBudgetTokens'
  | 'permissionMode'
  | 'agents'
  | 'mcpServers'
  | 'mcpRequired'
  | 'idleTimeoutSeconds'
  | 'backgroundTimeoutSeconds'
  | 'queueTimeoutSeconds'
  | 'json'
  | 'outputSchema'
  | 'verify'
  | 'session'
  | 'onPermissionNeeded'
> {
  readonly prompt: string
  readonly allowedTools: readonly string[]
  readonly disallowedTools: readonly string[]
  readonly timeoutSeconds: number
  readonly literalPrompt: boolean
  /** Whether CLAUDE.md of the workspace reaches the model. */
  readonly projectInstructions: boolean
  readonly partialText: boolean
  readonly onPermissionDenied: 'report' | 'fail'
  readonly onApprovalTimeout: 'deny' | 'fail'
  readonly approvalTimeoutSeconds: number
  /** Absent: the operator's. */
  readonly approvalHoldSeconds?: number | undefined
  /** How often an answer that does not match its schema is sent back. */
  readonly maxRepairs: number
  readonly onWorkerLost: 'fail' | 'continue'
  readonly onBudgetExceeded: 'fail' | 'pause'
  /** How long it waits for a higher budget. */
  readonly budgetTimeoutSeconds: number
  /** How many attempts there may be, those apart that count for nothing. */
  readonly maxAttempts: number
  /** What a client of the original wants to read; only a `command` can say anything but `text`. */
  readonly outputFormat: OutputFormat
  /** Whether the CLI's partial messages are wanted as they are; only a `command` can ask for them. */
  readonly rawPartials: boolean
}

const DEFAULT_REPAIRS = 1
const DEFAULT_APPROVAL_TIMEOUT_SECONDS = 24 * 60 * 60
const DEFAULT_BUDGET_TIMEOUT_SECONDS = 24 * 60 * 60

/** What the operator has set for runs that do not say. */
export interface PermissionDefaults {
  readonly permissionMode: PermissionMode
  readonly onPermissionNeeded: 'deny' | 'ask'
}

/** Whether a person is asked: in dontAsk the operator's default asks nobody, and a request that asks is refused. */
export const asksPeople = (
  run: Pick<RunRequest, 'permissionMode' | 'onPermissionNeeded'>,
  defaults: PermissionDefaults,
): boolean =>
  (run.onPermissionNeeded ?? defaults.onPermissionNeeded) === 'ask' &&
  (run.permissionMode ?? defaults.permissionMode) !== 'dontAsk'

/** Linux takes no argument longer than 128 KiB; agents and MCP servers travel as one argument each. */
const ARGUMENT_LIMIT_BYTES = 120 * 1024
/** All rules together: far below the limit for a whole command line, whatever the environment's size. */
const RULES_LIMIT_BYTES = 256 * 1024

/**
 * Of one run: of a task list each task is one. Throws COMMAND_NOT_ALLOWED for a command that is refused,
 * INVALID_REQUEST and PAYLOAD_TOO_LARGE as parsing does.
 */
export function toRunRequest(request: ExecuteRequest): RunRequest {
  const flags = request.command === undefined ? undefined : readCommand(request.command, request)
  const asked = flags === undefined ? request : { ...request, ...flags.request }
  requireFit(asked)
  const {
    command: _command,
    timeout,
    workspace: _workspace,
    priority: _priority,
    metadata: _metadata,
    webhooks: _webhooks,
    tasks: _tasks,
    onTaskFailure: _onTaskFailure,
    timeout_per_task: _perTask,
    ...run
  } = asked
  return {
    ...run,
    prompt: asked.prompt ?? '',
    allowedTools: asked.allowedTools ?? [],
    disallowedTools: asked.disallowedTools ?? [],
    // What `auto` stands for was fixed at submission and stands in the record.
    timeoutSeconds:
      (asked.timeoutSeconds === 'auto' ? undefined : asked.timeoutSeconds) ?? timeout ?? DEFAULT_TIMEOUT_SECONDS,
    literalPrompt: asked.literalPrompt ?? true,
    projectInstructions: asked.projectInstructions ?? true,
    partialText: asked.partialText ?? true,
    onPermissionDenied: asked.onPermissionDenied ?? 'report',
    onApprovalTimeout: asked.onApprovalTimeout ?? 'deny',
    approvalTimeoutSeconds: asked.approvalTimeoutSeconds ?? DEFAULT_APPROVAL_TIMEOUT_SECONDS,
    maxRepairs: asked.maxRepairs ?? DEFAULT_REPAIRS,
    onWorkerLost: asked.onWorkerLost ?? 'fail',
    onBudgetExceeded: asked.onBudgetExceeded ?? 'fail',
    budgetTimeoutSeconds: asked.budgetTimeoutSeconds ?? DEFAULT_BUDGET_TIMEOUT_SECONDS,
    maxAttempts: asked.maxAttempts ?? (asked.onWorkerLost === 'continue' ? 2 : 1),
    outputFormat: flags?.outputFormat ?? 'text',
    rawPartials: flags?.outputFormat === 'stream-json' && flags.includePartialMessages,
  }
}

const runs = new WeakMap<ExecuteRequest, RunRequest>()

/**
 * The run that a request means, parsed once for each request that was sent or read from a record. Throws as
 * toRunRequest does, for what submission refuses.
 */
export function runOf({ request }: { readonly request: ExecuteRequest }): RunRequest {
  const known = runs.get(request)
  if (known) return known
  const run = toRunRequest(request)
  runs.set(request, run)
  return run
}

/** The same request in fields: without a command line. */
export function toFields(request: ExecuteRequest): ExecuteRequest {
  if (request.command === undefined) return request
  const { command, timeout, timeoutSeconds = timeout, ...rest } = request
  return { ...rest, timeoutSeconds, ...readCommand(command, request).request }
}

/** The conversation that a request continues, named by its field or by `--resume` of its command. */
export const sessionOf = (request: ExecuteRequest): RunRequest['session'] =>
  request.command === undefined ? request.session : runOf({ request }).session

function readCommand(
  command: string,
  beside: ExecuteRequest,
): Omit<CommandFlags, 'request'> & { request: ExecuteRequest } {
  const flags = parseCommandFlags(splitCommandLine(command))
  const given = new Set(Object.entries(beside).flatMap(([field, value]) => (value === undefined ? [] : field)))
  const twice = Object.keys(flags.request).filter((field) => given.has(field))
  if (twice.length > 0)
    throw refuseCommand(
      twice.map(
        (field) => `${flags.origin[field] ?? field} is given in the command and as the field ${field}: give it once`,
      ),
    )

  // The flags' values pass the very schemas of the fields, so that a command can say nothing that fields cannot.
  const parsed = ExecuteRequest.safeParse(flags.request)
  if (parsed.success) return { ...flags, request: parsed.data }
  const messages = toFieldErrors(parsed.error).map(
    ({ path, message }) => `${path.replace(/^\w+/, (field) => flags.origin[field] ?? field)}: ${message}`,
  )
  throw refuseCommand(messages, saysTooLarge(parsed.error) ? 'PAYLOAD_TOO_LARGE' : 'COMMAND_NOT_ALLOWED')
}

function refuseCommand(messages: readonly string[], code: ErrorCode = 'COMMAND_NOT_ALLOWED') {
  return toInvalidRequest(
    messages.map((message) => ({ path: 'command', message })),
    code,
  )
}

function requireFit(asked: ExecuteRequest): void {
  const { agents, mcpServers, mcpRequired, allowedTools, disallowedTools } = asked
  if (!agents && !mcpServers && !mcpRequired && !allowedTools && !disallowedTools) return
  const sizes = [
    {
      path: 'agents',
      bytes: asked.agents === undefined ? 0 : Buffer.byteLength(JSON.stringify(asked.agents)),
      limit: ARGUMENT_LIMIT_BYTES,
    },
    {
      path: 'mcpServers',
      bytes: asked.mcpServers === undefined ? 0 : Buffer.byteLength(JSON.stringify(asked.mcpServers)),
      limit: ARGUMENT_LIMIT_BYTES,
    },
    { path: 'allowedTools', bytes: byteLengthOf(asked.allowedTools), limit: RULES_LIMIT_BYTES },
    { path: 'disallowedTools', bytes: byteLengthOf(asked.disallowedTools), limit: RULES_LIMIT_BYTES },
  ]
  const errors = sizes
    .filter(({ bytes, limit }) => bytes > limit)
    .map(({ path, limit }) => ({ path, message: `must not be longer than ${limit} bytes in total` }))
  if (errors.length > 0) throw toInvalidRequest(errors, 'PAYLOAD_TOO_LARGE')
  const fault = asked.mcpServers && findMcpFault(asked.mcpServers)
  if (fault !== undefined) throw toInvalidRequest([{ path: 'mcpServers', message: fault }])
  const named = Array.isArray(asked.mcpRequired) ? asked.mcpRequired : []
  const unknown = named.filter((name) => !Object.hasOwn(asked.mcpServers ?? {}, name))
  if (unknown.length > 0)
    throw toInvalidRequest([
      { path: 'mcpRequired', message: `names servers that are not in mcpServers: ${unknown.join(', ')}` },
    ])
}

function byteLengthOf(rules: readonly string[] = []): number {
  return rules.reduce((sum, rule) => sum + Buffer.byteLength(rule), 0)
}
