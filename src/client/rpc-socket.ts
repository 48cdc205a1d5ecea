import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type * as ws from 'ws'
import type { Event } from '../protocol/events.js'
import type { SubscribeParams, SubscriptionClosedReason } from '../protocol/subscription.js'
import {
  decodeProblem,
  decodeRpcError,
  parseJson,
  toBadAnswer,
  toUnreachable,
  type ClientError,
} from './client-error.js'

/** With the first socket: most commands of the command line open none, and it would be a fifth of their start. */
const loadWs = (): typeof ws => createRequire(import.meta.url)('ws')

const HANDSHAKE_DEADLINE_MS = 10_000
/**
 * The service pings every 25 s; whoever is silent for longer than two of them is gone, although TCP has not noticed.
 */
const SILENCE_LIMIT_MS = 60_000
const CLOSE_GRACE_MS = 1_000
/** The longest line that the service can be configured to keep, and its envelope. */
const FRAME_LIMIT_BYTES = 513 * 1024 * 1024
const PROBLEM_LIMIT_CHARACTERS = 64 * 1024

/** Who gets what a subscription brings; called in the order of the frames. */
export interface SubscriptionSink {
  answered(): void
  event(event: Event, bytes: number): void
  closed(reason: SubscriptionClosedReason): void
  /** Refused, or the connection went away. */
  lost(error: ClientError): void
}

export interface RpcSubscription {
  /** Nothing reaches the sink any more. */
  cancel(): void
}

export interface RpcSocket {
  subscribe(params: SubscribeParams, sink: SubscriptionSink): RpcSubscription
  /** The socket is not read while anybody holds it. */
  hold(holder: object): void
  release(holder: object): void
  close(): void
}

interface RpcSocketOptions {
  readonly url: string
  readonly token: string | undefined
  readonly onReached: () => void
  /** Exactly once: closed, refused or cut off. */
  readonly onEnd: () => void
}

interface Subscribed {
  readonly sink: SubscriptionSink
  subscriptionId: string | undefined
  isCancelled: boolean
}

/** What a frame of the service may hold. */
interface Incoming {
  readonly id?: unknown
  readonly method?: string
  readonly params?: {
    readonly subscriptionId: string
    readonly event?: Event
    readonly reason?: SubscriptionClosedReason
  }
  readonly result?: { readonly subscriptionId: string }
  readonly error?: { readonly message?: string; readonly data?: unknown }
}

/**
 * One life of a WebSocket to `/ws`: connecting → open → ended, once and for all; whoever wants to go on opens another.
 * What is asked for while it connects goes out when it is open.
 */
export function openRpcSocket({ url, token, onReached, onEnd }: RpcSocketOptions): RpcSocket {
  const { WebSocket } = loadWs()
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    maxPayload: FRAME_LIMIT_BYTES,
    perMessageDeflate: false,
  })
  const asked = new Map<number, Subscribed>()
  const active = new Map<string, Subscribed>()
  const holders = new Set<object>()
  const unsent: string[] = []
  let count = 0
  let isEnded = false
  // Not the library's own handshakeTimeout, which throws when it fires after an error (ws 8.23.0).
  let silence = setTimeout(() => end(toUnreachable(url, 'it did not answer in time')), HANDSHAKE_DEADLINE_MS)

  function end(error: ClientError): void {
    if (isEnded) return
    isEnded = true
    clearTimeout(silence)
    onEnd()
    const left = [...asked.values(), ...active.values()].filter(({ isCancelled }) => !isCancelled)
    asked.clear()
    active.clear()
    for (const { sink } of left) sink.lost(error)
    leave()
  }

  function leave(): void {
    if (socket.readyState === WebSocket.CONNECTING) return socket.terminate()
    // After a failed handshake there is nothing below it.
    if (socket.readyState !== WebSocket.OPEN) return
    // A paused socket would never see the peer's close frame.
    socket.resume()
    socket.close(1000)
    setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref()
  }

  function send(text: string): void {
    if (socket.readyState === WebSocket.OPEN) socket.send(text)
    else if (socket.readyState === WebSocket.CONNECTING) unsent.push(text)
  }

  function unsubscribe(subscriptionId: string): void {
    active.delete(subscriptionId)
    // A notification: nobody waits for the answer, and what is still on its way finds no sink.
    send(JSON.stringify({ jsonrpc: '2.0', method: 'execution.unsubscribe', params: { subscriptionId } }))
  }

  /** Synchronous to the end: the next frame may be this subscription's first event. */
  function settle(id: number, { result, error }: Incoming): void {
    const subscribed = asked.get(id)
    if (!subscribed) return
    asked.delete(id)
    if (!result) {
      if (!subscribed.isCancelled) subscribed.sink.lost(decodeRpcError(error ?? {}))
    } else if (subscribed.isCancelled) {
      unsubscribe(result.subscriptionId)
    } else {
      subscribed.subscriptionId = result.subscriptionId
      active.set(result.subscriptionId, subscribed)
      subscribed.sink.answered()
    }
  }

  function read(data: Buffer): void {
    // Safe: the service's own frames; what is no object or is unknown is ignored, as the protocol asks of clients.
    const message = parseJson(data.toString()) as Incoming | null | undefined
    if (message === undefined) return end(toBadAnswer(url, 'A frame without JSON'))
    if (typeof message?.id === 'number') return settle(message.id, message)
    const params = message?.params
    const subscribed = params && active.get(params.subscriptionId)
    if (!subscribed) return
    if (message.method === 'execution.event' && params.event) subscribed.sink.event(params.event, data.length)
    if (message.method !== 'subscription.closed') return
    active.delete(params.subscriptionId)
    subscribed.sink.closed(params.reason ?? 'finished')
  }

  socket.on('open', () => {
    clearTimeout(silence)
    if (isEnded) return
    silence = setTimeout(() => end(toUnreachable(url, 'it fell silent')), SILENCE_LIMIT_MS)
    onReached()
    for (const text of unsent.splice(0)) socket.send(text)
  })
  socket.on('message', (data: Buffer) => {
    silence.refresh()
    if (!isEnded) read(data)
  })
  socket.on('ping', () => silence.refresh())
  /** An HTTP answer instead of the upgrade. */
  async function endWithAnswer(response: IncomingMessage): Promise<void> {
    const text = await readText(response)
    end(decodeProblem(url, response.statusCode ?? 0, text, response.headers['retry-after']))
  }

  socket.on('unexpected-response', (_request, response) => void endWithAnswer(response))
  socket.on('error', (error) => end(toUnreachable(url, error)))
  socket.on('close', (code, reason) =>
    end(toUnreachable(url, `the connection was closed (${code}${reason.length > 0 ? ` ${reason.toString()}` : ''})`)),
  )

  return {
    subscribe(params, sink) {
      const subscribed: Subscribed = { sink, subscriptionId: undefined, isCancelled: false }
      const id = (count += 1)
      asked.set(id, subscribed)
      send(JSON.stringify({ jsonrpc: '2.0', id, method: 'execution.subscribe', params }))
      return {
        cancel() {
          subscribed.isCancelled = true
          if (subscribed.subscriptionId !== undefined && active.has(subscribed.subscriptionId))
            unsubscribe(subscribed.subscriptionId)
        },
      }
    },
    hold(holder) {
      if (isEnded) return
      holders.add(holder)
      socket.pause()
    },
    release(holder) {
      if (!holders.delete(holder) || holders.size > 0 || isEnded) return
      // Nothing was read meanwhile, so nothing is known about the peer.
      silence.refresh()
      socket.resume()
    },
    close: () => end(toUnreachable(url, 'this client closed the connection')),
  }
}

/** Of a refused upgrade; resolves in any case. */
async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setTimeout(HANDSHAKE_DEADLINE_MS, () => response.destroy())
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > PROBLEM_LIMIT_CHARACTERS) break
    }
  } catch {
    // What came tells enough, or nothing does.
  }
  return text
}
