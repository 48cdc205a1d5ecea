import type { Redis } from 'ioredis'
import { sleep } from '../platform/abort-signals.js'
import type { Logger } from '../platform/logger.js'
import { ExecutorError } from '../protocol/errors.js'
import type { EventLog } from './event-log.js'
import { ChunkForms } from './chunk-forms.js'
import { eventsOf, keepChunks, toChunk, type Chunk } from './chunk.js'
import { LogReader, type Listener, type ReaderSource } from './log-reader.js'
import { PAGE_BYTES, RecentChunks } from './recent-chunks.js'
import { SharedTail } from './shared-tail.js'
import { TailWatch, type Followed } from './tail-watch.js'
import type { StoredEvent } from './stored-event.js'

const RETRY_MS = 250

/** Past and future of an execution's log as one ordered sequence. */
export interface EventFeed {
  /**
   * A reader of the events after the cursor, in order, each once, up to the terminal one. One that does not take costs
   * nothing: history waits in Redis. Its `error` is EXECUTION_NOT_FOUND where there is no such log, or no longer; an
   * error of the driver only where the log cannot be reached at the beginning.
   */
  read(executionId: string, after: number, listener: Listener): LogReader
  /** The same as chunks to be pulled; also ends when the signal aborts. @throws what a reader has as its error */
  followChunks(executionId: string, after: number, signal: AbortSignal): AsyncGenerator<FollowedChunk, void, undefined>
  /** The same as events, which may be kept. */
  follow(
    executionId: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoredEvent[], void, undefined>
  close(): void
}

export interface FollowedChunk {
  readonly chunk: Chunk
  /** As of its reader. */
  shape(name: string, make: () => Buffer): Buffer
}

interface FeedOptions {
  readonly log: EventLog
  /** A connection of the `subscriber` role. */
  readonly subscriber: Redis
  readonly logger: Logger
  /** Gets what was published, when its readers have it. */
  readonly onRelayed?: ((lines: Buffer) => void) | undefined
}

/**
 * One channel and one bounded tail per followed execution, however many follow it.
 * The order is what makes it whole: subscribe first, then read the log, then go on with what the channel brings;
 * a message that does not continue the tail sends the reader back to the log.
 */
export function openEventFeed({ log, subscriber, logger, onRelayed }: FeedOptions): EventFeed {
  const tails = new Map<string, Promise<SharedTail>>()
  const byChannel = new Map<string, Followed>()
  const recent = new RecentChunks(log)
  const forms = new ChunkForms()
  let isClosed = false
  const watch = new TailWatch({
    log,
    logger,
    list: () => [...byChannel.values()],
    repair: ({ executionId, shared }) => repair(executionId, shared),
  })

  subscriber.on('messageBuffer', (channel: Buffer, batch: Buffer) => {
    const entry = byChannel.get(channel.toString('latin1'))
    const chunk = entry && toChunk(batch)
    if (!chunk) return
    if (!entry.shared.add([chunk])) repair(entry.executionId, entry.shared)
    onRelayed?.(batch)
  })
  // Whatever was published while the connection was down is in the log, and Redis may have come back with less.
  subscriber.on('ready', () => {
    recent.clear()
    for (const { executionId, shared } of byChannel.values()) repair(executionId, shared)
  })

  /** Reads the log from where the tail ends. Failures wait for the next look. */
  function repair(executionId: string, shared: SharedTail): void {
    shared.repairing ??= readOn(executionId, shared)
      .catch((error: unknown) => logger.debug({ executionId, err: error }, 'the log could not be read; trying again'))
      .finally(() => {
        shared.repairing = undefined
      })
  }

  async function readOn(executionId: string, shared: SharedTail): Promise<void> {
    const { tail } = shared
    for (;;) {
      const known = tail.lastSeq
      const page = await log.readChunks(executionId, known, PAGE_BYTES)
      if (page.lastSeq === -1) {
        tail.isGone = true
        shared.wake()
      }
      // Redis came back without its last moments. A writer that lives sends them again; what has ended without them
      // stays so.
      if (page.lastSeq < known) recent.clear()
      if (page.lastSeq < known && !tail.isFinished && tail.endShort((await log.readLast(executionId)).chunks))
        shared.wake()
      if (page.chunks.length === 0 || !shared.add(page.chunks)) return
    }
  }

  async function openTail(executionId: string): Promise<SharedTail> {
    const channel = log.channelOf(executionId)
    // ioredis subscribes again by itself after a reconnect; meanwhile the looks carry on.
    const subscribed = subscriber.subscribe(channel).catch(() => undefined)
    if (subscriber.status === 'ready') await subscribed
    const { chunks } = await log.readLast(executionId).catch((error: unknown) => {
      subscriber.unsubscribe(channel).catch(() => undefined)
      throw error
    })
    const shared = new SharedTail((chunks[0]?.first ?? 1) - 1)
    shared.tail.add(chunks)
    byChannel.set(channel, { executionId, shared })
    watch.begin()
    // What was published between the subscription and the read above is in the log.
    repair(executionId, shared)
    return shared
  }

  /** A page of history. A reader outlives an outage: it is asked for again. */
  async function readPage(reader: LogReader, after: number): Promise<readonly Chunk[]> {
    while (!reader.isOver && !isClosed) {
      try {
        const page = await recent.read(reader.executionId, after, reader.isShared)
        if (page.lastSeq === -1) throw new ExecutorError('EXECUTION_NOT_FOUND')
        return page.chunks
      } catch (error) {
        if (error instanceof ExecutorError) throw error
        await sleep(RETRY_MS)
      }
    }
    return []
  }

  const source: ReaderSource = {
    forms,
    get isClosed() {
      return isClosed
    },
    async acquire(executionId, reader) {
      for (;;) {
        let opening = tails.get(executionId)
        if (!opening) {
          opening = openTail(executionId)
          tails.set(executionId, opening)
          opening.catch(() => tails.delete(executionId))
        }
        const shared = await opening
        if (tails.get(executionId) !== opening) continue
        shared.readers.add(reader)
        return shared
      }
    },
    release(executionId, reader, shared) {
      shared.readers.delete(reader)
      if (shared.readers.size > 0) return
      tails.delete(executionId)
      byChannel.delete(log.channelOf(executionId))
      if (!isClosed) subscriber.unsubscribe(log.channelOf(executionId)).catch(() => undefined)
    },
    recent: (executionId, cursor) => recent.get(executionId, cursor),
    readPage,
  }

  async function* followChunks(
    executionId: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<FollowedChunk, void, undefined> {
    if (signal.aborted) return
    const bell = new Bell()
    const reader = new LogReader(source, executionId, after, bell)
    const leave = (): void => {
      reader.close()
      bell.wake()
    }
    signal.addEventListener('abort', leave, { once: true })
    try {
      for (;;) {
        const heard = bell.next()
        const chunk = reader.take()
        if (chunk) yield { chunk, shape: (name, make) => reader.shape(chunk, name, make) }
        else if (!reader.isOver) await heard
        else if (reader.error === undefined) return
        else throw reader.error
      }
    } finally {
      signal.removeEventListener('abort', leave)
      reader.close()
    }
  }

  return {
    read: (executionId, after, listener) => new LogReader(source, executionId, after, listener),
    followChunks,
    async *follow(executionId, after, signal) {
      for await (const { chunk } of followChunks(executionId, after, signal)) {
        const own = { ...chunk }
        keepChunks([own])
        yield eventsOf(own)
      }
    },
    close() {
      isClosed = true
      watch.close()
      for (const { shared } of byChannel.values()) shared.wake()
    },
  }
}

/** One promise for however many wakes come before it is waited for again. */
class Bell implements Listener {
  #ring: (() => void) | undefined
  #heard: Promise<void> | undefined

  next(): Promise<void> {
    this.#heard ??= new Promise((resolve) => (this.#ring = resolve))
    return this.#heard
  }

  wake(): void {
    this.#ring?.()
    this.#heard = undefined
  }
}
