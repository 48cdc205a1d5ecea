import { EventSourceParserStream } from 'eventsource-parser/stream'
import { joinSignals } from '../platform/abort-signals.js'
import { definedFields } from '../protocol/defined-fields.js'
import type { Event } from '../protocol/events.js'
import type { SubscribeParams } from '../protocol/subscription.js'
import { decodeProblem, parseJson, toBadAnswer, toUnreachable, type ClientError } from './client-error.js'
import type { EventSubscription } from './shared-socket.js'
import { watchSilence, type Silence } from './silence.js'

/** The service sends a comment every 15 s: whoever is silent for longer than a few of them is gone. */
const SILENCE_LIMIT_MS = 60_000
const NO_CONTENT = 204

interface EventStreamOptions {
  readonly url: string
  readonly token: string | undefined
  readonly onReached: () => void
  readonly silenceLimitMs?: number
}

/**
 * The same events as a subscription's, by Server-Sent Events: for where a proxy lets no WebSocket through. One request
 * per execution; a reader that does not pull holds up nobody but itself.
 */
export function openEventStream(
  { url, token, onReached, silenceLimitMs = SILENCE_LIMIT_MS }: EventStreamOptions,
  { executionId, after = 0, types }: SubscribeParams,
): EventSubscription {
  const closing = new AbortController()
  let ended: EventSubscription['ended']
  let answeredAt: number | undefined
  const events = read()

  async function* read(): AsyncGenerator<Event, undefined, undefined> {
    const silence = new AbortController()
    // Where nobody takes an event, nothing is read on: then the silence is the reader's own.
    let isHeld = false
    const beginSilence = (): Silence =>
      watchSilence(silenceLimitMs, () => {
        if (isHeld) heard = beginSilence()
        else silence.abort()
      })
    let heard = beginSilence()
    const stop = joinSignals([closing.signal, silence.signal])
    try {
      const query = new URLSearchParams(definedFields({ after: String(after), types: types?.join(',') }))
      const response = await fetch(`${url}/executions/${encodeURIComponent(executionId)}/events?${query.toString()}`, {
        headers: definedFields({
          accept: 'text/event-stream',
          authorization: token === undefined ? undefined : `Bearer ${token}`,
        }),
        redirect: 'error',
        signal: stop.signal,
      })
      if (response.status === NO_CONTENT) {
        ended = 'finished'
        return undefined
      }
      if (!response.ok || !response.body)
        throw decodeProblem(url, response.status, await response.text(), response.headers.get('retry-after'))
      onReached()
      answeredAt = performance.now()
      const alive = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          heard.refresh()
          controller.enqueue(chunk)
        },
      })
      // By a reader: not every browser can iterate a stream.
      const frames = response.body
        .pipeThrough(alive)
        .pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>)
        .pipeThrough(new EventSourceParserStream())
        .getReader()
      for (let frame = await frames.read(); frame.value; frame = await frames.read()) {
        const event = parseJson(frame.value.data)
        if (event === undefined) throw toBadAnswer(url, 'An event without JSON')
        // Safe: the service's own events, in the shape that the protocol publishes.
        isHeld = true
        yield event as Event
        isHeld = false
        heard.refresh()
      }
      // After the terminal event, or cut off: who asks again is told which.
      throw toUnreachable(url, 'the stream ended')
    } catch (error) {
      if (closing.signal.aborted) return undefined
      if (silence.signal.aborted) throw toUnreachable(url, 'it fell silent')
      throw error instanceof TypeError || error instanceof DOMException ? toUnreachable(url, error) : error
    } finally {
      heard.stop()
      stop.release()
    }
  }

  return {
    next: async () => (await events.next()).value,
    get ended() {
      return ended
    },
    get answeredAt() {
      return answeredAt
    },
    close() {
      closing.abort()
      // Of an event that was taken last the generator would stay where it is, with its timer.
      events.return(undefined).catch(() => undefined)
    },
  }
}

/** Whether it is the way that fails, not the service: the upgrade was lost on it, and plain HTTP may get through. */
export const isUpgradeLost = ({ code }: ClientError): boolean => code === 'UPGRADE_REQUIRED'
