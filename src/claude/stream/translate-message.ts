import type { NewEvent } from '../../protocol/events.js'
import { createHookAnswers } from './hook-answers.js'
import { createBackgroundTasks } from './background-tasks.js'
import { NO_SECRETS, type SecretMask } from '../../platform/secret-mask.js'
import { isControl, isReplay, passControl, type OnControl } from './control-lines.js'
import { createDeltaMask } from './delta-mask.js'
import { type Decoded, decodeClaudeLine } from './decode-claude-line.js'
import { toRecord, toRecords, toText } from '../json-shape.js'
import type { Line } from './line-splitter.js'
import {
  createObservation,
  type Earlier,
  type Observation,
  observeInit,
  observeLine,
  observeOversized,
  observeRateLimit,
  observeResult,
  observeSession,
} from './observation.js'
import { noteSystemMessage } from './notices.js'
import { observeStop } from './stop-reasons.js'
import { createTextStream, textsOf } from './text-stream.js'
import type { ToolCall } from './permission-denial.js'
import { createToolCalls } from './tool-calls.js'
import type { ModelSums } from './usage-account.js'

export { coalesceDeltas } from './text-stream.js'
export type { Observation } from './observation.js'

export interface TranslatorOptions {
  /** Whether to give `text.delta` and `text.reset`. */
  readonly partialText: boolean
  /** Whether to pass the CLI's `stream_event` lines as well. */
  readonly rawPartials: boolean
  /** The index of the first message; a further attempt goes on after those of the one before. */
  readonly firstMessage?: number
  /** Of a session that is taken up: what it had used until then, as the CLI saved it. */
  readonly sessionSums?: ModelSums | undefined
  /** What is masked before anything is made of a line. */
  readonly mask?: SecretMask
  /** Of the attempts before this one. */
  readonly earlier?: Earlier | undefined
  /** A call of the session that the CLI takes up before it says anything else. */
  readonly takenUp?: ToolCall | undefined
  /** Gets the control protocol's messages; they become no events but those that it gives. */
  readonly onControl?: OnControl | undefined
  /** The CLI repeats a line that has this id; gives the events that follow. */
  readonly onReplay?: ((id: string) => NewEvent[]) | undefined
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

export interface Translator {
  translate(line: Line): NewEvent[]
  /** Nothing more is said: what was held back is told. */
  end(): NewEvent[]
  /** For what the CLI says elsewhere. */
  readonly mask: SecretMask
  readonly observation: Observation
}

/** Turns the CLI's lines into events and keeps account of what was seen. What it does not know passes as it came. */
export function createTranslator({
  partialText,
  rawPartials,
  firstMessage,
  sessionSums,
  mask = NO_SECRETS,
  earlier,
  takenUp,
  onControl,
  onReplay,
  now = () => performance.now(),
}: TranslatorOptions): Translator {
  const observation = createObservation(sessionSums, earlier)
  const stream = createTextStream(firstMessage)
  const hooks = createHookAnswers(observation)
  const calls = createToolCalls(observation, now, hooks)
  if (takenUp) calls.takeUp(takenUp)
  const tasks = createBackgroundTasks(observation)
  const masked = createDeltaMask(mask)
  const deltas = (events: NewEvent[]) => (partialText ? events : [])
  let messageId: string | undefined

  /** A message of the main conversation has begun, whichever line says so first. */
  function noticeMessage(id: string | undefined): void {
    if (id === messageId && id !== undefined) return
    messageId = id
    observation.turns += 1
    calls.forgetUnanswered()
  }

  function keepPartialText(): void {
    if (stream.text !== '') observation.partialText = stream.text
  }

  function translateStreamEvent(line: Record<string, unknown>): NewEvent[] {
    const event = toRecord(line['event'])
    if (event === undefined || typeof line['parent_tool_use_id'] === 'string') return []
    const message = toRecord(event['message']) ?? {}
    switch (event['type']) {
      case 'message_start':
        noticeMessage(toText(message['id']))
        observation.reply = { id: toText(message['id']), isOpen: true }
        return stream.start(toText(message['id']))
      case 'content_block_delta': {
        const delta = toRecord(event['delta'])
        if (delta?.['type'] !== 'text_delta') return []
        const events = stream.append(toText(delta['text']) ?? '')
        keepPartialText()
        return events
      }
      case 'message_delta': {
        const stopReason = toText(toRecord(event['delta'])?.['stop_reason'])
        if (observation.reply && stopReason !== undefined) observation.reply.stopReason = stopReason
        return []
      }
      case 'message_stop':
        if (observation.reply) observation.reply.isOpen = false
        return stream.stop()
      default:
        return []
    }
  }

  function translateAssistant(line: Record<string, unknown>, passed: NewEvent): NewEvent[] {
    const message = toRecord(line['message']) ?? {}
    const content = toRecords(message['content'])
    const id = toText(message['id'])
    const parent = toText(line['parent_tool_use_id'])
    if (parent !== undefined) return [passed, ...calls.start(content, { parent, messageId: id })]

    noticeMessage(id)
    if (observation.reply?.id !== id || id === undefined) observation.reply = { id, isOpen: false }
    const error = toText(line['error'])
    if (error === undefined) delete observation.apiError
    else observation.apiError = error
    // A message without text has to be settled too: it may take the place of one whose stream was cut.
    const texts = textsOf(content)
    const settled = (texts.length === 0 ? [''] : texts).flatMap((text) => stream.settle(id, text))
    if (error === undefined) keepPartialText()
    return [...deltas(settled), passed, ...calls.start(content)]
  }

  /** A line of ours, which the model is about to read: behind a tool's result, or as the beginning of a turn. */
  function translateReplay(id: string | undefined): NewEvent[] {
    const events = id === undefined ? [] : (onReplay?.(id) ?? [])
    if (events.length > 0) observation.turnActive = true
    return events
  }

  function translateMessage(type: string, message: Record<string, unknown>, raw: string, bytes?: Buffer): NewEvent[] {
    if (isReplay(message)) return translateReplay(toText(message['uuid']))
    const passed: NewEvent = { type: 'claude.message', rawMessage: raw, bytes }
    observeSession(observation, message)
    observeLine(observation, message)
    switch (type) {
      case 'stream_event':
        // A subagent in the background talks while the conversation rests.
        if (typeof message['parent_tool_use_id'] !== 'string') observation.turnActive = true
        return [...deltas(translateStreamEvent(message)), ...(rawPartials ? [passed] : [])]
      case 'assistant':
        if (typeof message['parent_tool_use_id'] !== 'string') observation.turnActive = true
        return translateAssistant(message, passed)
      case 'user':
        return [
          passed,
          ...calls.finish(toRecords(toRecord(message['message'])?.['content']), toRecords(message['tool_result_meta'])),
          ...tasks.observe(type, message),
        ]
      case 'system':
        if (message['subtype'] === 'init') {
          observation.turnActive = true
          observeInit(observation, message)
        }
        noteSystemMessage(observation.notices, message)
        hooks.observe(message)
        return [
          passed,
          ...(message['subtype'] === 'permission_denied' ? calls.refuse(message) : tasks.observe(type, message)),
        ]
      case 'rate_limit_event':
        observeRateLimit(observation, message)
        return [passed]
      case 'result':
        stream.endTurn()
        observeResult(observation, message, raw)
        observeStop(observation, message)
        return [passed, ...calls.conclude(message)]
      default:
        return [passed]
    }
  }

  /** As they may be told; what is not the line's own message any more has other bytes, too. */
  function translateAll(
    messages: readonly Record<string, unknown>[],
    line?: Decoded & { kind: 'message' },
  ): NewEvent[] {
    const translateOne = (message: Record<string, unknown>): NewEvent[] =>
      message === line?.message
        ? translateMessage(line.type, message, line.raw, line.bytes)
        : translateMessage('stream_event', message, JSON.stringify(message))
    const [only] = messages
    return only !== undefined && messages.length === 1 ? translateOne(only) : messages.flatMap(translateOne)
  }

  return {
    observation,
    mask,
    translate(line) {
      if (line.kind === 'oversized') {
        // A long line of ours, repeated: nothing that is to be read is lost.
        if (isReplay(line.members)) return translateReplay(toText(line.members?.['uuid']))
        stream.doubt()
        observation.unreadLines += 1
        const truncated: NewEvent = {
          type: 'log.truncated',
          data: { reason: 'line', droppedBytes: line.length, limit: line.limit, sha256: line.sha256 },
        }
        const members = mask.value(line.members)
        if (members?.['type'] !== 'result') return [truncated]
        stream.endTurn()
        observeOversized(observation, members)
        observeStop(observation, members)
        return [truncated, ...calls.conclude(members)]
      }
      const decoded = decodeClaudeLine(line.bytes, mask)
      if (decoded.kind === 'text') return [{ type: 'output', data: { stream: 'stdout', data: decoded.text } }]
      if (isControl(decoded.type)) return passControl(decoded.message, line.bytes, onControl)
      return translateAll(masked.pass(decoded.type, decoded.message), decoded)
    },
    end: () => translateAll(masked.end()),
  }
}

export function translateStderr(text: string): NewEvent {
  return { type: 'output', data: { stream: 'stderr', data: text } }
}
