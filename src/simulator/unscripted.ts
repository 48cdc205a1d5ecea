/** What the simulator says when no script tells it what to say. */
import type { Conversation } from './conversation.js'
import { isRecord } from './json.js'
import type { MessagesRequest } from './messages-request.js'
import type { Reply } from './replies.js'

const QUOTED_CHARACTERS = 200

export function answerPrompt(conversation: Conversation): Reply {
  const firstLine = conversation.prompt.trimStart().split(/\r?\n/, 1)[0] ?? ''
  const quoted = Array.from(firstLine.slice(0, 2 * QUOTED_CHARACTERS))
    .slice(0, QUOTED_CHARACTERS)
    .join('')
  return [{ text: `Hello! This answer is simulated, no model has read your prompt. It begins: "${quoted}"` }]
}

/** After the last reply of a script, when the CLI asks once more. */
export const SCRIPT_FINISHED: Reply = [{ text: 'The simulated script has come to its end.' }]

/** To titles and the like: short, and in the form that was asked for. */
export function answerSideRequest(request: MessagesRequest): Reply {
  if (request.answerSchema === undefined) return [{ text: 'Simulated' }]
  const properties = request.answerSchema['properties']
  const names = isRecord(properties) ? Object.keys(properties) : []
  return [{ text: JSON.stringify(Object.fromEntries(names.map((name) => [name, 'Simulated']))) }]
}
