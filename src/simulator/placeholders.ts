/** What a script can say only when it is played: `${cwd}` and `${lastToolResult}`, in any string of a step. */
import type { Conversation } from './conversation.js'
import { decodeScript, ScriptError, type Script } from './script.js'

/**
 * The same script with its placeholders filled in; any other `${…}` is the shell's and stays. The whole script at once,
 * so that an error comes before the first word of an answer.
 * @throws ScriptError when the request names no working directory (a run with `--system-prompt` does not)
 */
export function fillPlaceholders(script: Script, conversation: Conversation): Script {
  return decodeScript(fill(script, conversation))
}

function fill(value: unknown, conversation: Conversation): unknown {
  if (typeof value === 'string') return fillText(value, conversation)
  if (Array.isArray(value)) return value.map((element: unknown) => fill(element, conversation))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, fill(element, conversation)]))
}

function fillText(text: string, conversation: Conversation): string {
  return text.replaceAll(/\$\{(cwd|lastToolResult)\}/g, (_all, name: string) => {
    if (name === 'lastToolResult') return conversation.lastToolResult
    if (conversation.workingDirectory === undefined)
      throw new ScriptError('${cwd}: this request names no working directory')
    return conversation.workingDirectory
  })
}
