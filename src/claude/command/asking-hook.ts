/** A call that waits in a session for the decision on it. */
export interface AwaitedCall {
  readonly tool: string
  readonly toolUseId: string
}

const ASK = { hookSpecificOutput: { hookEventName: 'PreToolUse', permissionDecision: 'ask' } }

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/**
 * A hook in the format of the CLI's settings that has it ask about one call. Without it the CLI runs the call by itself
 * where the operator's rules, mode or hooks let it through by now, whatever a person has said to it (measured with
 * 2.1.197 and 2.1.332). `ask` stands above rules, modes and hooks that allow. A callback over standard input would come
 * too late: the CLI takes the call up before it reads its first line.
 */
export function toAskingHook({ tool, toolUseId }: AwaitedCall): Readonly<Record<string, unknown>> {
  // The CLI gives the call as one line of JSON, in which quotation marks of its input are escaped.
  const mark = `"tool_use_id":${JSON.stringify(toolUseId)}`
  const command = `case "$(cat)" in *${quote(mark)}*) echo ${quote(JSON.stringify(ASK))};; esac`
  return { matcher: tool, hooks: [{ type: 'command', command }] }
}
