import { hash } from 'node:crypto'
import { NO_SETTING } from '../../protocol/denials.js'
import type { NewEvent } from '../../protocol/events.js'
import { shorten, toJson, toRecord, toRecords, toText } from '../json-shape.js'
import type { HookAnswers } from './hook-answers.js'
import { DENIALS_KEPT, type Observation } from './observation.js'
import { type Decision, INPUT_SHOWN, isDenial, type ToolCall, toPermissionDenial } from './permission-denial.js'

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
/** Ids remembered in case a call is told of once more; the oldest go. */
const IDS_KEPT = 10_000

function remember(ids: Set<string>, id: string): void {
  ids.add(id)
  const [oldest] = ids.size > IDS_KEPT ? ids : []
  if (oldest !== undefined) ids.delete(oldest)
}

export interface ToolCalls {
  /** A call that an attempt before this one has told of, and that this one takes up. */
  takeUp(call: ToolCall): void
  start(content: readonly Record<string, unknown>[], ofSubagent?: OfSubagent): NewEvent[]
  /** `meta` is the newer CLI's `tool_result_meta`. */
  finish(content: readonly Record<string, unknown>[], meta?: readonly Record<string, unknown>[]): NewEvent[]
  /** The newer CLI's `system/permission_denied`, which comes before the result of the call. */
  refuse(message: Record<string, unknown>): NewEvent[]
  /** The main conversation went on: its calls have all been answered, or belonged to a message whose stream was cut. */
  forgetUnanswered(): void
  /**
   * At a `result`: its list of denials is complete, and no call of the conversation is open any more; subagents in the
   * background go on.
   */
  conclude(message: Readonly<Record<string, unknown>>): NewEvent[]
}

/** Follows tool calls from the assistant's `tool_use` to the user's `tool_result`, those of subagents included. */
export function createToolCalls(observation: Observation, now: () => number, hooks: HookAnswers): ToolCalls {
  const open = new Map<string, OpenCall>()
  const denied = new Set<string>()
  /** Without a result so far: as many as are open, and those whose stream was cut. */
  const started = new Set<string>()
  const answered = new Set<string>()
  let deniedHere = 0
  let unansweredAtResult: OpenCall[] = []

  function count(): void {
    observation.openToolCalls = open.size
    observation.unansweredCalls = [...unansweredAtResult, ...open.values()]
  }

  /** A subagent went on with another message: what it had called has been answered, or was cut. */
  function forgetOfSubagent({ parent, messageId }: OfSubagent): void {
    for (const { id, ofSubagent } of open.values())
      if (ofSubagent?.parent === parent && ofSubagent.messageId !== messageId) open.delete(id)
  }

  function deny(call: ToolCall, answer: string, decision?: Decision): NewEvent[] {
    if (denied.has(call.id)) return []
    remember(denied, call.id)
    deniedHere += 1
    const by = observation.deniedBy.get(call.id)
    const denial = toPermissionDenial(call, answer, observation, decision)
    const data = by === undefined ? denial : { ...denial, allowWith: `${NO_SETTING}${by} denied it`, by }
    if (by !== undefined) observation.deniedByPeople += 1
    if (observation.denials.length < DENIALS_KEPT) observation.denials.push(data)
    observation.denialCount += 1
    return [{ type: 'tool.denied', data }]
  }

  function finishOne(block: Record<string, unknown>, meta: readonly Record<string, unknown>[]): NewEvent[] {
    const id = toText(block['tool_use_id']) ?? ''
    const call = open.get(id)
    observation.toolResults += 1
    unansweredAtResult = unansweredAtResult.filter((unanswered) => unanswered.id !== id)
    // One that was given up because its stream was cut has been in the stream all the same.
    if (!started.delete(id) && !answered.has(id)) observation.unrecordedResults += 1
    remember(answered, id)
    if (call === undefined) return []
    open.delete(call.id)
    const isError = block['is_error'] === true
    const said = answerOf(block['content'])
    const answer = isError ? hooks.toHookError(call.name, said) : said
    // Where the CLI tells what was decided, the words of a tool's result decide nothing. An interrupt is no decision.
    const decision = toRecord(meta.find((entry) => entry['id'] === id)?.['permission_decision'])
    const isDenied =
      isError && observation.deniedBy.has(id)
        ? true
        : decision
          ? decision['decision'] === 'reject'
          : isError && isDenial(call, answer)
    const denial = isDenied
      ? deny(call, answer, { source: toText(decision?.['source']), reasonType: toText(decision?.['reason_type']) })
      : []
    return [
      ...denial,
      {
        type: 'tool.finished',
        data: {
          toolUseId: call.id,
          name: call.name,
          isError,
          durationMs: Math.max(0, Math.round(now() - call.startedAtMs)),
        },
      },
    ]
  }

  return {
    takeUp({ id, name, input }) {
      started.add(id)
      const description = shorten(`${name} ${toJson(input)}`, DESCRIPTION_SHOWN)
      open.set(id, { id, name, input, startedAtMs: now(), ofSubagent: undefined, description })
      count()
    },
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
          open.set(id, {
            id,
            name,
            input,
            startedAtMs: now(),
            ofSubagent,
            description: shorten(`${name} ${json}`, DESCRIPTION_SHOWN),
          })
          observation.toolsUsed += 1
          return [
            {
              type: 'tool.started',
              data: {
                toolUseId: id,
                name,
                input: shorten(json, INPUT_SHOWN),
                inputDigest: hash('sha256', json, 'hex'),
              },
            },
          ]
        })
      count()
      return events
    },
    finish(content, meta = []) {
      const events = content
        .filter((block) => block['type'] === 'tool_result')
        .flatMap((block) => finishOne(block, meta))
      count()
      return events
    },
    refuse(message) {
      const call = open.get(toText(message['tool_use_id']) ?? '')
      // One that is not known yet is refused by its result, at the latest by the list at the end.
      if (call === undefined) return []
      return deny(call, toText(message['message']) ?? '', { reasonType: toText(message['decision_reason_type']) })
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
      const listed = toRecords(message['permission_denials'])
      // The list may hold ids that are remembered no more; all but what it alone tells have been told.
      if (deniedHere > IDS_KEPT && listed.length <= deniedHere) return []
      return listed.flatMap((denial) => {
        const id = toText(denial['tool_use_id'])
        return id === undefined
          ? []
          : deny({ id, name: toText(denial['tool_name']) ?? '', input: toRecord(denial['tool_input']) ?? {} }, '')
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
