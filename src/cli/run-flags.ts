import { ExecuteRequest } from '../protocol/execute-request.js'
import { PROMPT_LIMIT_BYTES } from '../protocol/limits.js'
import { parseNumber } from '../protocol/numbers.js'
import { toFieldErrors } from '../protocol/errors.js'
import { toAttachments } from './attach.js'
import { toMetadata, UsageError } from './command.js'
import { REPOSITORY_FLAGS, REPOSITORY_USAGE, toRepository } from './repository-flags.js'

const one = { type: 'string' } as const
const many = { type: 'string', multiple: true } as const
const flag = { type: 'boolean' } as const

/** The request's fields as flags; what wants much JSON (agents) is left to the API. */
export const REQUEST_FLAGS = {
  model: one,
  'fallback-model': one,
  effort: one,
  'system-prompt': one,
  'append-system-prompt': one,
  'max-turns': one,
  'max-budget-usd': one,
  'max-budget-tokens': one,
  'on-budget-exceeded': one,
  'budget-timeout': one,
  'allowed-tools': many,
  'disallowed-tools': many,
  'permission-mode': one,
  'on-permission-denied': one,
  'on-permission-needed': one,
  'approval-hold': one,
  'approval-timeout': one,
  'on-approval-timeout': one,
  'mcp-config': one,
  'mcp-required': many,
  'no-project-instructions': flag,
  'json-mode': flag,
  'output-schema': one,
  'max-repairs': one,
  'on-worker-lost': one,
  'max-attempts': one,
  sandbox: one,
  'network-host': many,
  workspace: one,
  worktree: one,
  'worktree-branch': one,
  ...REPOSITORY_FLAGS,
  resume: one,
  fork: flag,
  timeout: one,
  'idle-timeout': one,
  'background-timeout': one,
  'queue-timeout': one,
  priority: one,
  'on-task-failure': one,
  metadata: many,
  attach: many,
} as const

export const REQUEST_USAGE = `  --model NAME, --fallback-model NAME, --effort low|medium|high|xhigh|max
  --system-prompt TEXT, --append-system-prompt TEXT
  --max-turns N, --max-budget-usd USD, --max-budget-tokens N
  --on-budget-exceeded fail|pause pause: it is parked, and continues when the budget command raises it
  --budget-timeout SECONDS        how long it is parked before it fails; default a day
  --allowed-tools RULE            as the CLI writes them: "Read,Bash(npm test:*)" (repeatable)
  --disallowed-tools RULE
  --permission-mode MODE          default, manual, acceptEdits, plan, dontAsk, auto,
                                  bypassPermissions
  --on-permission-denied report|fail
                                  fail: a denied tool call fails the run, with exit code 1
  --on-permission-needed deny|ask
                                  ask: what needs a permission waits for a decision (cc-executor approvals); run returns
                                  with exit code 75, unless it asks itself (--ask)
  --approval-hold SECONDS         how long a worker waits for a decision before the run is parked
  --approval-timeout SECONDS, --on-approval-timeout deny|fail
  --mcp-config JSON               {"mcpServers":{"NAME":{"type":"http","url":"…"}}}
  --mcp-required all|NAME         servers that must be connected before the run starts (repeatable)
  --json-mode                     the answer is an object: result, files_created, files_modified, summary, execution_uuid
  --output-schema JSON            the answer matches this JSON Schema
  --max-repairs N                 how many times an invalid answer is sent back
  --on-worker-lost fail|continue, --max-attempts N
  --sandbox host|workspace|locked sandbox level of the run; raised to the operator's level
  --network-host HOST             under locked, within the operator's (repeatable)
  --no-project-instructions       CLAUDE.md of the workspace is not passed to the model
  --workspace FOLDER              a lasting folder below the service's workspace folder; with ./, ../ or /: a local path
  --worktree REF [--worktree-branch NAME]
                                  with --here or --workspace /DIR: in a separate git worktree, created from REF
${REPOSITORY_USAGE}
  --resume ID [--fork]            continues an earlier execution or Claude session, in its workspace; --fork: in a copy
  --timeout SECONDS|auto          auto: estimated from earlier runs
  --idle-timeout SECONDS, --queue-timeout SECONDS
  --background-timeout SECONDS    how long background tasks may run after the answer; 0 stops them with it
  --priority low|normal|high
  --on-task-failure stop|continue
  --attach FILE                   an image or a PDF for the model, with the prompt (repeatable)
  --label LABEL=VALUE             for list, wait and reports (also --metadata) (repeatable)`

export type RequestFlags = {
  readonly [Name in keyof typeof REQUEST_FLAGS]?: (typeof REQUEST_FLAGS)[Name] extends { multiple: true }
    ? string[]
    : (typeof REQUEST_FLAGS)[Name] extends { type: 'boolean' }
      ? boolean
      : string
}

/** `Read,Bash(git log:*, -p)`: commas within parentheses belong to the rule. */
const splitRules = (texts: readonly string[]): string[] =>
  texts
    .flatMap((text) => text.match(/(?:\([^)]*\)|[^,(])+/g) ?? [])
    .map((rule) => rule.trim())
    .filter((rule) => rule !== '')

/** @throws UsageError */
function toJson(text: string, flag: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${flag}: is not valid JSON (${error instanceof Error ? error.message : String(error)})`)
  }
}

const toSchema = (text: string): unknown => toJson(text, '--output-schema')

/** As `claude` takes them. @throws UsageError */
function toMcpServers(text: string): unknown {
  const config = toJson(text, '--mcp-config')
  if (typeof config !== 'object' || config === null || !('mcpServers' in config))
    throw new UsageError('--mcp-config: an object with the key mcpServers is expected')
  return config.mcpServers
}

/** Flag → field of the request. */
export const FIELDS: {
  readonly [
    Name in Exclude<keyof typeof REQUEST_FLAGS, 'fork' | 'worktree-branch' | keyof typeof REPOSITORY_FLAGS>
  ]: readonly [keyof ExecuteRequest, ((value: never) => unknown)?]
} = {
  model: ['model'],
  'fallback-model': ['fallbackModel'],
  effort: ['effort'],
  'system-prompt': ['systemPrompt'],
  'append-system-prompt': ['appendSystemPrompt'],
  'max-turns': ['maxTurns', parseNumber],
  'max-budget-usd': ['maxBudgetUsd', parseNumber],
  'max-budget-tokens': ['maxBudgetTokens', parseNumber],
  'on-budget-exceeded': ['onBudgetExceeded'],
  'budget-timeout': ['budgetTimeoutSeconds', parseNumber],
  'allowed-tools': ['allowedTools', splitRules],
  'disallowed-tools': ['disallowedTools', splitRules],
  'permission-mode': ['permissionMode'],
  'on-permission-denied': ['onPermissionDenied'],
  'on-permission-needed': ['onPermissionNeeded'],
  'approval-hold': ['approvalHoldSeconds', parseNumber],
  'approval-timeout': ['approvalTimeoutSeconds', parseNumber],
  'on-approval-timeout': ['onApprovalTimeout'],
  'mcp-config': ['mcpServers', toMcpServers],
  'mcp-required': ['mcpRequired', (names: string[]) => names.includes('all') || names],
  'no-project-instructions': ['projectInstructions', () => false],
  'json-mode': ['json'],
  'output-schema': ['outputSchema', toSchema],
  'max-repairs': ['maxRepairs', parseNumber],
  'on-worker-lost': ['onWorkerLost'],
  'max-attempts': ['maxAttempts', parseNumber],
  sandbox: ['sandbox'],
  'network-host': ['network', (hosts: string[]) => ({ hosts })],
  workspace: ['workspace'],
  worktree: ['worktree', (ref: string) => ({ ref })],
  resume: ['session', (resume: string) => ({ resume })],
  timeout: ['timeoutSeconds', (text: string) => (text === 'auto' ? text : parseNumber(text))],
  'idle-timeout': ['idleTimeoutSeconds', parseNumber],
  'background-timeout': ['backgroundTimeoutSeconds', parseNumber],
  'queue-timeout': ['queueTimeoutSeconds', parseNumber],
  priority: ['priority'],
  'on-task-failure': ['onTaskFailure'],
  metadata: ['metadata', toMetadata],
  attach: ['attachments', toAttachments],
}

/** The request, checked here already, so that an error names the flag and needs no service. @throws UsageError */
export function toRequest(what: Pick<ExecuteRequest, 'prompt' | 'tasks'>, flags: RequestFlags): ExecuteRequest {
  const entries = Object.entries(FIELDS).flatMap(([name, [field, convert]]) => {
    const value = flags[name as keyof RequestFlags]
    // Safe: a converter takes what parseArgs gives for its flag: a list for `many`, else a text.
    return value === undefined ? [] : [[field, convert ? convert(value as never) : value]]
  })
  if (flags.fork && flags.resume === undefined)
    throw new UsageError('--fork needs --resume with the id of the execution or session to fork')
  if (flags['worktree-branch'] !== undefined && flags.worktree === undefined)
    throw new UsageError('--worktree-branch needs --worktree with the branch, tag or commit to begin at')
  const worktree =
    flags['worktree-branch'] === undefined
      ? {}
      : { worktree: { ref: flags.worktree, branch: flags['worktree-branch'] } }
  const session = flags.fork ? { session: { resume: flags.resume, fork: true } } : {}
  const repository = toRepository(flags)
  const parsed = ExecuteRequest.safeParse({
    ...what,
    ...Object.fromEntries(entries),
    ...worktree,
    ...session,
    repository,
  })
  if (parsed.success) return parsed.data
  const flagOf = new Map<string, string>([
    ...Object.entries(FIELDS).map(([name, [field]]) => [field, `--${name}`] as const),
    ['repository', '--repo'],
  ])
  throw new UsageError(
    toFieldErrors(parsed.error)
      .map(({ path, message }) => `${flagOf.get(path.split(/[.[]/)[0] ?? '') ?? path}: ${message}`)
      .join('; '),
  )
}

export async function readInput(): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > PROMPT_LIMIT_BYTES)
      throw new UsageError(`the prompt on standard input is longer than ${PROMPT_LIMIT_BYTES} bytes`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new UsageError('the prompt on standard input is not UTF-8')
  }
}

/** The argument, or standard input: for `-`, and where there is no argument and no terminal. @throws UsageError */
export async function readPrompt(positionals: readonly string[]): Promise<string> {
  const [given, ...others] = positionals
  if (others.length > 0) throw new UsageError('give the prompt as one argument, in quotes')
  if (given !== undefined && given !== '-') return given
  if (given === undefined && process.stdin.isTTY)
    throw new UsageError('the prompt is missing: give it as an argument, or on standard input')
  const text = await readInput()
  if (text.trim() === '') throw new UsageError('the prompt is empty')
  return text
}
