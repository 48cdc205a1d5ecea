import { joinChunks, keepChunks, type Chunk, type ChunkPage } from './chunk.js'
import type { EventLog } from './event-log.js'

/** Read at once from a log: enough to be quick, little enough for many slow readers. */
export const PAGE_BYTES = 256 * 1024
const CHUNK_BYTES = 64 * 1024
/** Kept of what was read of all logs, for those who come by the same place a moment later. */
const KEPT_BYTES = 4 * 1024 * 1024

/**
 * The history that many read at about the same time: a thousand subscribers of a run that is faster than their sockets
 * read its log once and not a thousand times. Nothing in it outlives a connection to Redis, which may come back with
 * another end of a log.
 */
export class RecentChunks {
  readonly #log: EventLog
  /** By execution and the cursor before them; the least recently used first. */
  readonly #chunks = new Map<string, Chunk>()
  readonly #reads = new Map<string, Promise<ChunkPage>>()
  #bytes = 0

  constructor(log: EventLog) {
    this.#log = log
  }

  /** The chunk that begins behind the cursor. */
  get(executionId: string, cursor: number): Chunk | undefined {
    const key = `${executionId} ${cursor}`
    const chunk = this.#chunks.get(key)
    if (!chunk) return undefined
    this.#chunks.delete(key)
    this.#chunks.set(key, chunk)
    return chunk
  }

  /** A page of the log, read once for all who ask for the same meanwhile. */
  read(executionId: string, cursor: number, isShared: boolean): Promise<ChunkPage> {
    const key = `${executionId} ${cursor}`
    const running = this.#reads.get(key)
    if (running) return running
    const read = this.#readPage(executionId, cursor, isShared).finally(() => this.#reads.delete(key))
    this.#reads.set(key, read)
    return read
  }

  async #readPage(executionId: string, cursor: number, isShared: boolean): Promise<ChunkPage> {
    const { lastSeq, chunks } = await this.#log.readChunks(executionId, cursor, PAGE_BYTES)
    const joined = joinChunks(chunks, CHUNK_BYTES)
    keepChunks(joined)
    return { lastSeq, chunks: isShared ? joined.map((chunk) => this.#keep(executionId, chunk)) : joined }
  }

  /** The one that was there before, where it is the same: what others have made of it is kept with it. */
  #keep(executionId: string, chunk: Chunk): Chunk {
    const known = this.get(executionId, chunk.first - 1)
    if (known?.last === chunk.last) return known
    const key = `${executionId} ${chunk.first - 1}`
    this.#bytes += chunk.bytes.length - (known?.bytes.length ?? 0)
    this.#chunks.delete(key)
    this.#chunks.set(key, chunk)
    for (const [oldest, { bytes }] of this.#chunks) {
      if (this.#bytes <= KEPT_BYTES) break
      this.#chunks.delete(oldest)
      this.#bytes -= bytes.length
    }
    return chunk
  }

  clear(): void {
    this.#chunks.clear()
    this.#bytes = 0
  }
}
