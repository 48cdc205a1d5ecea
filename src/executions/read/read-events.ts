import type { EventLog } from '../../events/event-log.js'
import { toSingles, type ChunkPage } from '../../events/chunk.js'
import { isTerminalEvent, readType, type StoredEvent } from '../../events/stored-event.js'
import { joinSignals, sleep } from '../../platform/abort-signals.js'
import { fromStore } from '../../platform/redis.js'
import { isExecutionId } from '../../protocol/ids.js'
import { requireOwn } from './find-execution.js'
import type { FollowServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

/** Read from the log at once at most while a page is filled, or an export is written. */
const READ_BYTES = 256 * 1024
/** More at once gains nothing. */
const EXPORT_BYTES = 512 * 1024
const EXPORT_WAIT_MS = 10_000
const RETRY_MS = 250
const NEWLINE = Buffer.from('\n')

export interface EventPage {
  /** Its events as they are stored, one a line; a text may hold many. */
  readonly lines: readonly Buffer[]
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

const NOTHING: EventPage = { lines: [], nextAfter: 0, hasMore: false, finished: false }

/** A page of an execution's events. With `types` seqs skip; `nextAfter` then stands behind all that was looked at. */
export async function readEventPage(
  services: FollowServices,
  id: string,
  caller: Caller,
  options: EventPageOptions,
): Promise<EventPage> {
  // Both on their way at once: what is read of a log that is not the caller's is for nobody.
  const [page] = await Promise.all([
    isExecutionId(id) ? readPageAfter(services.log, id, options, options.after) : NOTHING,
    requireOwn(services, id, caller),
  ])
  if (page.lines.length > 0 || page.finished || options.waitMs <= 0) return page
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
  { limit, types }: Pick<EventPageOptions, 'limit' | 'types'>,
  after: number,
): Promise<EventPage> {
  const lines: Buffer[] = []
  let left = limit
  let nextAfter = after
  let finished = false
  for (;;) {
    const { chunks, lastSeq } = await fromStore(log.readChunks(id, nextAfter, READ_BYTES, types ? 0 : left))
    for (const part of types ? chunks.flatMap(toSingles) : chunks) {
      if (left === 0) break
      ;({ last: nextAfter, isTerminal: finished } = part)
      if (types && !types.has(readType(part.bytes, 0))) continue
      lines.push(part.bytes)
      left -= part.last - part.first + 1
    }
    if (chunks.length > 0 && nextAfter < lastSeq) {
      if (left > 0) continue
      return { lines, nextAfter, hasMore: true, finished: false }
    }
    // A cursor at the end of a finished log: the page is empty and nothing will follow.
    if (chunks.length === 0 && nextAfter >= lastSeq) finished = await endsBy(log, id, nextAfter)
    return { lines, nextAfter, hasMore: false, finished }
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
 * made of. What is given at once goes out at once.
 */
export async function* exportEvents(
  { log }: FollowServices,
  id: string,
  { after, types }: Pick<EventPageOptions, 'after' | 'types'>,
): AsyncGenerator<readonly Buffer[], void, undefined> {
  const read = (cursor: number): Promise<ChunkPage> => readPatiently(() => log.readChunks(id, cursor, EXPORT_BYTES))
  for (let next = read(after); ;) {
    const { chunks } = await next
    const last = chunks.at(-1)
    if (!last) return
    // Read while this page goes out; whoever leaves meanwhile has no more of it.
    next = read(last.last)
    next.catch(() => undefined)
    const wanted = types ? chunks.flatMap(toSingles).filter(({ bytes }) => types.has(readType(bytes, 0))) : chunks
    // The line break by itself: copying the chunk for it would double the memory that is left to be collected.
    if (wanted.length > 0) yield wanted.flatMap(({ bytes }) => [bytes, NEWLINE])
  }
}
