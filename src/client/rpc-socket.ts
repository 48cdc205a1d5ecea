import type { Event } from '../protocol/events.js'
import type { SubscribeParams, SubscriptionClosedReason } from '../protocol/subscription.js'
import { openBrowserTransport } from './browser-transport.js'
import { decodeRpcError, parseJson, toBadAnswer, toUnreachable, type ClientError } from './client-error.js'
import { openNodeTransport } from './node-transport.js'
import { watchSilence } from './silence.js'

const HANDSHAKE_DEADLINE_MS = 10_000
/**
 * The service pings every 25 s; whoever is silent for longer than two of them is gone, although TCP has not noticed.
 */
const SILENCE_LIMIT_MS = 60_000

const openTransport = globalThis.process === undefined ? openBrowserTransport : openNodeTransport

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
  /** The socket is not read while anybody holds it; false: it cannot be stopped. */
  hold(holder: object): boolean
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
  const asked = new Map<number, Subscribed>()
  const active = new Map<string, Subscribed>()
  const holders = new Set<object>()
  const unsent: string[] = []
  let count = 0
  let isEnded = false
  let isOpen = false
  // Not the library's own handshakeTimeout, which throws when it fires after an error (ws 8.23.0).
  let silence = watchSilence(HANDSHAKE_DEADLINE_MS, () => end(toUnreachable(url, 'it did not answer in time')))

  function end(error: ClientError): void {
    if (isEnded) return
    isEnded = true
    silence.stop()
    onEnd()
    const left = [...asked.values(), ...active.values()].filter(({ isCancelled }) => !isCancelled)
    asked.clear()
    active.clear()
    for (const { sink } of left) sink.lost(error)
    transport.close()
  }

  function send(text: string): void {
    if (isEnded) return
    if (isOpen) transport.send(text)
    else unsent.push(text)
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

  function read(text: string, bytes: number): void {
    // Safe: the service's own frames; what is no object or is unknown is ignored, as the protocol asks of clients.
    const message = parseJson(text) as Incoming | null | undefined
    if (message === undefined) return end(toBadAnswer(url, 'A frame without JSON'))
    if (typeof message?.id === 'number') return settle(message.id, message)
    const params = message?.params
    const subscribed = params && active.get(params.subscriptionId)
    if (!subscribed) return
    if (message.method === 'execution.event' && params.event) subscribed.sink.event(params.event, bytes)
    if (message.method !== 'subscription.closed') return
    active.delete(params.subscriptionId)
    subscribed.sink.closed(params.reason ?? 'finished')
  }

  const transport = openTransport(
    { url, token },
    {
      onOpen() {
        silence.stop()
        if (isEnded) return
        isOpen = true
        silence = watchSilence(SILENCE_LIMIT_MS, () => end(toUnreachable(url, 'it fell silent')))
        onReached()
        for (const text of unsent.splice(0)) transport.send(text)
      },
      onText(text, bytes) {
        silence.refresh()
        if (!isEnded) read(text, bytes)
      },
      onAlive: () => silence.refresh(),
      onLost: end,
    },
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
      if (isEnded) return true
      holders.add(holder)
      return transport.pause()
    },
    release(holder) {
      if (!holders.delete(holder) || holders.size > 0 || isEnded) return
      // Nothing was read meanwhile, so nothing is known about the peer.
      silence.refresh()
      transport.resume()
    },
    close: () => end(toUnreachable(url, 'this client closed the connection')),
  }
}
