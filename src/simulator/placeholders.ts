/** What a script can say only when it is played: `${cwd}` and `${lastToolResult}`, in any string of a step. */
import type { Conversation } from './conversation.js'
import type { Reply } from './replies.js'
import { ScriptError } from './script.js'

/**
 * The same reply with its placeholders filled in; any other `${…}` is the shell's and stays. The whole reply at once,
 * so that an error comes before the first word.
 * @throws ScriptError when the request names no working directory (a run with `--system-prompt` does not)
 */
export function fillPlaceholders(reply: Reply, conversation: Conversation): Reply {
  return reply.map(step => fill(step, conversation))
}

function fill<Value>(value: Value, conversation: Conversation): Value {
  // Strings become strings, lists lists and objects objects with the same keys; the compiler cannot see that.
  return fillAny(value, conversation) as Value
}

function fillAny(value: unknown, conversation: Conversation): unknown {
  if (typeof value === 'string') return fillText(value, conversation)
  if (Array.isArray(value)) return value.map((element: unknown) => fillAny(element, conversation))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, fillAny(element, conversation)]))
}

function fillText(text: string, conversation: Conversation): string {
  return text.replaceAll(/\$\{(cwd|lastToolResult)\}/g, (_all, name: string) => {
    if (name === 'lastToolResult') return conversation.lastToolResult
    if (conversation.workingDirectory === undefined) throw new ScriptError('${cwd}: this request names no working directory')
    return conversation.workingDirectory
  })
}
