// Event logs on a real Redis: their writer, their readers and their followers.
import { v7 as uuidv7 } from 'uuid'
import { createEventLog, type EventLog } from '../../src/events/event-log.js'
import { openEventFeed } from '../../src/events/event-feed.js'
import { LogWriter } from '../../src/events/log-writer.js'
import { serializeWithoutSeq, type StoredEvent } from '../../src/events/stored-event.js'
import { createLogger } from '../../src/platform/logger.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import type { NewEvent } from '../../src/protocol/events.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import type { Test } from 'tap'
import { openTestRedis } from '../support/redis.js'
import { repeat } from '../support/deadlines.js'

const PREFIX = 'log-test'

export const delta = (text: string): NewEvent => ({ type: 'text.delta', data: { message: 0, text } })
export const FINISHED: NewEvent = {
  type: 'execution.finished',
  data: { outcome: { status: 'succeeded', result: '' }, usage: NO_USAGE },
}
export const keysOf = (id: string) => ({ events: `{${PREFIX}}:events:${id}`, log: `{${PREFIX}}:log:${id}` })
export const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
export const seqsOf = (events: readonly StoredEvent[]): number[] => events.map(({ seq }) => seq)

export const textOf = (seq: number, event: NewEvent): string =>
  `{"seq":${seq},${serializeWithoutSeq(event, new Date(), 1)}`

/** With a feed of its own, until the tests of the file have ended. */
export async function openLogs(t: Test) {
  const logger = createLogger('silent', 'test')
  const { url } = await openTestRedis(t)
  const redis = openRedis({ url, logger, role: 'keeper' })
  const subscriber = openRedis({ url, logger, role: 'subscriber' })
  const log = createEventLog(redis, PREFIX)
  const feed = openEventFeed({ log, subscriber, logger })
  t.teardown(() => {
    feed.close()
    for (const connection of [subscriber, redis]) closeRedis(connection)
  })

  /** Lets everything that is ready run, Redis' answers included, without waiting for a time. */
  const pong = async (): Promise<void> => void (await redis.ping())

  /** A log whose fence is held, as a claim leaves it. */
  async function openLog(fence = '1'): Promise<string> {
    const id = uuidv7()
    await redis.hset(keysOf(id).log, 'fence', fence, 'lastSeq', '0')
    return id
  }

  function write(
    id: string,
    {
      fence = '1',
      lastSeq = 0,
      through = log,
      written,
    }: { fence?: string; lastSeq?: number; through?: EventLog; written?: { add(bytes: Buffer): void } } = {},
  ) {
    let stale = 0
    const writer = new LogWriter({
      log: through,
      executionId: id,
      fence,
      attempt: 1,
      lastSeq,
      onStale: () => (stale += 1),
      written,
    })
    return { writer, staleCalls: () => stale }
  }

  async function readAll(id: string): Promise<StoredEvent[]> {
    const all: StoredEvent[] = []
    return repeat(async () => {
      const { events } = await log.readAfter(id, all.at(-1)?.seq ?? 0, 64 * 1024)
      all.push(...events)
      return events.length === 0 ? all : undefined
    }, 'all is read')
  }

  async function collect(id: string, after = 0, signal = new AbortController().signal): Promise<number[]> {
    const seqs: number[] = []
    for await (const events of feed.follow(id, after, signal)) seqs.push(...seqsOf(events))
    return seqs
  }

  /** A follower that can be asked when it has seen a seq. */
  function follow(id: string, after = 0) {
    const seqs: number[] = []
    const stop = new AbortController()
    let wake = (): void => undefined
    const ended = (async () => {
      for await (const events of feed.follow(id, after, stop.signal)) {
        seqs.push(...seqsOf(events))
        wake()
      }
    })()
    ended.catch(() => wake())
    return {
      seqs,
      ended,
      stop: () => stop.abort(),
      async until(seq: number): Promise<void> {
        await repeat(async () => {
          if ((seqs.at(-1) ?? 0) >= seq) return true
          await Promise.race([new Promise<void>((resolve) => (wake = resolve)), ended])
          return undefined
        }, `seq ${seq} comes`)
      },
    }
  }

  async function subscribers(id: string): Promise<number> {
    const [, count] = await redis.pubsub('NUMSUB', log.channelOf(id))
    return Number(count)
  }

  async function noSubscriber(t: Test, id: string): Promise<void> {
    // The unsubscription is sent at once, on the other connection: a few round trips are more than enough.
    for (let tries = 0; tries < 1_000 && (await subscribers(id)) > 0; tries += 1) await pong()
    t.same(await redis.pubsub('CHANNELS', `*${id}*`), [], 'nobody is subscribed any more')
  }

  return {
    url,
    logger,
    redis,
    subscriber,
    log,
    feed,
    pong,
    openLog,
    write,
    readAll,
    collect,
    follow,
    subscribers,
    noSubscriber,
  }
}
