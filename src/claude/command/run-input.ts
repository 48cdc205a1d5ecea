import { toAskingHook, type AwaitedCall } from './asking-hook.js'
import type { RunRequest } from './run-request.js'

/** A part of the command that is handed over as a file. */
export interface InputFile {
  readonly flag: string
  readonly name: string
  readonly content: string
  /** What the log shows in its place. */
  readonly shown: string
}

/** The operator's part of it, and the answer's: see ClaudeSettings. */
interface Given {
  readonly answer?: { readonly schema: Readonly<Record<string, unknown>>; readonly instruction?: string } | undefined
  readonly hooks?: Readonly<Record<string, unknown>>
  readonly instructions?: string | undefined
  readonly awaited?: AwaitedCall | undefined
}

type Asked = Pick<RunRequest, 'systemPrompt' | 'appendSystemPrompt' | 'mcpServers'>

const bytesOf = (text: string): string => `${Buffer.byteLength(text)} bytes`

function joinPrompts(...prompts: ReadonlyArray<string | undefined>): string | undefined {
  const given = prompts.filter((prompt) => prompt !== undefined)
  return given.length === 0 ? undefined : given.join('\n\n')
}

const toHookList = (hooks: unknown): readonly unknown[] => (Array.isArray(hooks) ? hooks : [])

/** What both ends of the range of versions take from a file: prompts, hooks, servers with their headers. */
export function toInputFiles(run: Asked, { answer, hooks: own = {}, instructions, awaited }: Given): InputFile[] {
  const prompt = run.systemPrompt
  const appended = joinPrompts(instructions, run.appendSystemPrompt, answer?.instruction)
  const hooks = awaited ? { ...own, PreToolUse: [...toHookList(own['PreToolUse']), toAskingHook(awaited)] } : own
  const events = Object.keys(hooks)
  const { mcpServers } = run
  return [
    ...(prompt === undefined
      ? []
      : [{ flag: '--system-prompt-file', name: 'system-prompt', content: prompt, shown: bytesOf(prompt) }]),
    ...(appended === undefined
      ? []
      : [
          { flag: '--append-system-prompt-file', name: 'appended-prompt', content: appended, shown: bytesOf(appended) },
        ]),
    ...(events.length === 0
      ? []
      : [
          {
            flag: '--settings',
            name: 'settings.json',
            content: JSON.stringify({ hooks }),
            shown: `hooks: ${events.join(', ')}`,
          },
        ]),
    ...(mcpServers === undefined
      ? []
      : [
          {
            flag: '--mcp-config',
            name: 'mcp.json',
            content: JSON.stringify({ mcpServers }),
            shown: Object.keys(mcpServers).join(', '),
          },
        ]),
  ]
}

/**
 * Subagents and the schema of the answer have no file form in 2.1.197, and the schema has none in 2.1.332: both take
 * them by `initialize`, as the first line that they read, and then behave as with the flags (measured).
 */
export function toSetUp(
  { agents }: Pick<RunRequest, 'agents'>,
  { answer }: Given,
): { readonly line?: string; readonly shown: readonly string[] } {
  if (agents === undefined && answer === undefined) return { shown: [] }
  const request = { subtype: 'initialize', agents, jsonSchema: answer?.schema }
  return {
    line: `${JSON.stringify({ type: 'control_request', request_id: 'set-up', request })}\n`,
    shown: [
      ...(agents ? [`--agents=<${Object.keys(agents).join(', ')}>`] : []),
      ...(answer ? [`--json-schema=<${bytesOf(JSON.stringify(answer.schema))}>`] : []),
    ],
  }
}
