import { joinSignals, sleep } from '../platform/abort-signals.js'
import type { Event, EventType } from '../protocol/events.js'
import type { SubscribeParams } from '../protocol/subscription.js'
import { toClosed, type ClientError } from './client-error.js'
import { isUpgradeLost } from './event-stream.js'
import type { EventSubscription } from './shared-socket.js'

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 5_000

export interface FollowOptions {
  /** The cursor: the last seq already seen; default 0, from the beginning. */
  readonly after?: number | undefined
  /** Only these types. */
  readonly types?: readonly EventType[] | undefined
  /** Ends the generator quietly. */
  readonly signal?: AbortSignal | undefined
  /** The connection is gone; another is tried, from the cursor on. Called once per interruption. */
  readonly onInterrupted?: ((error: ClientError) => void) | undefined
  /** A proxy lets no WebSocket through: the events come by Server-Sent Events instead. Called once. */
  readonly onFallback?: ((error: ClientError) => void) | undefined
}

/** Where the events come from; each subscribes to one execution from a cursor on. */
export interface EventSource {
  subscribe(params: SubscribeParams): EventSubscription
}

interface Follower {
  /** The WebSocket, or what has taken its place. */
  readonly source: () => EventSource
  /** From now on, and for everybody: plain HTTP. */
  readonly fallBack: () => void
  readonly closing: AbortSignal
  /** Whether the service has ever answered: before that nothing is waited for. */
  readonly hasReached: () => boolean
  readonly reconnectMs: number
}

/** Whether a new connection may help. What never answered at all is told at once instead. */
const mayPass = (error: ClientError, hasReached: boolean): boolean =>
  error.retryable && (error.code !== 'UNREACHABLE' || hasReached)

/**
 * The events after a cursor to the end, each once: following → interrupted (backoff, at most `patienceMs` without
 * progress) → following.
 * The cursor is the last event given out, so whatever the service sends twice is dropped here.
 */
export async function* followExecution(
  { source, fallBack, closing, hasReached, reconnectMs }: Follower,
  executionId: string,
  { after = 0, types, signal, onInterrupted, onFallback }: FollowOptions,
): AsyncGenerator<Event, void, undefined> {
  const { signal: stop, release } = joinSignals([closing, ...(signal ? [signal] : [])])
  let cursor = after
  let interruption: { readonly since: number; failures: number } | undefined

  /** Lets some time pass, or throws where there is no more to hope for. */
  async function awaitRetry(error: ClientError, answeredAt: number | undefined): Promise<void> {
    const now = performance.now()
    // A connection that held for a while was an end of the interruption, even without an event.
    if (answeredAt !== undefined && now - answeredAt >= LONGEST_DELAY_MS) interruption = undefined
    if (!mayPass(error, hasReached()) || (interruption && now - interruption.since > reconnectMs)) throw error
    if (!interruption) onInterrupted?.(error)
    interruption ??= { since: now, failures: 0 }
    const backoff = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** interruption.failures)
    interruption.failures += 1
    // Spread: many clients lose the same process at the same moment.
    const milliseconds = Math.max(
      backoff * (0.5 + Math.random() / 2),
      Math.min((error.retryAfterSeconds ?? 0) * 1_000, LONGEST_DELAY_MS),
    )
    await sleep(milliseconds, stop)
  }

  try {
    while (!stop.aborted) {
      const subscription = source().subscribe({ executionId, after: cursor, types: types && [...types] })
      stop.addEventListener('abort', subscription.close, { once: true })
      try {
        for (let event = await subscription.next(); event && !stop.aborted; event = await subscription.next()) {
          if (event.seq <= cursor) continue
          cursor = event.seq
          interruption = undefined
          yield event
          if (event.type === 'execution.finished') return
        }
        if (subscription.ended === 'finished') return
      } catch (error) {
        if (stop.aborted) continue
        // Safe: a subscription throws nothing else.
        const failure = error as ClientError
        if (isUpgradeLost(failure)) {
          fallBack()
          onFallback?.(failure)
        } else await awaitRetry(failure, subscription.answeredAt)
      } finally {
        stop.removeEventListener('abort', subscription.close)
        subscription.close()
      }
    }
  } finally {
    release()
  }
  if (closing.aborted) throw toClosed()
}
