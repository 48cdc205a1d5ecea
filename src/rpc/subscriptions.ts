import type { EventFeed } from '../events/event-feed.js'
import type { LogReader } from '../events/log-reader.js'
import type { ExecutionServices } from '../executions/services.js'
import { ExecutorError } from '../protocol/errors.js'
import type { SubscriptionClosedReason } from '../protocol/subscription.js'
import { toRpcNotification } from '../protocol/rpc.js'
import { toEventFrames, type Selection } from './event-frames.js'
import type { Frame, FrameSource, FrameWriter } from './frame-writer.js'

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
  /** Counts them; undefined: metrics are off. */
  readonly figures: ExecutionServices['figures']
  /** Tells of an error that the peer only hears as `store_unavailable`. */
  readonly onError: (error: unknown, executionId: string) => void
}

const EVERYTHING: Selection = { maxEventBytes: Infinity }

/** Carries one log to the socket, in pieces, whenever there is room for one. An idle one is little but its fields. */
class Subscription implements FrameSource {
  isOffered = false
  /** undefined before its start. */
  #reader: LogReader | undefined
  #isClosed = false
  /** Names what its chunks look like: the same for all subscriptions that get the same bytes. */
  readonly #shape: string
  readonly #selection: Selection

  constructor(
    private readonly owner: Pick<SubscriptionsOptions, 'feed' | 'writer' | 'onError' | 'figures'> & {
      forget(id: string): void
    },
    readonly id: string,
    readonly executionId: string,
    private readonly after: number,
    { types, maxEventBytes = Infinity }: SubscriptionOptions,
  ) {
    const isWhole = types === undefined && maxEventBytes === Infinity
    this.#selection = isWhole ? EVERYTHING : { types: types && new Set(types), maxEventBytes }
    this.#shape = isWhole ? id : `${id} ${maxEventBytes} ${types?.join() ?? '*'}`
  }

  start(): void {
    if (this.#isClosed) return
    this.#reader = this.owner.feed.read(this.executionId, this.after, this)
    if (this.owner.figures) this.owner.figures.subscribers.websocket += 1
  }

  wake(): void {
    this.owner.writer.offer(this)
  }

  next(): Frame | Buffer | undefined {
    const reader = this.#reader
    if (this.#isClosed || !reader) return undefined
    for (let chunk = reader.take(); chunk; chunk = reader.take()) {
      const taken = chunk
      const frames = reader.shape(taken, this.#shape, () =>
        toEventFrames(taken, this.id, this.executionId, this.#selection),
      )
      if (frames.length > 0) return frames
    }
    return reader.isOver ? this.#conclude(reader.error) : undefined
  }

  fail(error: unknown): void {
    const closed = this.#isClosed ? undefined : this.#conclude(error)
    if (closed !== undefined) void this.owner.writer.write([closed])
  }

  /** Nothing is said of it any more. */
  close(): void {
    if (this.owner.figures && this.#reader && !this.#isClosed) this.owner.figures.subscribers.websocket -= 1
    this.#isClosed = true
    this.#reader?.close()
  }

  #conclude(error: unknown): Frame {
    this.close()
    this.owner.forget(this.id)
    if (error === undefined) return toClosed(this, 'finished')
    if (error instanceof ExecutorError && error.code === 'EXECUTION_NOT_FOUND') return toClosed(this, 'deleted')
    this.owner.onError(error, this.executionId)
    return toClosed(this, 'store_unavailable')
  }
}

/** The subscriptions of a connection. */
export function createSubscriptions({ feed, writer, limit, onError, figures }: SubscriptionsOptions): Subscriptions {
  const active = new Map<string, Subscription>()
  const owner = { feed, writer, onError, figures, forget: (id: string) => void active.delete(id) }
  let reserved = 0
  let count = 0
  let isClosed = false

  function subscribe(executionId: string, options: SubscriptionOptions): ReturnType<Place['subscribe']> {
    const subscriptionId = `sub-${(count += 1)}`
    const subscription = new Subscription(owner, subscriptionId, executionId, options.after ?? 0, options)
    // The socket may have gone away while the execution was looked up.
    if (isClosed) subscription.close()
    else active.set(subscriptionId, subscription)
    return { subscriptionId, start: () => subscription.start() }
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
          return subscribe(executionId, options)
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
      subscription.close()
      return () => void writer.write([toClosed(subscription, 'unsubscribed')])
    },
    close() {
      isClosed = true
      for (const subscription of active.values()) subscription.close()
      active.clear()
    },
  }
}

const toClosed = ({ id: subscriptionId, executionId }: Subscription, reason: SubscriptionClosedReason): Frame =>
  JSON.stringify(toRpcNotification('subscription.closed', { subscriptionId, executionId, reason }))
