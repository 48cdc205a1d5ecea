import type { Redis } from 'ioredis'
import { sleep } from '../platform/abort-signals.js'
import type { Logger } from '../platform/logger.js'
import { ExecutorError } from '../protocol/errors.js'
import type { EventLog } from './event-log.js'
import { LiveTail } from './live-tail.js'
import { isTerminalEvent, type StoredEvent } from './stored-event.js'

/** Read at once from the log: enough to be quick, little enough for many slow readers. */
const PAGE_BYTES = 256 * 1024
/** How soon a published message that was lost (a broken connection) is made good. */
const SLOW_READ_MS = 2_000
const RETRY_MS = 250

/** Past and future of an execution's log as one ordered sequence. */
export interface EventFeed {
  /**
   * The events after the cursor, in order, each once, up to the terminal one; then it ends. It also ends when the
   * signal aborts.
   * A consumer that does not pull costs nothing: history waits in Redis.
   * @throws ExecutorError EXECUTION_NOT_FOUND where there is no such log, or no longer; an error of the driver only
   * where the log cannot be reached at the beginning
   */
  follow(
    executionId: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoredEvent[], void, undefined>
  close(): void
}

interface FeedOptions {
  readonly log: EventLog
  /** A connection of the `subscriber` role. */
  readonly subscriber: Redis
  readonly logger: Logger
}

interface SharedTail {
  readonly tail: LiveTail
  followers: number
  readonly timer: NodeJS.Timeout
  /** Set while the log is read for this tail, so that one gap is repaired once. */
  repairing: Promise<void> | undefined
}

/**
 * One channel and one bounded tail per followed execution, however many follow it.
 * The order is what makes it whole: subscribe first, then read the log, then go on with what the channel brings;
 * a message that does not continue the tail sends the reader back to the log.
 */
export function openEventFeed({ log, subscriber, logger }: FeedOptions): EventFeed {
  const tails = new Map<string, Promise<SharedTail>>()
  const byChannel = new Map<string, { executionId: string; shared: SharedTail }>()
  let isClosed = false

  subscriber.on('messageBuffer', (channel: Buffer, batch: Buffer) => {
    const entry = byChannel.get(channel.toString())
    if (entry && !entry.shared.tail.push(batch)) repair(entry.executionId, entry.shared)
  })
  // Whatever was published while the connection was down is in the log.
  subscriber.on('ready', () => {
    for (const { executionId, shared } of byChannel.values()) repair(executionId, shared)
  })

  /** Reads the log from where the tail ends. Failures wait for the next slow read. */
  function repair(executionId: string, shared: SharedTail): void {
    shared.repairing ??= readOn(executionId, shared)
      .catch((error: unknown) => logger.debug({ executionId, err: error }, 'the log could not be read; trying again'))
      .finally(() => {
        shared.repairing = undefined
      })
  }

  async function readOn(executionId: string, { tail }: SharedTail): Promise<void> {
    for (;;) {
      const known = tail.lastSeq
      const page = await log.readAfter(executionId, known, PAGE_BYTES)
      if (page.lastSeq === -1) {
        tail.isGone = true
        tail.wake()
      }
      // Redis came back without its last moments. A writer that lives sends them again; what has ended without them
      // stays so.
      if (page.lastSeq < known && !tail.isFinished) tail.endShort((await log.readLast(executionId)).events)
      if (page.events.length === 0 || !tail.add(page.events)) return
    }
  }

  async function openTail(executionId: string): Promise<SharedTail> {
    const channel = log.channelOf(executionId)
    // ioredis subscribes again by itself after a reconnect; meanwhile the slow reads carry on.
    const subscribed = subscriber.subscribe(channel).catch(() => undefined)
    if (subscriber.status === 'ready') await subscribed
    const { events } = await log.readLast(executionId).catch((error: unknown) => {
      subscriber.unsubscribe(channel).catch(() => undefined)
      throw error
    })
    const tail = new LiveTail((events[0]?.seq ?? 1) - 1)
    tail.add(events)
    const shared: SharedTail = {
      tail,
      followers: 0,
      repairing: undefined,
      timer: setInterval(() => repair(executionId, shared), SLOW_READ_MS),
    }
    shared.timer.unref()
    byChannel.set(channel, { executionId, shared })
    // What was published between the subscription and the read above is in the log.
    repair(executionId, shared)
    return shared
  }

  async function acquire(executionId: string): Promise<SharedTail> {
    for (;;) {
      let opening = tails.get(executionId)
      if (!opening) {
        opening = openTail(executionId)
        tails.set(executionId, opening)
        opening.catch(() => tails.delete(executionId))
      }
      const shared = await opening
      if (tails.get(executionId) !== opening) continue
      shared.followers += 1
      return shared
    }
  }

  function release(executionId: string, shared: SharedTail): void {
    shared.followers -= 1
    if (shared.followers > 0) return
    clearInterval(shared.timer)
    tails.delete(executionId)
    byChannel.delete(log.channelOf(executionId))
    if (!isClosed) subscriber.unsubscribe(log.channelOf(executionId)).catch(() => undefined)
  }

  async function* follow(
    executionId: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoredEvent[], void, undefined> {
    const shared = await acquire(executionId)
    const { tail } = shared
    let cursor = after
    try {
      while (!signal.aborted && !isClosed) {
        const { version } = tail
        if (tail.isGone) throw new ExecutorError('EXECUTION_NOT_FOUND')
        const events = tail.after(cursor) ?? (cursor < tail.lastSeq ? await readPage(executionId, cursor, signal) : [])
        const last = events.at(-1)
        if (last) {
          cursor = last.seq
          yield events
          if (isTerminalEvent(last)) return
        } else if (tail.isFinished && cursor >= tail.lastSeq) {
          return
        } else {
          await tail.changed(version, signal)
        }
      }
    } finally {
      release(executionId, shared)
    }
  }

  /** A page of history. A follower outlives an outage: it waits here and asks again. */
  async function readPage(executionId: string, cursor: number, signal: AbortSignal): Promise<readonly StoredEvent[]> {
    while (!signal.aborted && !isClosed) {
      try {
        const page = await log.readAfter(executionId, cursor, PAGE_BYTES)
        if (page.lastSeq === -1) throw new ExecutorError('EXECUTION_NOT_FOUND')
        return page.events
      } catch (error) {
        if (error instanceof ExecutorError) throw error
        await sleep(RETRY_MS, signal)
      }
    }
    return []
  }

  return {
    follow,
    close() {
      isClosed = true
      for (const { shared } of byChannel.values()) shared.tail.wake()
    },
  }
}
