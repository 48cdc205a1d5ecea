import { createHash } from 'node:crypto'
import type { NewEvent } from '../protocol/events.js'
import { shorten, toJson, toRecord, toRecords, toText } from './json-shape.js'
import type { Observation } from './observation.js'
import { INPUT_SHOWN, isDenial, type ToolCall, toPermissionDenial } from './permission-denial.js'

/** The message of a subagent that a call stands in. */
export interface OfSubagent {
  /** The call that started the subagent. */
  readonly parent: string
  readonly messageId: string | undefined
}

interface OpenCall extends ToolCall {
  readonly startedAtMs: number
  readonly ofSubagent: OfSubagent | undefined
  readonly description: string
}

const DESCRIPTION_SHOWN = 200

export interface ToolCalls {
  start(content: readonly Record<string, unknown>[], ofSubagent?: OfSubagent): NewEvent[]
  finish(content: readonly Record<string, unknown>[]): NewEvent[]
  /** The main conversation went on: its calls have all been answered, or belonged to a message whose stream was cut. */
  forgetUnanswered(): void
  /** At a `result`: its list of denials is complete, and no call of the conversation is open any more; subagents in the background go on. */
  conclude(message: Readonly<Record<string, unknown>>): NewEvent[]
}

/** Follows tool calls from the assistant's `tool_use` to the user's `tool_result`, those of subagents included. */
export function createToolCalls(observation: Observation, now: () => number): ToolCalls {
  const open = new Map<string, OpenCall>()
  const denied = new Set<string>()
  const started = new Set<string>()
  let unansweredAtResult: OpenCall[] = []

  function count(): void {
    observation.openToolCalls = open.size
    observation.unansweredCalls = [...unansweredAtResult, ...open.values()]
  }

  /** A subagent went on with another message: what it had called has been answered, or was cut. */
  function forgetOfSubagent({ parent, messageId }: OfSubagent): void {
    for (const { id, ofSubagent } of open.values()) if (ofSubagent?.parent === parent && ofSubagent.messageId !== messageId) open.delete(id)
  }

  function deny(call: ToolCall, answer: string): NewEvent[] {
    if (denied.has(call.id)) return []
    denied.add(call.id)
    const data = toPermissionDenial(call, answer, observation)
    observation.denials.push(data)
    return [{ type: 'tool.denied', data }]
  }

  function finishOne(block: Record<string, unknown>): NewEvent[] {
    const id = toText(block['tool_use_id']) ?? ''
    const call = open.get(id)
    observation.toolResults += 1
    unansweredAtResult = unansweredAtResult.filter((unanswered) => unanswered.id !== id)
    // One that was given up because its stream was cut has been in the stream all the same.
    if (!started.has(id)) observation.unrecordedResults += 1
    if (call === undefined) return []
    open.delete(call.id)
    const isError = block['is_error'] === true
    const answer = answerOf(block['content'])
    const denial = isError && isDenial(answer) ? deny(call, answer) : []
    return [...denial, { type: 'tool.finished', data: { toolUseId: call.id, name: call.name, isError, durationMs: Math.max(0, Math.round(now() - call.startedAtMs)) } }]
  }

  return {
    start(content, ofSubagent) {
      if (ofSubagent !== undefined) forgetOfSubagent(ofSubagent)
      const events = content
        .filter((block) => block['type'] === 'tool_use')
        .flatMap((block): NewEvent[] => {
          const id = toText(block['id'])
          if (id === undefined || open.has(id)) return []
          started.add(id)
          const name = toText(block['name']) ?? ''
          const input = toRecord(block['input']) ?? {}
          const json = toJson(block['input'])
          if (name === 'StructuredOutput') observation.structuredAttempt = block['input']
          open.set(id, { id, name, input, startedAtMs: now(), ofSubagent, description: shorten(`${name} ${json}`, DESCRIPTION_SHOWN) })
          observation.toolsUsed += 1
          return [{ type: 'tool.started', data: { toolUseId: id, name, input: shorten(json, INPUT_SHOWN), inputDigest: createHash('sha256').update(json).digest('hex') } }]
        })
      count()
      return events
    },
    finish(content) {
      const events = content.filter((block) => block['type'] === 'tool_result').flatMap(finishOne)
      count()
      return events
    },
    forgetUnanswered() {
      unansweredAtResult = []
      for (const call of open.values()) if (!call.ofSubagent) open.delete(call.id)
      count()
    },
    conclude(message) {
      unansweredAtResult = [...open.values()].filter(({ ofSubagent }) => ofSubagent === undefined)
      for (const { id } of unansweredAtResult) open.delete(id)
      count()
      return toRecords(message['permission_denials']).flatMap((denial) => {
        const id = toText(denial['tool_use_id'])
        return id === undefined ? [] : deny({ id, name: toText(denial['tool_name']) ?? '', input: toRecord(denial['tool_input']) ?? {} }, '')
      })
    },
  }
}

function answerOf(content: unknown): string {
  if (typeof content === 'string') return content
  return toRecords(content)
    .map((block) => toText(block['text']) ?? '')
    .join('')
}
