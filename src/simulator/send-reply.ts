/** Sends the beats of a reply: as server-sent events, at the reader's pace, or gathered into one message. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiError } from './api-error.js'
import type { Beat, ContentBlock, Delta, Message, MessageEvent } from './play-reply.js'

/**
 * @param gone aborts when the client has gone away or the simulator closes; every wait ends with it
 * @throws what `gone` throws; the caller has nothing left to answer then
 */
export async function streamReply(beats: Iterable<Beat>, response: ServerResponse, gone: AbortSignal): Promise<void> {
  for (const beat of beats) {
    if (beat.kind === 'event') {
      if (!response.headersSent) {
        response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
      }
      await write(response, toServerSentEvent(beat.event.type, beat.event), gone)
    } else if (beat.kind === 'wait') {
      await sleep(beat.ms, undefined, { signal: gone })
    } else if (beat.kind === 'cut') {
      if (beat.how === 'eof') break
      return destroyAfterFlush(response, gone)
    } else if (response.headersSent) {
      await write(response, toServerSentEvent('error', beat.error.body), gone)
      break
    } else {
      return sendApiError(response, beat.error)
    }
  }
  response.end()
}

export async function sendWholeReply(
  beats: Iterable<Beat>,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  let message: Message | undefined
  const content: ContentBlock[] = []
  const deltas: Delta[][] = []
  for (const beat of beats) {
    if (beat.kind === 'wait') await sleep(beat.ms, undefined, { signal: gone })
    if (beat.kind === 'fail') return sendApiError(response, beat.error)
    // Without a stream there is nothing that could be half said: the cut comes instead of the answer.
    if (beat.kind === 'cut') {
      if (beat.how === true) response.destroy()
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{"type":"message",')
      return
    }
    if (beat.kind !== 'event') continue
    const { event } = beat
    if (event.type === 'message_start') message = event.message
    if (event.type === 'content_block_start') deltas[event.index] = []
    if (event.type === 'content_block_start') content[event.index] = event.content_block
    if (event.type === 'content_block_delta') deltas[event.index]?.push(event.delta)
    if (event.type === 'message_delta' && message !== undefined) {
      message = { ...message, stop_reason: event.delta.stop_reason, usage: event.usage }
    }
  }
  sendJson(response, 200, { ...message, content: content.map((block, index) => gather(block, deltas[index] ?? [])) })
}

export function sendApiError(response: ServerResponse, error: ApiError): void {
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value)
  sendJson(response, error.status, error.body)
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function write(response: ServerResponse, text: string, gone: AbortSignal): Promise<void> {
  gone.throwIfAborted()
  if (!response.write(text)) await once(response, 'drain', { signal: gone })
}

// The reader must have had what was said before the cut: a socket destroyed at once takes its buffer along.
async function destroyAfterFlush(response: ServerResponse, gone: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    gone.addEventListener('abort', () => resolve(), { once: true })
    response.write('', () => resolve())
  })
  response.destroy()
}

function toServerSentEvent(name: string, data: MessageEvent | ApiError['body']): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

function gather(block: ContentBlock, deltas: readonly Delta[]): ContentBlock {
  const joined = (part: (delta: Delta) => string): string => deltas.map(part).join('')
  if (block.type === 'text')
    return { ...block, text: joined((delta) => (delta.type === 'text_delta' ? delta.text : '')) }
  if (block.type === 'tool_use') {
    return {
      ...block,
      input: JSON.parse(joined((delta) => (delta.type === 'input_json_delta' ? delta.partial_json : ''))),
    }
  }
  return {
    ...block,
    thinking: joined((delta) => (delta.type === 'thinking_delta' ? delta.thinking : '')),
    signature: joined((delta) => (delta.type === 'signature_delta' ? delta.signature : '')),
  }
}
