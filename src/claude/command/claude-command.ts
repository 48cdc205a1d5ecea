import { join } from 'node:path'
import type { PermissionMode } from '../../protocol/execute-request.js'
import { childEnvironment } from './child-environment.js'
import type { Credentials } from './claude-credentials.js'
import { toMcpConfig } from './mcp-config.js'
import type { RunRequest } from './run-request.js'

export interface ClaudeSettings {
  readonly binary: string
  /** The session of this run: opened, unless `resume` says where it comes from. */
  readonly sessionId: string
  /** The session to go on with; where that is another one, `sessionId` begins as its copy. */
  readonly resume?: string
  readonly workspace: string
  readonly home: string
  readonly tmpDir: string
  readonly credentials: Credentials
  /** The service's own environment, of which the run sees an allow-listed part. */
  readonly env: NodeJS.ProcessEnv
  /** Names of further variables that the operator lets through. */
  readonly childEnv: readonly string[]
  readonly defaultPermissionMode: PermissionMode
  readonly extraAllowedTools: readonly string[]
  readonly trustWorkspaces: boolean
  /** What CLAUDE.md says, by a file below HOME that is to be written before the start (ClaudeCommand.homeFile). */
  readonly instructions?: { readonly text: string; readonly file: string } | undefined
  /** Of a run that names none, where the CLI's own choice depends on the kind of credential. */
  readonly defaultModel?: string | undefined
  /** How long the CLI tries to connect to the servers of the request, in place of its own 30 s. */
  readonly mcpTimeoutSeconds?: number
  readonly simulatorUrl?: string
  /** JSON mode: the schema that the CLI enforces, and what the model is told beside it. */
  readonly answer?: { readonly schema: Readonly<Record<string, unknown>>; readonly instruction?: string } | undefined
  /** The operator's hooks on Claude's own events, in the format of its settings. */
  readonly hooks?: Readonly<Record<string, unknown>>
  readonly asRoot: boolean
  /** Whether the CLI knows `--system-prompt-snapshot` (ClaudeBehaviour). */
  readonly knowsPromptSnapshot: boolean
}

export interface ClaudeCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Record<string, string>
  /**
   * The command line for the log: no system prompts, no definitions, no path of the host, and no prompt, which is never
   * in it.
   */
  readonly argv: readonly string[]
  /** The user's message for standard input, which then stays open until the final `result`. */
  readonly firstLine: string
  /** Below HOME; to be there before the start. */
  readonly homeFile?: { readonly path: string; readonly content: string }
}

/** Beyond the run's own timeout, since a run may be paused: our clocks are those that end it. */
const PAUSE_LIMIT_MS = 24 * 60 * 60 * 1_000

interface Argument {
  readonly text: string
  readonly shown?: string
}

/**
 * The child as design/executions.md describes it. Every value is written as `--flag=value`: so the CLI's parser
 * takes none for a flag, and a variadic flag swallows nothing that follows.
 */
export function claudeCommand(run: RunRequest, settings: ClaudeSettings): ClaudeCommand {
  const permissionMode = toCliMode(run.permissionMode ?? settings.defaultPermissionMode)
  const mcp = run.mcpServers === undefined ? undefined : toMcpConfig(run.mcpServers)
  const { instructions, home } = settings
  const appended = joinPrompts(instructions?.text, run.appendSystemPrompt, settings.answer?.instruction)
  const list: Argument[] = [
    { text: '-p' },
    { text: '--input-format=stream-json' },
    { text: '--output-format=stream-json' },
    { text: '--verbose' },
    ...(run.partialText || run.rawPartials ? [{ text: '--include-partial-messages' }] : []),
    ...toSessionFlags(settings),
    // By default a resumed or forked session is sent the system prompt of its first request again, whatever this run
    // asks for.
    ...(settings.knowsPromptSnapshot ? [{ text: '--system-prompt-snapshot=off' }] : []),
    { text: `--permission-mode=${permissionMode}` },
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
    ...[...settings.extraAllowedTools, ...run.allowedTools].map((rule) => ({ text: `--allowedTools=${rule}` })),
    ...run.disallowedTools.map((rule) => ({ text: `--disallowedTools=${rule}` })),
    ...hidden('--system-prompt', run.systemPrompt, (text) => `${Buffer.byteLength(text)} bytes`),
    // One of the two: the older CLI refuses both at once. A file has no limit of length.
    ...(instructions && appended !== undefined
      ? hidden(
          '--append-system-prompt-file',
          join(home, instructions.file),
          () => `${Buffer.byteLength(appended)} bytes`,
        )
      : hidden('--append-system-prompt', appended, (text) => `${Buffer.byteLength(text)} bytes`)),
    ...hidden('--agents', run.agents && JSON.stringify(run.agents), () => Object.keys(run.agents ?? {}).join(', ')),
    ...hidden(
      '--json-schema',
      settings.answer && JSON.stringify(settings.answer.schema),
      (text) => `${Buffer.byteLength(text)} bytes`,
    ),
    ...toHookFlags(settings.hooks ?? {}),
    ...hidden('--mcp-config', mcp?.json, () => Object.keys(run.mcpServers ?? {}).join(', ')),
  ]
  const env = childEnvironment({ ...settings, bypassAsRoot: settings.asRoot && permissionMode === 'bypassPermissions' })
  return {
    file: settings.binary,
    args: list.map(({ text }) => text),
    env: {
      ...env,
      // With it the CLI names the reason of a refusal to start in a `result`, and not only on standard error.
      CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
      // How long the CLI waits for background tasks once its standard input is closed; its own limit is ten minutes.
      CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS: String(Math.ceil(run.timeoutSeconds * 1_000) + PAUSE_LIMIT_MS),
      ...(mcp &&
        settings.mcpTimeoutSeconds !== undefined && { MCP_TIMEOUT: String(settings.mcpTimeoutSeconds * 1_000) }),
      // Trusted, the CLI reads CLAUDE.md by itself.
      ...(settings.trustWorkspaces && !run.projectInstructions && { CLAUDE_CODE_DISABLE_CLAUDE_MDS: '1' }),
      ...mcp?.env,
    },
    argv: ['claude', ...list.map(({ text, shown }) => shown ?? text)],
    firstLine: toUserLine(run),
    ...(instructions && appended !== undefined && { homeFile: { path: instructions.file, content: appended } }),
  }
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

/** With the second flag the stream tells of each run of theirs. */
function toHookFlags(hooks: Readonly<Record<string, unknown>>): Argument[] {
  const events = Object.keys(hooks)
  return events.length === 0
    ? []
    : [
        ...hidden('--settings', JSON.stringify({ hooks }), () => `hooks: ${events.join(', ')}`),
        { text: '--include-hook-events' },
      ]
}

function joinPrompts(...prompts: ReadonlyArray<string | undefined>): string | undefined {
  const given = prompts.filter((prompt) => prompt !== undefined)
  return given.length === 0 ? undefined : given.join('\n\n')
}

function hidden(flag: string, value: string | undefined, describe: (value: string) => string): Argument[] {
  return value === undefined ? [] : [{ text: `${flag}=${value}`, shown: `${flag}=<${describe(value)}>` }]
}

/** Numbers without an exponent: the CLI reads `1e-7` wrongly or not at all. */
function toPlainText(value: string | number): string {
  return typeof value === 'string' || Number.isInteger(value) ? String(value) : value.toFixed(12).replace(/0+$/, '')
}

/**
 * The CLI looks for slash commands and @file attachments in the last text block of a message only (measured,
 * shared/facts/claude-cli.md section 3). So a literal prompt is followed by a short block of our own.
 */
const CLOSING_BLOCK = '(end of the task)'

/** A message of the user's for standard input. */
export function toUserLine({ prompt, literalPrompt }: Pick<RunRequest, 'prompt' | 'literalPrompt'>): string {
  const blocks = literalPrompt ? [prompt, CLOSING_BLOCK] : [prompt]
  const content = blocks.map((text) => ({ type: 'text', text }))
  return `${JSON.stringify({ type: 'user', message: { role: 'user', content } })}\n`
}
