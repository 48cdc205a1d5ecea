import { isAbsolute, join, relative } from 'node:path'
import { NO_SETTING } from '../../protocol/denials.js'
import type { PermissionDenial } from '../../protocol/execution.js'
import { shorten, toJson, toText } from '../json-shape.js'

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly input: Record<string, unknown>
}

/** Where the call was made, as the CLI's `system/init` told. */
export interface Situation {
  readonly permissionMode?: string | undefined
  readonly workspace?: string | undefined
}

export const INPUT_SHOWN = 2_000
const HOOK_SHOWN = 500

/** What the newer CLI says of a decision beside its words. */
export interface Decision {
  readonly source?: string | undefined
  readonly reasonType?: string | undefined
}

const OF_A_MODE =
  /^(?:Cannot write to .+ while in plan mode|Auto mode is unavailable|Permission for this action was denied by the Claude Code auto mode classifier)/s
const OF_A_RULE =
  /^(?:Permission to use .+ with .+ has been denied\.$|<tool_use_error>File is (?:in a directory that is denied by|covered by an? \w+ deny rule in) your permission settings)/s
/** Its command stands before its words where it refused by its exit code. */
const OF_A_HOOK = /^(PreToolUse:\S+) hook error: (.*)/s
/** The path of a command that is named in the refusal. Of what is only read "was blocked" is said, by both versions. */
const BLOCKED_PATH =
  /^(?:Output redirection to|\w[\w.-]* in) '(.+?)' (?:was blocked\. For security, Claude Code may only (\w+)|needs approval\.)/s
const WRITING = new Set(['create', 'write', 'remove', 'delete', 'move', 'modify', 'change', 'edit'])

/** What the CLI answers a call that lacks a permission; anchored, so that a tool's own output is not taken for it. */
const DENIALS = [OF_A_MODE, OF_A_RULE, OF_A_HOOK]
const OF_FILES = /^Claude requested permissions to (?:read|write|edit) /
const OF_COMMANDS = [
  BLOCKED_PATH,
  /^This command requires approval$/,
  /^This Bash command contains multiple operations\. The following parts? requires? approval: /,
  /^(?:A variable|A nested command) in this command can't be checked before it runs$/,
  /^Contains \w+$/,
  /^Redirect target .+ contains /,
  /^This command uses the `&` background operator, /,
]

/**
 * Most refusals by their words; the rest of them is known at the `result`, which lists all. What comes from an MCP
 * server
 * is not ours to read: of its tools only those refusals count that name the very tool.
 */
export function isDenial({ name }: Pick<ToolCall, 'name'>, text: string): boolean {
  if (text.startsWith(`Claude requested permissions to use ${name},`) || text.startsWith(`Permission to use ${name} `))
    return true
  if (name.startsWith('mcp__')) return false
  return [...DENIALS, OF_FILES, ...(name === 'Bash' ? OF_COMMANDS : [])].some((pattern) => pattern.test(text))
}

export function toPermissionDenial(
  call: ToolCall,
  answer: string,
  situation: Situation,
  decision: Decision = {},
): PermissionDenial {
  return {
    tool: call.name,
    toolUseId: call.id,
    input: shorten(toJson(call.input), INPUT_SHOWN),
    allowWith: allowWith(call, answer, situation, decision),
  }
}

const BYPASS = 'permissionMode: "bypassPermissions"'
const ACCEPT_EDITS = 'permissionMode: "acceptEdits"'

/** The narrowest setting that lets this call through; each kind was tried with the CLI 2.1.197 and 2.1.332. */
function allowWith(call: ToolCall, answer: string, situation: Situation, { source, reasonType }: Decision): string {
  if (source === 'hook' || OF_A_HOOK.test(answer)) return tellHook(answer)
  if (reasonType === 'rule' || OF_A_RULE.test(answer)) return 'disallowedTools without the rule that matches this call'
  if (reasonType === 'safetyCheck' || answer.includes('which is a sensitive file')) return BYPASS
  // In these modes most rules count for nothing, and what would be missing outside of them is not said.
  if (situation.permissionMode === 'auto' || OF_A_MODE.test(answer)) return outsideOfMode(call, answer, situation)
  return allowInMode(call, answer, situation)
}

/** Which hook it was and what it said: nothing that a caller could set would help. */
function tellHook(answer: string): string {
  const [, name = 'PreToolUse', said = answer] = OF_A_HOOK.exec(answer) ?? []
  const words = shorten(said.trim(), HOOK_SHOWN)
  return `${NO_SETTING}the hook ${name} refused it${words === '' ? '' : `: ${words}`}`
}

function outsideOfMode(call: ToolCall, answer: string, situation: Situation): string {
  if (call.name === 'Agent' || call.name === 'Task') return ACCEPT_EDITS
  const setting =
    call.name === 'Bash' ? allowTools(['Bash']) : allowInMode(call, answer, { ...situation, permissionMode: undefined })
  return setting.startsWith('permissionMode') ? setting : `${ACCEPT_EDITS}, ${setting}`
}

function allowInMode(call: ToolCall, answer: string, situation: Situation): string {
  switch (call.name) {
    case 'Bash':
      return allowBash(toText(call.input['command']) ?? '', answer, situation)
    case 'Write':
    case 'Edit':
    case 'MultiEdit':
    case 'NotebookEdit':
      return allowEdit(toText(call.input['file_path']) ?? toText(call.input['notebook_path']) ?? '', situation)
    case 'Read':
      return allowTools([toFileRule('Read', toText(call.input['file_path']) ?? '/**', situation)])
    case 'WebFetch': {
      const url = toText(call.input['url']) ?? ''
      return allowTools([URL.canParse(url) ? `WebFetch(domain:${new URL(url).hostname})` : 'WebFetch'])
    }
    default:
      return allowTools([call.name])
  }
}

function allowTools(rules: readonly string[]): string {
  return `allowedTools: ${JSON.stringify(rules).replaceAll('","', '", "')}`
}

/** A leading slash more than the path's own makes it one of the file system's. */
function toFileRule(kind: 'Edit' | 'Read', path: string, { workspace }: Situation): string {
  return `${kind}(/${workspace === undefined || isAbsolute(path) ? path : join(workspace, path)})`
}

/** Inside, acceptEdits allows all but the CLI's own settings, which no rule allows either. */
function allowEdit(path: string, situation: Situation): string {
  const { permissionMode, workspace } = situation
  if (workspace === undefined || !isInside(path, workspace)) return allowTools([toFileRule('Edit', path, situation)])
  return permissionMode === 'acceptEdits' || /(?:^|\/)\.claude\//.test(path) ? BYPASS : ACCEPT_EDITS
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, isAbsolute(path) ? path : join(folder, path))
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

function allowBash(command: string, answer: string, situation: Situation): string {
  const { permissionMode, workspace } = situation
  const [, blocked, deed] = BLOCKED_PATH.exec(answer) ?? []
  const isInWorkspace = blocked !== undefined && workspace !== undefined && isInside(blocked, workspace)
  const rules = toBashRules(command)
  if (isInWorkspace && permissionMode !== 'acceptEdits' && !leadsElsewhere(command, blocked)) return ACCEPT_EDITS
  // Where more than one path is outside, the refusal names the first one only; don't-ask mode names none.
  if (rules === undefined || leadsElsewhere(command, blocked)) return allowTools(['Bash'])
  // A path outside the allowed folders wants a rule for the file beside the one for the command.
  if (blocked === undefined || isInWorkspace) return allowTools(rules)
  const kinds =
    deed === undefined || WRITING.has(deed)
      ? (['Edit'] as const)
      : deed === 'concatenate'
        ? (['Read'] as const)
        : (['Edit', 'Read'] as const)
  return allowTools([...rules, ...kinds.map((kind) => toFileRule(kind, blocked, situation))])
}

/** Whether the command names a path, other than the blocked one, that may lie outside the workspace. */
function leadsElsewhere(command: string, blocked: string | undefined): boolean {
  const rest = blocked === undefined ? command : command.replace(blocked, '')
  return /(?:^|[\s'"=<>])(?:\/(?!dev\/null\b)|~|\.\.(?:\/|\s|$))/.test(rest)
}

/** Programs whose first word after the name says what they do. */
const WITH_SUBCOMMANDS = new Set([
  'apt',
  'apt-get',
  'brew',
  'bun',
  'bundle',
  'cargo',
  'composer',
  'conda',
  'deno',
  'docker',
  'dotnet',
  'gh',
  'git',
  'go',
  'helm',
  'kubectl',
  'npm',
  'pip',
  'pip3',
  'pnpm',
  'poetry',
  'systemctl',
  'terraform',
  'uv',
  'yarn',
])

/**
 * One prefix rule for each simple command of the line. Undefined where the CLI judges the whole line and no prefix
 * helps: substitutions, subshells, control structures, variables, quotes around the program.
 */
function toBashRules(command: string): string[] | undefined {
  if (/[`(){}\n]|\$|<<|(?:^|[^&>])&(?![&>])/.test(withoutQuoted(command))) return undefined
  const parts = withoutQuoted(command)
    .split(/&&|\|\||[;|]/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
  const prefixes = parts.map((part) => {
    const [program = '', next = ''] = part.split(/\s+/)
    // After a change of folder the paths that follow are checked as a whole.
    if (!/^[\w./+-]+$/.test(program) || program === 'cd') return undefined
    return WITH_SUBCOMMANDS.has(program) && /^[a-z][\w:-]*$/.test(next) ? `${program} ${next}` : program
  })
  if (prefixes.length === 0 || prefixes.includes(undefined)) return undefined
  return [...new Set(prefixes)].map((prefix) => `Bash(${prefix}:*)`)
}

/** Quoted text replaced by a letter; double quotes keep what expands inside them. */
function withoutQuoted(command: string): string {
  return command.replaceAll(/'[^']*'|"(?:[^"\\]|\\[\s\S])*"/g, (quoted) =>
    quoted.startsWith('"') && /[$`]/.test(quoted) ? '$' : 'q',
  )
}
