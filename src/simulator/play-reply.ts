/**
 * Plays one reply of a script as beats: the API's stream events with the pauses and failures between them. It is pure
 * and lazy, so a large answer exists only once and is cut into events as fast as the reader takes them.
 */
import { randomBytes } from 'node:crypto'
import { toApiError, type ApiError } from './api-error.js'
import { isFailureStep } from './failure-memory.js'
import type { Reply } from './replies.js'
import type { RepeatTextStep, ScriptedUsage, TextStep } from './script.js'
import { chunksOf, repeatToBytes } from './utf8-chunks.js'

export type Beat =
  | { readonly kind: 'event'; readonly event: MessageEvent }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'fail'; readonly error: ApiError }
  | { readonly kind: 'cut'; readonly how: true | 'eof' }

export interface Usage {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_creation_input_tokens: number
  readonly cache_read_input_tokens: number
}

export type ContentBlock =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: unknown }

export type Delta =
  | { readonly type: 'text_delta'; readonly text: string }
  | { readonly type: 'thinking_delta'; readonly thinking: string }
  | { readonly type: 'signature_delta'; readonly signature: string }
  | { readonly type: 'input_json_delta'; readonly partial_json: string }

export interface Message {
  readonly id: string
  readonly type: 'message'
  readonly role: 'assistant'
  readonly model: string
  readonly content: readonly ContentBlock[]
  readonly stop_reason: string | null
  readonly stop_sequence: null
  readonly usage: Usage
}

export type MessageEvent =
  | { readonly type: 'message_start'; readonly message: Message }
  | { readonly type: 'content_block_start'; readonly index: number; readonly content_block: ContentBlock }
  | { readonly type: 'content_block_delta'; readonly index: number; readonly delta: Delta }
  | { readonly type: 'content_block_stop'; readonly index: number }
  | {
      readonly type: 'message_delta'
      readonly delta: { readonly stop_reason: string; readonly stop_sequence: null }
      readonly usage: Usage
    }
  | { readonly type: 'message_stop' }

export interface Occasion {
  readonly model: string
  readonly inputTokens: number
  /** Of the CLI that asks; named by a refusal for its age. */
  readonly clientVersion?: string | undefined
  /** The index of the failure step which this request meets; those before it are past. */
  readonly failsAt?: number
}

const DEFAULT_CHUNKS = 4
const MAX_DEFAULT_CHUNK_BYTES = 16 * 1024

export function* playReply(reply: Reply, occasion: Occasion): Generator<Beat> {
  const usage: ScriptedUsage = { inputTokens: occasion.inputTokens, ...reply.find((step) => 'usage' in step)?.usage }
  let index = 0
  let outputBytes = 0
  let stopReason = 'end_turn'

  // Lazily, so that a status or a delay at the beginning comes before the headers.
  let started = false
  function* start(): Generator<Beat> {
    if (started) return
    started = true
    yield toEvent({
      type: 'message_start',
      message: {
        id: `msg_simulated_${randomBytes(9).toString('hex')}`,
        type: 'message',
        role: 'assistant',
        model: occasion.model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: toUsage(usage, 1),
      },
    })
  }
  // Late, so that a cut, an error or a silence right after a text happens in the midst of its block: the CLI asks once
  // more then, whereas after a finished block it gives up.
  let open = false
  function* finishBlock(): Generator<Beat> {
    if (!open) return
    open = false
    yield toEvent({ type: 'content_block_stop', index })
    index += 1
  }
  function* block(content: ContentBlock, deltas: Iterable<Delta>, delayMs = 0): Generator<Beat> {
    yield* start()
    yield* finishBlock()
    open = true
    yield toEvent({ type: 'content_block_start', index, content_block: content })
    for (const delta of deltas) {
      if (delayMs > 0) yield { kind: 'wait', ms: delayMs }
      yield toEvent({ type: 'content_block_delta', index, delta })
    }
  }

  for (const [at, step] of reply.entries()) {
    if (isFailureStep(step)) {
      if (at !== occasion.failsAt) continue
      if ('status' in step) {
        yield { kind: 'fail', error: toApiError(step.status, { ...step, clientVersion: occasion.clientVersion }) }
      } else {
        yield* start()
        yield { kind: 'cut', how: step.cut }
      }
      return
    }
    if ('text' in step || 'repeatText' in step) {
      const text = toText(step)
      outputBytes += text.length
      const chunkBytes = toChunkBytes(step, text.length)
      yield* block(
        { type: 'text', text: '' },
        mapEach(chunksOf(text, chunkBytes), (piece) => ({ type: 'text_delta', text: piece })),
        step.delayMs,
      )
    } else if ('thinking' in step) {
      const { thinking } = step
      outputBytes += Buffer.byteLength(thinking)
      yield* block({ type: 'thinking', thinking: '', signature: '' }, [
        { type: 'thinking_delta', thinking },
        { type: 'signature_delta', signature: Buffer.from('simulated').toString('base64') },
      ])
    } else if ('tool' in step || 'structured' in step) {
      stopReason = 'tool_use'
      const [name, input] = 'tool' in step ? [step.tool, step.input] : ['StructuredOutput', step.structured]
      const json = JSON.stringify(input)
      outputBytes += Buffer.byteLength(json)
      const id = `toolu_simulated_${randomBytes(9).toString('hex')}`
      yield* block({ type: 'tool_use', id, name, input: {} }, [{ type: 'input_json_delta', partial_json: json }])
    } else if ('hangMs' in step) {
      yield* start()
      yield { kind: 'wait', ms: step.hangMs }
    } else if ('delayMs' in step) {
      yield* finishBlock()
      yield { kind: 'wait', ms: step.delayMs }
    } else if ('stop' in step) {
      stopReason = step.stop
    }
  }
  yield* start()
  yield* finishBlock()
  yield toEvent({
    type: 'message_delta',
    delta: { stop_reason: stopReason, stop_sequence: null },
    usage: toUsage(usage, toTokens(outputBytes)),
  })
  yield toEvent({ type: 'message_stop' })
}

/** About four bytes make a token; close enough for costs that nobody pays. */
export function toTokens(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 4))
}

function toUsage(usage: ScriptedUsage, outputTokens: number): Usage {
  return {
    input_tokens: usage.inputTokens ?? 1,
    output_tokens: usage.outputTokens ?? outputTokens,
    cache_creation_input_tokens: usage.cacheCreationInputTokens ?? 0,
    cache_read_input_tokens: usage.cacheReadInputTokens ?? 0,
  }
}

function toText(step: TextStep | RepeatTextStep): Buffer {
  return 'text' in step ? Buffer.from(step.text) : repeatToBytes(step.repeatText, step.bytes)
}

function toChunkBytes(step: TextStep | RepeatTextStep, bytes: number): number {
  if (step.chunkBytes !== undefined) return step.chunkBytes
  if ('text' in step && step.chunks !== undefined) return Math.max(1, Math.ceil(bytes / step.chunks))
  return Math.min(MAX_DEFAULT_CHUNK_BYTES, Math.max(1, Math.ceil(bytes / DEFAULT_CHUNKS)))
}

function toEvent(event: MessageEvent): Beat {
  return { kind: 'event', event }
}

function* mapEach<From, To>(values: Iterable<From>, map: (value: From) => To): Generator<To> {
  for (const value of values) yield map(value)
}
