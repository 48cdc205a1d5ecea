import type { Redis } from 'ioredis'
import { unpackJson } from '../platform/packed-json.js'
import { keyRoot } from '../platform/redis.js'
import { openScripts } from '../platform/redis-scripts.js'
import { cutAfter, cutTo, toChunk, type Chunk, type ChunkPage } from './chunk.js'
import { SCRIPTS } from './scripts.generated.js'

/**
 * Entries of this size on the average are read by a command, smaller ones by dozens in a script: there an entry of
 * 64 KiB costs Redis 100 us, and 10 as the answer of a command.
 */
const LARGE_BYTES = 16 * 1024
/** By one command; each may be as large as a line of the CLI may be. */
const ENTRIES_AT_ONCE = 8
/** Logs whose entries are known to be large. */
const LOGS_KEPT = 256
/** What pages have left of their last entries, for the pages that follow them. */
const RESTS_KEPT = 16

interface ReadScripts {
  ccReadBuffer(
    id: string,
    after: number,
    maxBytes: number,
    limit: number,
  ): [lastSeq: number, averageBytes: number, ...batches: Buffer[]]
}

type Entry = readonly [id: Buffer, fields: readonly [name: Buffer, lines: Buffer]]

const toChunks = (batches: readonly Buffer[]): Chunk[] =>
  batches.map((batch) => toChunk(unpackJson(batch))).filter((chunk) => chunk !== undefined)

/** Of a map in the order of its keys: the oldest go. */
function keepNewest(map: Map<string, unknown>, count: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= count) return
    map.delete(oldest)
  }
}

const sizeOf = (chunks: readonly Chunk[]): number => chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)

/** What was written between the two answers is there as well. */
const toPage = (lastSeq: number, chunks: readonly Chunk[]): ChunkPage => ({
  lastSeq: lastSeq === -1 ? -1 : Math.max(lastSeq, chunks.at(-1)?.last ?? 0),
  chunks,
})

/** The entries of logs behind a cursor, each way of reading them where it costs the least. */
export class LogEntries {
  readonly #redis: Redis
  readonly #root: string
  readonly #run
  /** The size of an average entry. */
  readonly #large = new Map<string, number>()
  /** By execution and the cursor before them. */
  readonly #rests = new Map<string, Chunk>()

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis
    this.#root = keyRoot(prefix)
    this.#run = openScripts<ReadScripts>(redis, this.#root, { ccRead: SCRIPTS.ccRead })
    // It may come back with another end of a log.
    redis.on('close', () => this.#rests.clear())
  }

  async read(executionId: string, after: number, maxBytes: number, limit: number): Promise<ChunkPage> {
    const average = this.#large.get(executionId)
    if (average === undefined) return this.#readByScript(executionId, after, maxBytes, limit)
    if (limit > 0) return this.#readPage(executionId, after, maxBytes, limit)
    const count = Math.max(1, Math.min(ENTRIES_AT_ONCE, Math.floor(maxBytes / average)))
    const [lastSeq, chunks] = await Promise.all([
      this.#readLastSeq(executionId),
      this.#readEntries(executionId, after, count),
    ])
    const last = chunks.at(-1)
    const size = sizeOf(chunks)
    if (!last || last.last >= lastSeq || size >= chunks.length * LARGE_BYTES) return toPage(lastSeq, chunks)
    // Here they are small.
    const more = await this.#readByScript(executionId, last.last, maxBytes - size, 0)
    return toPage(more.lastSeq, [...chunks, ...more.chunks])
  }

  async #readByScript(executionId: string, after: number, maxBytes: number, limit: number): Promise<ChunkPage> {
    const [lastSeq, average, ...batches] = await this.#run('ccReadBuffer', executionId, after, maxBytes, limit)
    if (average >= LARGE_BYTES) {
      this.#large.set(executionId, average)
      keepNewest(this.#large, LOGS_KEPT)
    }
    // The first batch may begin at or before the cursor; one that is packed comes as a whole.
    const chunks = toChunks(batches).map((chunk) => cutAfter(chunk, after))
    return { lastSeq, chunks: limit > 0 ? chunks.map((chunk) => cutTo(chunk, after + limit)) : chunks }
  }

  /** What the page before has left of its last entry, then the next entry; seldom more. */
  async #readPage(executionId: string, after: number, maxBytes: number, limit: number): Promise<ChunkPage> {
    const end = after + limit
    const rest = this.#takeRest(executionId, after)
    const [lastSeq, [first]] = await Promise.all([
      this.#readLastSeq(executionId),
      rest ? [rest] : this.#readEntries(executionId, after, 1),
    ])
    if (lastSeq === -1) return toPage(lastSeq, [])
    // The log has lost what the rest was read from.
    if (rest && rest.last > lastSeq) return this.#readByScript(executionId, after, maxBytes, limit)
    const chunks: Chunk[] = []
    for (let chunk: Chunk | undefined = first; chunk; [chunk] = await this.#readEntries(executionId, chunk.last, 1)) {
      chunks.push(cutTo(chunk, end))
      if (chunk.last > end) this.#keepRest(executionId, cutAfter(chunk, end))
      if (chunk.last >= end || chunk.last >= lastSeq || sizeOf(chunks) >= maxBytes)
        return toPage(Math.max(lastSeq, chunk.last), chunks)
      if (chunk === first || chunk.bytes.length >= LARGE_BYTES) continue
      // Here they are small.
      const more = await this.#readByScript(executionId, chunk.last, maxBytes, end - chunk.last)
      return toPage(more.lastSeq, [...chunks, ...more.chunks])
    }
    return toPage(lastSeq, chunks)
  }

  async #readLastSeq(executionId: string): Promise<number> {
    return Number((await this.#redis.hget(`${this.#root}:log:${executionId}`, 'lastSeq')) ?? -1)
  }

  async #readEntries(executionId: string, after: number, count: number): Promise<Chunk[]> {
    const key = `${this.#root}:events:${executionId}`
    // Safe: this is how Redis answers; ioredis types ids and fields as one kind of list.
    const entries = (await this.#redis.xrangeBuffer(key, `(${after}-0`, '+', 'COUNT', count)) as unknown as Entry[]
    return toChunks(entries.map(([, [, lines]]) => lines)).map((chunk) => cutAfter(chunk, after))
  }

  #takeRest(executionId: string, after: number): Chunk | undefined {
    const key = `${executionId} ${after}`
    const rest = this.#rests.get(key)
    this.#rests.delete(key)
    return rest
  }

  #keepRest(executionId: string, chunk: Chunk): void {
    this.#rests.set(`${executionId} ${chunk.first - 1}`, chunk)
    keepNewest(this.#rests, RESTS_KEPT)
  }
}
