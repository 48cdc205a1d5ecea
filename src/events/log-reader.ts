import { ExecutorError } from '../protocol/errors.js'
import { cutAfter, type Chunk } from './chunk.js'
import type { ChunkForms } from './chunk-forms.js'
import type { SharedTail } from './shared-tail.js'

/** Is woken when there may be something to take, or an end; never by `take` itself. */
export interface Listener {
  wake(): void
}

/** What all readers of a process share. */
export interface ReaderSource {
  readonly forms: ChunkForms
  readonly isClosed: boolean
  acquire(executionId: string, reader: LogReader): Promise<SharedTail>
  release(executionId: string, reader: LogReader, shared: SharedTail): void
  recent(executionId: string, cursor: number): Chunk | undefined
  /** A page of history, however long it takes while somebody waits for it. Rejects where there is no such log. */
  readPage(reader: LogReader, after: number): Promise<readonly Chunk[]>
}

/**
 * One who reads an execution's log, past and future, at his own pace: he takes what is at hand, and is woken when more
 * is. A record and no generator: an idle one costs a few hundred bytes, and a thousand are served in one go.
 */
export class LogReader {
  readonly executionId: string
  /** The seq up to which he has taken. */
  cursor: number
  /** Nothing follows: the log has ended, can no longer be read (`error`), or he was closed. */
  isOver = false
  error: unknown
  readonly #source: ReaderSource
  readonly #listener: Listener
  #shared: SharedTail | undefined
  /** History that was read for him, and the seq up to which it was asked for. */
  #page: readonly Chunk[] = []
  #next = 0
  #isReading = false

  constructor(source: ReaderSource, executionId: string, after: number, listener: Listener) {
    this.#source = source
    this.executionId = executionId
    this.cursor = after
    this.#listener = listener
    // A promise of its own, which never rejects: a failure is the end.
    void this.#begin()
  }

  /** Others follow the same log. */
  get isShared(): boolean {
    return this.#shared !== undefined && this.#shared.readers.size > 1
  }

  /** The next events; undefined: none are at hand, or it is over. */
  take(): Chunk | undefined {
    if (this.isOver || !this.#shared) return undefined
    const { tail } = this.#shared
    if (this.#source.isClosed) return this.#end()
    if (tail.isGone) return this.#end(new ExecutorError('EXECUTION_NOT_FOUND'))
    const found = this.#find()
    if (!found) {
      if (this.cursor < tail.lastSeq) void this.#read(this.cursor)
      else if (tail.isFinished) this.#end()
      return undefined
    }
    const taken = cutAfter(found, this.cursor)
    this.cursor = taken.last
    if (taken.isTerminal) this.#end()
    else this.#readAhead()
    return taken
  }

  /** What `make` makes of a chunk, once for all who read the same. */
  shape(chunk: Chunk, name: string, make: () => Buffer): Buffer {
    return this.isShared ? this.#source.forms.get(chunk, name, make) : make()
  }

  wake(): void {
    this.#listener.wake()
  }

  close(): void {
    if (!this.isOver) this.#end()
  }

  #end(error?: unknown): undefined {
    this.isOver = true
    this.error = error
    this.#page = []
    if (this.#shared) this.#source.release(this.executionId, this, this.#shared)
  }

  #find(): Chunk | undefined {
    for (let own = this.#page[this.#next]; own; own = this.#page[this.#next]) {
      if (own.last > this.cursor) return own
      this.#next += 1
    }
    return this.#shared?.tail.after(this.cursor) ?? this.#recent(this.cursor)
  }

  /** Never beyond the end that the log has now: Redis may have lost what was read of it before. */
  #recent(cursor: number): Chunk | undefined {
    const chunk = this.#source.recent(this.executionId, cursor)
    return chunk && chunk.last <= (this.#shared?.tail.lastSeq ?? 0) ? chunk : undefined
  }

  /** The next page comes while the end of this one goes out. */
  #readAhead(): void {
    const last = this.#page.at(-1)
    if (!last || this.#isReading || this.#page.length - this.#next > 2) return
    const tail = this.#shared?.tail
    if (!tail || last.last >= tail.lastSeq || tail.after(last.last)) return
    if (!this.#recent(last.last)) void this.#read(last.last)
  }

  async #begin(): Promise<void> {
    try {
      const shared = await this.#source.acquire(this.executionId, this)
      this.#shared = shared
      if (this.isOver) return this.#source.release(this.executionId, this, shared)
    } catch (error) {
      this.#end(error)
    }
    this.#listener.wake()
  }

  /** Never rejects. */
  async #read(after: number): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    try {
      const chunks = await this.#source.readPage(this, after)
      // None: what Redis has lost comes again, or the end is told by the tail.
      if (this.isOver || chunks.length === 0) return
      this.#page = [...this.#page.slice(this.#next), ...chunks]
      this.#next = 0
    } catch (error) {
      if (this.isOver) return
      this.#end(error)
    } finally {
      this.#isReading = false
    }
    this.#listener.wake()
  }
}
