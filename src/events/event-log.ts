import { crc32 } from 'node:zlib'
import type { Redis } from 'ioredis'
import { createLimiter } from '../platform/limiter.js'
import { unpackJson } from '../platform/packed-json.js'
import { keyRoot } from '../platform/redis.js'
import { openScripts } from '../platform/redis-scripts.js'
import { SCRIPTS } from './scripts.generated.js'
import { eventsOf, toChunk, type ChunkPage } from './chunk.js'
import { LogEntries } from './log-entries.js'
import type { StoredEvent } from './stored-event.js'

/** A run of numbered events, serialised one a line, as the holder of a fence hands it over. */
export interface Batch {
  readonly first: number
  readonly last: number
  readonly bytes: Buffer
  /** Whether events of messages are among them. */
  readonly marks?: boolean
}

export type AppendAnswer =
  /** Stored, now or by an earlier send of the same batch. */
  | { readonly kind: 'ok' }
  /** The fence is no longer held: this writer must stop. */
  | { readonly kind: 'stale' }
  /** The log ends elsewhere: the writer goes on from `lastSeq + 1`. */
  | { readonly kind: 'gap'; readonly lastSeq: number }

export interface LogPage {
  readonly events: readonly StoredEvent[]
  /** Where the log ended when it was read; -1: there is no such log. */
  readonly lastSeq: number
}

/** The append-only log of every execution: fenced writes, reads after a cursor. */
export interface EventLog {
  /** `evenIfFull`: also where Redis is at its maxmemory. */
  append(executionId: string, fence: string, batch: Batch, evenIfFull?: boolean): Promise<AppendAnswer>
  /** The events after `after`: at least one if there is any, then as many as are likely to fit in `maxBytes`. */
  readAfter(executionId: string, after: number, maxBytes: number): Promise<LogPage>
  /** The same, as it was written; where a limit is given, at most so many events. */
  readChunks(executionId: string, after: number, maxBytes: number, limit?: number): Promise<ChunkPage>
  /** The newest events, as many as were written at once. */
  readLast(executionId: string): Promise<ChunkPage>
  /** Where each of these logs ends; -1: there is no such log. */
  readEnds(executionIds: readonly string[]): Promise<number[]>
  channelOf(executionId: string): string
}

interface LogScripts {
  ccAppend(
    id: string,
    fence: string,
    first: number,
    last: number,
    digest: number,
    lines: Buffer,
    evenIfFull: '1' | '',
    marks: '1' | '',
  ): string
  ccReadLastBuffer(id: string): [lastSeq: number, batch?: Buffer]
  ccReadEnds(...ids: string[]): number[]
}

/**
 * So many pages of a log are asked for at once. Each is up to a MiB in one answer, and answers come one by one: sixty
 * readers of a long log would keep everybody waiting for longer than a command may take.
 */
const READS_AT_ONCE = 8

/** By one script: 0.2 ms of Redis. */
const ENDS_AT_ONCE = 250

/** Of a batch that was stored: how many events, and how long that took. */
export type OnAppended = (executionId: string, events: number, seconds: number) => void

export function createEventLog(redis: Redis, prefix: string, onAppended?: OnAppended): EventLog {
  const root = keyRoot(prefix)
  const { ccAppend, ccReadEnds, ccReadLast } = SCRIPTS
  const run = openScripts<LogScripts>(redis, root, { ccAppend, ccReadEnds, ccReadLast })
  const entries = new LogEntries(redis, prefix)
  const limited = createLimiter(READS_AT_ONCE)
  /** Where Redis is away nothing is read: everybody hears so within the time of a command, and waits for no turn. */
  async function read<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    if (redis.status !== 'ready') return ask()
    try {
      return await limited(ask)
    } finally {
      // It was lost meanwhile.
      if (redis.status !== 'ready') limited.letAllPass()
    }
  }
  function readChunks(executionId: string, after: number, maxBytes: number, limit = 0): Promise<ChunkPage> {
    return read(() => entries.read(executionId, after, maxBytes, limit))
  }
  return {
    async append(executionId, fence, { first, last, bytes, marks = false }, evenIfFull = false) {
      const full = evenIfFull ? '1' : ''
      const begun = performance.now()
      // The fence says whose it is; the sum only tells a batch that is sent again from another one in its place.
      const answer = await run('ccAppend', executionId, fence, first, last, crc32(bytes), bytes, full, marks ? '1' : '')
      if (answer === 'stale') return { kind: 'stale' }
      if (answer.startsWith('gap:')) return { kind: 'gap', lastSeq: Number(answer.slice('gap:'.length)) }
      onAppended?.(executionId, last - first + 1, (performance.now() - begun) / 1_000)
      return { kind: 'ok' }
    },
    async readAfter(executionId, after, maxBytes) {
      const { chunks, lastSeq } = await readChunks(executionId, after, maxBytes)
      return { lastSeq, events: chunks.flatMap(eventsOf) }
    },
    readChunks,
    async readLast(executionId) {
      const [lastSeq, batch] = await read(() => run('ccReadLastBuffer', executionId))
      const chunk = batch && toChunk(unpackJson(batch))
      return { lastSeq, chunks: chunk ? [chunk] : [] }
    },
    async readEnds(executionIds) {
      const ends: number[] = []
      for (let at = 0; at < executionIds.length; at += ENDS_AT_ONCE)
        ends.push(...(await read(() => run('ccReadEnds', ...executionIds.slice(at, at + ENDS_AT_ONCE)))))
      return ends
    },
    channelOf: (executionId) => `${root}:channel:${executionId}`,
  }
}
