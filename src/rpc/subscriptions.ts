import type { EventFeed } from '../events/event-feed.js'
import type { StoredEvent } from '../events/stored-event.js'
import { ExecutorError } from '../protocol/errors.js'
import type { SubscriptionClosedReason } from '../protocol/subscription.js'
import { eventNotificationParts, toRpcNotification } from '../protocol/rpc.js'
import type { Frame, FrameWriter } from './frame-writer.js'
import { shortenEvent } from './shorten-event.js'

export interface SubscriptionOptions {
  readonly after?: number | undefined
  readonly types?: readonly string[] | undefined
  readonly maxEventBytes?: number | undefined
}

/** A place for one subscription, taken before it is known whether the execution exists. */
export interface Place {
  /** Nothing is sent before `start()`, so that the answer can precede the first event. */
  subscribe(executionId: string, options: SubscriptionOptions): { readonly subscriptionId: string; start(): void }
  /** Gives the place back; nothing once it is subscribed. */
  release(): void
}

export interface Subscriptions {
  /** @throws ExecutorError SUBSCRIPTION_LIMIT */
  reserve(): Place
  /**
   * Stops the events at once; the returned function says so to the peer. @throws ExecutorError SUBSCRIPTION_NOT_FOUND
   */
  unsubscribe(subscriptionId: string): () => void
  close(): void
}

interface SubscriptionsOptions {
  readonly feed: EventFeed
  readonly writer: FrameWriter
  readonly limit: number
  /** Tells of an error that the peer only hears as `store_unavailable`. */
  readonly onError: (error: unknown, executionId: string) => void
}

/**
 * The pumps of a connection: each carries one log to the socket and pulls only when the writer has taken what it
 * brought.
 */
export function createSubscriptions({ feed, writer, limit, onError }: SubscriptionsOptions): Subscriptions {
  const active = new Map<string, { readonly executionId: string; readonly abort: AbortController }>()
  let reserved = 0
  let count = 0
  let isClosed = false

  async function pump(
    subscriptionId: string,
    executionId: string,
    { after = 0, types, maxEventBytes = Infinity }: SubscriptionOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = types && new Set(types)
    const parts = eventNotificationParts(subscriptionId, executionId)
    const envelope = { before: toOwnBytes(parts.before), after: toOwnBytes(parts.after) }

    /**
     * Lazily: while a batch waits for its turn it costs nothing but the log's own bytes, and an end is obeyed in its
     * middle.
     */
    function* toFrames(events: readonly StoredEvent[]): Generator<Frame, void, undefined> {
      for (const { type, bytes } of events) {
        if (signal.aborted) return
        if (wanted && !wanted.has(type)) continue
        yield Buffer.concat([
          envelope.before,
          bytes.length <= maxEventBytes ? bytes : shortenEvent(bytes, maxEventBytes),
          envelope.after,
        ])
      }
    }

    let reason: SubscriptionClosedReason = 'finished'
    try {
      for await (const events of feed.follow(executionId, after, signal)) await writer.write(toFrames(events))
    } catch (error) {
      reason = error instanceof ExecutorError && error.code === 'EXECUTION_NOT_FOUND' ? 'deleted' : 'store_unavailable'
      if (reason === 'store_unavailable') onError(error, executionId)
    }
    if (signal.aborted) return
    active.delete(subscriptionId)
    await writer.write([toClosed(subscriptionId, executionId, reason)])
  }

  function subscribe(executionId: string, options: SubscriptionOptions): ReturnType<Place['subscribe']> {
    const subscriptionId = `sub-${(count += 1)}`
    const abort = new AbortController()
    active.set(subscriptionId, { executionId, abort })
    return {
      subscriptionId,
      start() {
        // A promise of its own, which never rejects: its end is told to the peer.
        if (!abort.signal.aborted) void pump(subscriptionId, executionId, options, abort.signal)
      },
    }
  }

  return {
    reserve() {
      if (active.size + reserved >= limit) {
        throw new ExecutorError('SUBSCRIPTION_LIMIT', {
          detail: `This connection already has ${limit} subscriptions; unsubscribe one, or open another connection.`,
        })
      }
      reserved += 1
      let isHeld = true
      const release = () => {
        if (isHeld) reserved -= 1
        isHeld = false
      }
      return {
        subscribe(executionId, options) {
          release()
          const subscription = subscribe(executionId, options)
          // The socket went away while the execution was looked up.
          if (isClosed) active.get(subscription.subscriptionId)?.abort.abort()
          return subscription
        },
        release,
      }
    },
    unsubscribe(subscriptionId) {
      const subscription = active.get(subscriptionId)
      if (!subscription)
        throw new ExecutorError('SUBSCRIPTION_NOT_FOUND', {
          detail: `This connection has no subscription ${subscriptionId}, or no longer has it.`,
        })
      active.delete(subscriptionId)
      subscription.abort.abort()
      return () => void writer.write([toClosed(subscriptionId, subscription.executionId, 'unsubscribed')])
    },
    close() {
      isClosed = true
      for (const { abort } of active.values()) abort.abort()
      active.clear()
    },
  }
}

/** For as long as the subscription lasts: Buffer.from would pin a pool of up to 64 KiB for these few bytes. */
function toOwnBytes(text: string): Buffer {
  const own = Buffer.allocUnsafeSlow(Buffer.byteLength(text))
  own.write(text)
  return own
}

const toClosed = (subscriptionId: string, executionId: string, reason: SubscriptionClosedReason): string =>
  JSON.stringify(toRpcNotification('subscription.closed', { subscriptionId, executionId, reason }))
