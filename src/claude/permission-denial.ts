import { isAbsolute, join, relative } from 'node:path'
import type { PermissionDenial } from '../protocol/execution.js'
import { shorten, toJson, toText } from './json-shape.js'

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

/** What the CLI answers a call that lacks a permission; anchored, so that a tool's own output is not taken for it. */
const DENIALS = [
  /^Claude requested permissions to /,
  /^Permission to use .+ has been denied/s,
  /^This command requires approval$/,
  /^This Bash command contains multiple operations\. The following parts? requires? approval: /,
  /^(?:Output redirection to|\w[\w.-]* in) '.+' was blocked\. For security, Claude Code may only /s,
]

/** Most refusals by their words; the rest of them is known at the `result`, which lists all. */
export function isDenial(text: string): boolean {
  return DENIALS.some((pattern) => pattern.test(text))
}

export function toPermissionDenial(call: ToolCall, answer: string, situation: Situation): PermissionDenial {
  return { tool: call.name, toolUseId: call.id, input: shorten(toJson(call.input), INPUT_SHOWN), allowWith: allowWith(call, answer, situation) }
}

const BYPASS = 'permissionMode: "bypassPermissions"'
const ACCEPT_EDITS = 'permissionMode: "acceptEdits"'

/** The narrowest setting that lets this call through; each kind was tried with the CLI 2.1.197. */
function allowWith(call: ToolCall, answer: string, situation: Situation): string {
  if (/^Permission to use .+ with .+ has been denied\.$/s.test(answer)) return 'disallowedTools without the rule that matches this call'
  switch (call.name) {
    case 'Bash':
      return allowBash(toText(call.input['command']) ?? '', answer, situation)
    case 'Write':
    case 'Edit':
    case 'MultiEdit':
    case 'NotebookEdit':
      return allowEdit(toText(call.input['file_path']) ?? toText(call.input['notebook_path']) ?? '', answer, situation)
    case 'Read':
      return allowTools([`Read(/${toText(call.input['file_path']) ?? '/**'})`])
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

function allowEdit(path: string, answer: string, { permissionMode, workspace }: Situation): string {
  if (answer.includes('which is a sensitive file')) return BYPASS
  if (workspace === undefined || !isInside(path, workspace)) return allowTools([`Edit(/${path})`])
  // Inside, acceptEdits allows all but the CLI's own settings, which no rule allows.
  return permissionMode === 'acceptEdits' ? BYPASS : ACCEPT_EDITS
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, isAbsolute(path) ? path : join(folder, path))
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

function allowBash(command: string, answer: string, { permissionMode, workspace }: Situation): string {
  // A path outside the allowed folders wants a rule for the file beside the one for the command.
  const blocked = /^(?:Output redirection to|\w[\w.-]* in) '(.+?)' was blocked/s.exec(answer)?.[1]
  if (blocked !== undefined && workspace !== undefined && isInside(blocked, workspace) && permissionMode !== 'acceptEdits') return ACCEPT_EDITS
  const rules = toBashRules(command)
  if (rules === undefined) return allowTools(['Bash'])
  return allowTools(blocked === undefined ? rules : [...rules, `Edit(/${blocked})`])
}

/** Programs whose first word after the name says what they do. */
const WITH_SUBCOMMANDS = new Set(['apt', 'apt-get', 'brew', 'bun', 'bundle', 'cargo', 'composer', 'conda', 'deno', 'docker', 'dotnet', 'gh', 'git', 'go', 'helm', 'kubectl', 'npm', 'pip', 'pip3', 'pnpm', 'poetry', 'systemctl', 'terraform', 'uv', 'yarn'])

/**
 * One prefix rule for each simple command of the line. Undefined where the CLI judges the whole line and no prefix
 * helps: substitutions, subshells, control structures, variables, quotes around the program.
 */
function toBashRules(command: string): string[] | undefined {
  if (/[`(){}\n]|\$|<<|(?:^|[^&>])&(?![&>])/.test(withoutQuoted(command))) return undefined
  const parts = withoutQuoted(command).split(/&&|\|\||[;|]/).map((part) => part.trim()).filter((part) => part !== '')
  const prefixes = parts.map((part) => {
    const [program = '', next = ''] = part.split(/\s+/)
    if (!/^[\w./+-]+$/.test(program)) return undefined
    return WITH_SUBCOMMANDS.has(program) && /^[a-z][\w:-]*$/.test(next) ? `${program} ${next}` : program
  })
  if (prefixes.length === 0 || prefixes.includes(undefined)) return undefined
  return [...new Set(prefixes)].map((prefix) => `Bash(${prefix}:*)`)
}

/** Quoted text replaced by a letter; double quotes keep what expands inside them. */
function withoutQuoted(command: string): string {
  return command.replaceAll(/'[^']*'|"(?:[^"\\]|\\[\s\S])*"/g, (quoted) => (quoted.startsWith('"') && /[$`]/.test(quoted) ? '$' : 'q'))
}
