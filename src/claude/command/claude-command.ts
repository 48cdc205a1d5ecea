import { join } from 'node:path'
import { TIMEOUT_LIMIT_SECONDS } from '../../protocol/limits.js'
import type { PermissionMode } from '../../protocol/permission-mode.js'
import { NOTHING_APPROVED, type ApprovedPermissions } from './approved-permissions.js'
import type { AwaitedCall } from './asking-hook.js'
import type { ContentBlock } from './content-block.js'
import { childEnvironment, type ChildEnvironment } from './child-environment.js'
import type { Credentials } from './claude-credentials.js'
import { toInputFiles, toSetUp } from './run-input.js'
import { asksPeople, type RunRequest } from './run-request.js'

export interface ClaudeSettings {
  readonly binary: string
  /** The session of this run: opened, unless `resume` says where it comes from. */
  readonly sessionId: string
  /** The session to go on with; where that is another one, `sessionId` begins as its copy. */
  readonly resume?: string
  readonly workspace: string
  readonly home: string
  readonly tmpDir: string
  /** Where the run finds its files. */
  readonly input: string
  readonly credentials: Credentials
  readonly trace?: ChildEnvironment['trace']
  readonly hasTelemetry?: boolean
  /** The service's own environment, of which the run sees an allow-listed part. */
  readonly env: NodeJS.ProcessEnv
  /** Names of further variables that the operator lets through. */
  readonly childEnv: readonly string[]
  readonly defaultPermissionMode: PermissionMode
  /** Of runs that do not say; absent: deny. */
  readonly defaultOnPermissionNeeded?: 'deny' | 'ask'
  /** By people, in the attempts before this one. */
  readonly approved?: ApprovedPermissions
  readonly extraAllowedTools: readonly string[]
  readonly trustWorkspaces: boolean
  /** What CLAUDE.md says; it stands before what the request appends to the system prompt. */
  readonly instructions?: string | undefined
  /** Of a run that names none, where the CLI's own choice depends on the kind of credential. */
  readonly defaultModel?: string | undefined
  /** How long the CLI tries to connect to the servers of the request, in place of its own 30 s. */
  readonly mcpTimeoutSeconds?: number
  readonly simulatorUrl?: string
  /** JSON mode: the schema that the CLI enforces, and what the model is told beside it. */
  readonly answer?: { readonly schema: Readonly<Record<string, unknown>>; readonly instruction?: string } | undefined
  /** The operator's hooks on Claude's own events, in the format of its settings. */
  readonly hooks?: Readonly<Record<string, unknown>>
  /** A call that the session holds and that was decided on: the CLI must ask about it, whatever its rules say. */
  readonly awaited?: AwaitedCall | undefined
  /** What the model is given with the prompt. */
  readonly attached?: readonly ContentBlock[]
  readonly asRoot: boolean
  /** Whether the CLI knows `--system-prompt-snapshot` (ClaudeBehaviour). */
  readonly knowsPromptSnapshot: boolean
}

export interface ClaudeCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Record<string, string>
  /**
   * The command line for the log: no system prompts, no definitions, no path of the host, and no prompt. What goes by
   * `setUpLine` is shown as the flags that it stands for.
   */
  readonly argv: readonly string[]
  /** What stands in files of the run's input folder, since every user of the host can read a command line. */
  readonly files: ReadonlyArray<{ readonly name: string; readonly content: string }>
  /** A line that comes before the first one, and before the CLI is asked anything else. */
  readonly setUpLine?: string
  /** The user's message for standard input, which then stays open until the final `result`. */
  readonly firstLine: string
}

/**
 * How long the CLI may wait for background tasks: longer than any timeout and the pauses of a run, as our clocks are
 * those that end it; the same for every run, since one that stands by has none of its own.
 */
const WAIT_CEILING_MS = (TIMEOUT_LIMIT_SECONDS + 24 * 60 * 60) * 1_000

/**
 * Read by the CLI before each command of its Bash tool. It gives a command /dev/null to read, but not where the command
 * has a `<` of its own, as a here-document has: what comes after that would read an input that never ends
 * (anthropics/claude-code#58938; measured with 2.1.197 and 2.1.332).
 */
const SHELL_START = { name: 'shell-start', content: 'exec </dev/null\n' }

interface Argument {
  readonly text: string
  readonly shown?: string
}

/**
 * The child as design/executions.md describes it. Every value is written as `--flag=value`: so the CLI's parser
 * takes none for a flag, and a variadic flag swallows nothing that follows.
 */
export function claudeCommand(run: RunRequest, settings: ClaudeSettings): ClaudeCommand {
  const { approved = NOTHING_APPROVED } = settings
  const permissionMode = toCliMode(approved.mode ?? run.permissionMode ?? settings.defaultPermissionMode)
  const asks = asksPeople(run, {
    permissionMode: settings.defaultPermissionMode,
    onPermissionNeeded: settings.defaultOnPermissionNeeded ?? 'deny',
  })
  const files = toInputFiles(run, settings)
  const setUp = toSetUp(run, settings)
  const list: Argument[] = [
    { text: '-p' },
    { text: '--input-format=stream-json' },
    { text: '--output-format=stream-json' },
    { text: '--verbose' },
    // Each line is repeated when the model is about to read it.
    { text: '--replay-user-messages' },
    ...(run.partialText || run.rawPartials ? [{ text: '--include-partial-messages' }] : []),
    ...toSessionFlags(settings),
    // By default a resumed or forked session is sent the system prompt of its first request again, whatever this run
    // asks for.
    ...(settings.knowsPromptSnapshot ? [{ text: '--system-prompt-snapshot=off' }] : []),
    { text: `--permission-mode=${permissionMode}` },
    ...toAskingFlags(asks, permissionMode),
    // Settings come by `--settings` alone: a repository's own run programs as soon as the CLI starts in it, and those
    // of HOME (`user`) a run can write itself.
    ...(settings.trustWorkspaces
      ? [{ text: '--setting-sources=project,local' }]
      : [{ text: '--setting-sources=' }, { text: '--strict-mcp-config' }]),
    ...option('--model', run.model ?? toDefaultModel(settings)),
    ...option('--fallback-model', run.fallbackModel),
    ...option('--effort', run.effort),
    ...option('--max-turns', run.maxTurns),
    ...option('--max-budget-usd', run.maxBudgetUsd),
    // One flag for each rule: an unclosed parenthesis in one cannot reach into the next.
    ...[...settings.extraAllowedTools, ...run.allowedTools, ...approved.rules].map((rule) => ({
      text: `--allowedTools=${rule}`,
    })),
    ...approved.directories.map((directory) => ({ text: `--add-dir=${directory}` })),
    ...run.disallowedTools.map((rule) => ({ text: `--disallowedTools=${rule}` })),
    ...files.map(({ flag, name, shown }) => ({
      text: `${flag}=${join(settings.input, name)}`,
      shown: `${flag}=<${shown}>`,
    })),
    ...(settings.hooks && Object.keys(settings.hooks).length > 0 ? [{ text: '--include-hook-events' }] : []),
  ]
  const env: Record<string, string> = {
    ...childEnvironment({ ...settings, bypassAsRoot: settings.asRoot && permissionMode === 'bypassPermissions' }),
    CLAUDE_ENV_FILE: join(settings.input, SHELL_START.name),
    // With it the CLI names the reason of a refusal to start in a `result`, and not only on standard error.
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
    // How long the CLI waits for background tasks once its standard input is closed; its own limit is ten minutes.
    CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS: String(WAIT_CEILING_MS),
  }
  if (run.mcpServers && settings.mcpTimeoutSeconds !== undefined)
    env['MCP_TIMEOUT'] = String(settings.mcpTimeoutSeconds * 1_000)
  // Trusted, the CLI reads CLAUDE.md by itself.
  if (settings.trustWorkspaces && !run.projectInstructions) env['CLAUDE_CODE_DISABLE_CLAUDE_MDS'] = '1'
  return {
    file: settings.binary,
    args: list.map(({ text }) => text),
    env,
    argv: ['claude', ...list.map(({ text, shown }) => shown ?? text), ...setUp.shown],
    files: [SHELL_START, ...files.map(({ name, content }) => ({ name, content }))],
    setUpLine: setUp.line,
    firstLine: toUserLine(run, settings.attached),
  }
}

/**
 * The CLI asks on standard output, and has the tools that ask. A run that was launched to bypass permissions must not
 * get into plan mode: 2.1.197 then executes there what it should only plan (measured).
 */
function toAskingFlags(asks: boolean, permissionMode: string): Argument[] {
  if (!asks) return []
  const prompt = { text: '--permission-prompt-tool=stdio' }
  return permissionMode === 'bypassPermissions' ? [prompt, { text: '--disallowedTools=EnterPlanMode' }] : [prompt]
}

/** The operator's own choice of models comes by these variables, and is the CLI's to read. */
const MODEL_CHOICE = /^ANTHROPIC_(?:DEFAULT_\w+_)?MODEL$/

function toDefaultModel({ defaultModel, env }: ClaudeSettings): string | undefined {
  const isChosen = Object.entries(env).some(([name, value]) => MODEL_CHOICE.test(name) && Boolean(value))
  return isChosen ? undefined : defaultModel
}

/** The newer CLI's other name for `default` is none to the older one. */
function toCliMode(mode: PermissionMode): Exclude<PermissionMode, 'manual'> {
  return mode === 'manual' ? 'default' : mode
}

function toSessionFlags({ sessionId, resume }: Pick<ClaudeSettings, 'sessionId' | 'resume'>): Argument[] {
  if (resume === sessionId) return [{ text: `--resume=${sessionId}` }]
  const own = { text: `--session-id=${sessionId}` }
  return resume === undefined ? [own] : [{ text: `--resume=${resume}` }, { text: '--fork-session' }, own]
}

function option(flag: string, value: string | number | undefined): Argument[] {
  return value === undefined ? [] : [{ text: `${flag}=${toPlainText(value)}` }]
}

/** Numbers without an exponent: the CLI reads `1e-7` wrongly or not at all. */
function toPlainText(value: string | number): string {
  return typeof value === 'string' || Number.isInteger(value) ? String(value) : value.toFixed(12).replace(/0+$/, '')
}

/**
 * The CLI looks for slash commands and @file attachments in the last text block of a message only (measured,
 * shared/facts/claude-cli.md section 3). So a literal prompt is followed by a short block of our own.
 */
const CLOSING = { type: 'text', text: '(end of the task)' }

export interface MessageLine {
  readonly text: string
  readonly attached?: readonly ContentBlock[]
  /** It becomes a turn of its own and joins none. */
  readonly later?: boolean
}

/**
 * A further message for a run that goes on. The CLI repeats its id, and runs what has the same id once. A line that
 * joins a turn loses its documents, though the CLI repeats it whole (measured, 2.1.197 and 2.1.332).
 */
export const toMessageLine = (id: string, { text, attached = [], later }: MessageLine): string =>
  toLine([...attached, { type: 'text', text }, CLOSING], { uuid: id, priority: later === true ? 'later' : undefined })

/** Takes back a message that the CLI has not begun to read. */
export const toCancelLine = (id: string): string =>
  `${JSON.stringify({
    type: 'control_request',
    request_id: `take-back-${id}`,
    request: { subtype: 'cancel_async_message', message_uuid: id },
  })}\n`

/** A message of the user's for standard input. */
export function toUserLine(
  { prompt, literalPrompt }: Pick<RunRequest, 'prompt' | 'literalPrompt'>,
  attached: readonly ContentBlock[] = [],
): string {
  const block = { type: 'text', text: prompt }
  return toLine(literalPrompt ? [...attached, block, CLOSING] : [...attached, block])
}

const toLine = (content: readonly object[], extra: object = {}): string =>
  `${JSON.stringify({ type: 'user', ...extra, message: { role: 'user', content } })}\n`
