/** What the simulator says when no script tells it what to say. */
import type { Conversation } from './conversation.js'
import { isRecord } from './json.js'
import type { MessagesRequest } from './messages-request.js'
import { findPlay } from './named-prompts.js'
import { isToolStep, type Reply } from './replies.js'
import { sampleObject } from './sample-value.js'

const QUOTED_CHARACTERS = 200

/** A named prompt is played; any other is answered in a sentence. In JSON mode the end of both is an object. */
export function answerPrompt(conversation: Conversation, request: MessagesRequest): Reply {
  const reply = findPlay(conversation)?.(conversation) ?? greet(conversation)
  const schema = findAnswerSchema(request)
  if (schema === undefined || reply.some(isToolStep)) return reply
  const words = reply.flatMap((step) => ('text' in step ? [step.text] : [])).join(' ')
  return [{ structured: sampleObject(schema, words) }]
}

/** A schema that the CLI cannot check is told in words by the executor, beside a tool that takes any object. */
const PROMPTED_SCHEMA = /must match this JSON Schema \([^)]*\)(?:, formats included)?:\n(\{.*\})/

function findAnswerSchema({ structuredSchema, system }: MessagesRequest): Record<string, unknown> | undefined {
  if (structuredSchema === undefined) return undefined
  const prompted = system.map((text) => PROMPTED_SCHEMA.exec(text)?.[1]).find((text) => text !== undefined)
  try {
    const schema: unknown = prompted === undefined ? structuredSchema : JSON.parse(prompted)
    return isRecord(schema) ? schema : structuredSchema
  } catch {
    return structuredSchema
  }
}

function greet(conversation: Conversation): Reply {
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
