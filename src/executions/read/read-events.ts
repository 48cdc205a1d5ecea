import type { EventLog } from '../../events/event-log.js'
import { isTerminalEvent, type StoredEvent } from '../../events/stored-event.js'
import { joinSignals, sleep } from '../../platform/abort-signals.js'
import { fromStore } from '../../platform/redis.js'
import { requireExecution } from './find-execution.js'
import type { FollowServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

/** Read from the log at once while a page is filled. */
const READ_BYTES = 1024 * 1024
const EXPORT_WAIT_MS = 10_000
const RETRY_MS = 250
const NEWLINE = Buffer.from('\n')

export interface EventPage {
  readonly events: readonly StoredEvent[]
  readonly nextAfter: number
  readonly hasMore: boolean
  readonly finished: boolean
}

export interface EventPageOptions {
  readonly after: number
  readonly limit: number
  readonly types?: ReadonlySet<string>
  /** How long to wait for the first event where there is none yet. */
  readonly waitMs: number
  readonly signal: AbortSignal
}

/** A page of an execution's events. With `types` seqs skip; `nextAfter` then stands behind all that was looked at. */
export async function readEventPage(
  services: FollowServices,
  id: string,
  caller: Caller,
  options: EventPageOptions,
): Promise<EventPage> {
  await requireExecution(services, id, caller)
  const page = await readPageAfter(services.log, id, options, options.after)
  if (page.events.length > 0 || page.finished || options.waitMs <= 0) return page
  const deadline = joinSignals([options.signal], options.waitMs)
  try {
    for await (const events of services.feed.follow(id, page.nextAfter, deadline.signal)) {
      if (events.some((event) => isWanted(event, options) || isTerminalEvent(event))) break
    }
  } finally {
    deadline.release()
  }
  return readPageAfter(services.log, id, options, page.nextAfter)
}

const isWanted = (event: StoredEvent, { types }: Pick<EventPageOptions, 'types'>): boolean =>
  types === undefined || types.has(event.type)

/** What the log holds after a cursor, without waiting. */
export async function readPageAfter(
  log: EventLog,
  id: string,
  options: Pick<EventPageOptions, 'limit' | 'types'>,
  after: number,
): Promise<EventPage> {
  const found: StoredEvent[] = []
  let nextAfter = after
  let finished = false
  for (;;) {
    const { events, lastSeq } = await fromStore(log.readAfter(id, nextAfter, READ_BYTES))
    for (const event of events) {
      if (found.length === options.limit) return { events: found, nextAfter, hasMore: true, finished: false }
      nextAfter = event.seq
      finished = isTerminalEvent(event)
      if (isWanted(event, options)) found.push(event)
    }
    if (events.length > 0 && nextAfter < lastSeq) continue
    // A cursor at the end of a finished log: the page is empty and nothing will follow.
    if (events.length === 0 && nextAfter >= lastSeq) finished = await endsBy(log, id, nextAfter)
    return { events: found, nextAfter, hasMore: false, finished }
  }
}

/** Whether the terminal event is at or before the cursor: one that came since the page was read is still to be told. */
async function endsBy(log: EventLog, id: string, cursor: number): Promise<boolean> {
  const last = (await fromStore(log.readLast(id))).chunks.at(-1)
  return last !== undefined && last.last <= cursor && last.isTerminal
}

/** Half an export is of no use, and its status has been sent: while Redis is away for a moment it is asked again. */
async function readPatiently<Page>(read: () => Promise<Page>): Promise<Page> {
  const begun = performance.now()
  for (;;) {
    try {
      return await fromStore(read())
    } catch (error) {
      if (performance.now() - begun > EXPORT_WAIT_MS) throw error
      await sleep(RETRY_MS)
    }
  }
}

/**
 * All events after a cursor that are in the log now, one a line, with their stored bytes: what a receipt's chain was
 * made of.
 */
export async function* exportEvents(
  { log }: FollowServices,
  id: string,
  { after, types }: Pick<EventPageOptions, 'after' | 'types'>,
): AsyncGenerator<Buffer> {
  for (let cursor = after; ;) {
    const { events } = await readPatiently(() => log.readAfter(id, cursor, READ_BYTES))
    const last = events.at(-1)
    if (!last) return
    cursor = last.seq
    const lines = events
      .filter((event) => types === undefined || types.has(event.type))
      .flatMap(({ bytes }) => [bytes, NEWLINE])
    if (lines.length > 0) yield Buffer.concat(lines)
  }
}
