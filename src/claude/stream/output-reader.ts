import { setTimeout as wait } from 'node:timers/promises'
import type { NewEvent } from '../../protocol/events.js'
import type { SupervisedProcess } from '../../supervision/supervised-process.js'
import { createLineSplitter, type Line } from './line-splitter.js'
import { coalesceDeltas, type Translator } from './translate-message.js'

/** Once the last process is gone nothing holds the pipes; under weak containment something that escaped might. */
const END_OF_FILE_MS = 2_000
/** An uncaught error of the CLI dumps kilobytes of source: this much is kept as events, this much for the outcome. */
const STDERR_LIMIT_BYTES = 256 * 1024
const STDERR_TAIL_CHARACTERS = 2_000

export interface OutputReaderOptions {
  readonly child: Pick<SupervisedProcess, 'stdout' | 'stderr'>
  readonly translator: Translator
  readonly lineLimitBytes: number
  /** Called after each line of standard output was translated; the events that follow from it. */
  readonly noteLine: () => NewEvent[]
  /** While it is pending, nothing more is read from that pipe. */
  readonly emit: (events: readonly NewEvent[], rawBytes: number) => Promise<void>
}

/** Reads both pipes of a CLI to their end and emits what was said, in order. */
export class OutputReader {
  readonly #options: OutputReaderOptions
  readonly #stderr: StderrLines
  readonly #reading: Promise<unknown>
  #isRead = false
  #emitting = 0
  #emitCount = 0

  /** Begins to read. `onError`: nothing more is read, since what was said could not be emitted. */
  constructor(options: OutputReaderOptions, onError: () => void) {
    this.#options = options
    this.#stderr = new StderrLines(options.translator.mask)
    this.#reading = Promise.all([this.#readStdout(), this.#readStderr()]).finally(() => (this.#isRead = true))
    this.#reading.catch(onError)
  }

  /** The end of standard error. */
  get stderrTail(): string {
    return this.#stderr.tail
  }

  /**
   * Call it once the CLI is gone: resolves when the pipes are read to their end, however long the store makes us wait
   * for room, or when nothing came for END_OF_FILE_MS. @throws what `emit` threw
   */
  async drained(): Promise<void> {
    let before: number
    do {
      before = this.#emitCount
      await Promise.race([this.#reading, wait(END_OF_FILE_MS, undefined, { ref: false })])
    } while (!this.#isRead && (this.#emitting > 0 || this.#emitCount > before))
  }

  async close(): Promise<void> {
    const { stdout, stderr } = this.#options.child
    stdout.destroy()
    stderr.destroy()
    await this.#reading.catch(() => undefined)
  }

  async #readStdout(): Promise<void> {
    const { child, translator, lineLimitBytes } = this.#options
    const splitter = createLineSplitter({ maxLineBytes: lineLimitBytes })
    for await (const chunk of child.stdout as AsyncIterable<Buffer>)
      await this.#emit(coalesceDeltas(this.#translate(splitter.push(chunk))), chunk.length)
    await this.#emit(coalesceDeltas([...this.#translate(splitter.end()), ...translator.end()]), 0)
  }

  #translate(lines: readonly Line[]): NewEvent[] {
    const { translator, noteLine } = this.#options
    const events: NewEvent[] = []
    for (const line of lines) {
      for (const event of translator.translate(line)) events.push(event)
      for (const event of noteLine()) events.push(event)
    }
    return events
  }

  async #readStderr(): Promise<void> {
    const splitter = createLineSplitter({ maxLineBytes: STDERR_LIMIT_BYTES })
    for await (const chunk of this.#options.child.stderr as AsyncIterable<Buffer>)
      await this.#emit(this.#stderr.toEvents(splitter.push(chunk)), chunk.length)
    await this.#emit(this.#stderr.toEvents(splitter.end()), 0)
  }

  async #emit(events: readonly NewEvent[], rawBytes: number): Promise<void> {
    this.#emitting += 1
    this.#emitCount += 1
    try {
      await this.#options.emit(events, rawBytes)
    } finally {
      this.#emitting -= 1
    }
  }
}

/** Standard error as events, up to STDERR_LIMIT_BYTES; its last characters are always kept. */
class StderrLines {
  readonly #mask: Translator['mask']
  #bytesLeft = STDERR_LIMIT_BYTES
  #tail = ''

  constructor(mask: Translator['mask']) {
    this.#mask = mask
  }

  get tail(): string {
    return this.#tail
  }

  toEvents(lines: readonly Line[]): NewEvent[] {
    return lines.flatMap((line): NewEvent[] => {
      const data = line.kind === 'line' ? this.#mask.line(line.bytes.toString()) : `(${line.length} bytes on one line)`
      this.#tail = `${this.#tail}${data}\n`.slice(-STDERR_TAIL_CHARACTERS)
      this.#bytesLeft -= data.length
      return this.#bytesLeft < 0 ? [] : [{ type: 'output', data: { stream: 'stderr', data } }]
    })
  }
}
