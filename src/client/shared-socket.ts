import type { Event } from '../protocol/events.js'
import type { SubscribeParams, SubscriptionClosedReason } from '../protocol/subscription.js'
import { ClientError, SERVICE_UNAVAILABLE } from './client-error.js'
import { createEventInbox } from './event-inbox.js'
import { openRpcSocket, type RpcSocket } from './rpc-socket.js'

/** So much of one execution is held for a reader that does not pull. */
const INBOX_LIMIT_BYTES = 1024 * 1024
/**
 * A reader that pulls nothing for longer would hold up its neighbours, and the service would close the connection after
 * 60 s.
 */
const HOLD_LIMIT_MS = 5_000
/** Where the socket cannot be paused, as in a browser, what comes in this time is held in memory. */
const UNPAUSED_LIMIT_MS = 1_000

export interface EventSubscription {
  /** undefined: nothing will follow; `ended` says why. @throws ClientError */
  next(): Promise<Event | undefined>
  /** `set_aside`: the reader was too slow; it goes on by subscribing anew. */
  readonly ended: 'finished' | 'set_aside' | undefined
  readonly answeredAt: number | undefined
  close(): void
}

export interface SharedSocket {
  subscribe(params: SubscribeParams): EventSubscription
  /** Whoever reads gets the error. */
  close(error: ClientError): void
}

interface SharedSocketOptions {
  readonly url: string
  readonly token: string | undefined
  readonly onReached: () => void
  readonly inboxLimitBytes?: number
  readonly holdLimitMs?: number
}

/**
 * One WebSocket for all subscriptions: opened with the first, closed with the last, opened anew by the next one after a
 * loss.
 *
 * A subscription: flowing ⇄ held (its inbox is full, so the socket is not read) → set aside (held for HOLD_LIMIT_MS: it
 * is
 * cancelled, the socket flows on for the others, and the log keeps the rest) → subscribed anew, once its reader has
 * come so far.
 */
export function createSharedSocket({
  url,
  token,
  onReached,
  inboxLimitBytes = INBOX_LIMIT_BYTES,
  holdLimitMs = HOLD_LIMIT_MS,
}: SharedSocketOptions): SharedSocket {
  let current: RpcSocket | undefined
  const users = new Map<RpcSocket, Set<{ fail(error: ClientError): void }>>()

  function join(): RpcSocket {
    if (current) return current
    const opened = openRpcSocket({
      url,
      token,
      onReached,
      onEnd() {
        if (current === opened) current = undefined
        users.delete(opened)
      },
    })
    current = opened
    users.set(opened, new Set())
    return opened
  }

  function subscribe(params: SubscribeParams): EventSubscription {
    const socket = join()
    const user = { fail: (error: ClientError) => inbox.end(error) }
    users.get(socket)?.add(user)
    let ended: EventSubscription['ended']
    let answeredAt: number | undefined
    let holdTimer: ReturnType<typeof setTimeout> | undefined
    const inbox = createEventInbox({
      limitBytes: inboxLimitBytes,
      onFull() {
        if (ended !== undefined) return
        const limitMs = socket.hold(user) ? holdLimitMs : Math.min(holdLimitMs, UNPAUSED_LIMIT_MS)
        holdTimer = setTimeout(setAside, limitMs)
      },
      onRoom: flow,
    })

    function flow(): void {
      clearTimeout(holdTimer)
      socket.release(user)
    }

    function setAside(): void {
      ended = 'set_aside'
      subscription.cancel()
      flow()
      inbox.end()
    }

    const subscription = socket.subscribe(params, {
      answered: () => void (answeredAt = performance.now()),
      event: inbox.put,
      closed(reason) {
        if (reason === 'finished') ended = 'finished'
        inbox.end(reason === 'finished' ? undefined : toError(params.executionId, reason))
      },
      lost: inbox.end,
    })

    return {
      next: inbox.take,
      get ended() {
        return ended
      },
      get answeredAt() {
        return answeredAt
      },
      close() {
        subscription.cancel()
        flow()
        inbox.end()
        const left = users.get(socket)
        if (left?.delete(user) && left.size === 0) socket.close()
      },
    }
  }

  return {
    subscribe,
    close(error) {
      // Each reader is told before the socket's own end would tell it less.
      for (const user of [...users.values()].flatMap((set) => [...set])) user.fail(error)
      current?.close()
    },
  }
}

function toError(executionId: string, reason: Exclude<SubscriptionClosedReason, 'finished'>): ClientError {
  switch (reason) {
    case 'deleted':
      return new ClientError({
        code: 'EXECUTION_NOT_FOUND',
        status: 404,
        retryable: false,
        detail: `The execution ${executionId} was deleted.`,
      })
    case 'cursor_expired':
      return new ClientError({
        code: 'CURSOR_EXPIRED',
        status: 410,
        retryable: false,
        detail: 'The events after this cursor are no longer kept.',
      })
    case 'store_unavailable':
    case 'unsubscribed':
      return new ClientError({
        code: 'STORE_UNAVAILABLE',
        status: SERVICE_UNAVAILABLE,
        retryable: true,
        detail: 'The service cannot reach its store.',
      })
  }
}
