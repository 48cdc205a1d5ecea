/** A batch is closed at this size, so that one append stays a short step in Redis. */
const BATCH_BYTES = 64 * 1024
const FIRST_BYTES = 512
const NEWLINE = 0x0a

/** One event: its text, or what stands before and after a message of the CLI, which is taken as it was read. */
export interface Line {
  readonly text: string
  /** With these the text is ASCII. */
  readonly message?: Uint8Array | undefined
  readonly end: string
  /** Of a message to the run: the script that stores it keeps account of messages. */
  readonly marks?: boolean
}

const sizeOf = ({ text, message, end }: Line): number =>
  message === undefined ? Buffer.byteLength(text) : text.length + message.length + end.length

/**
 * Events with consecutive numbers, one a line, as bytes from the beginning: nothing is joined and encoded once more
 * when they are sent.
 */
export class EventBatch {
  readonly first: number
  /** It is sent, or was: it takes no more. */
  #isClosed = false
  #last: number
  #buffer: Buffer
  #size = 0
  #marks = false

  /** `expected`: so many bytes will probably be needed. */
  constructor(first: number, expected = 0) {
    this.first = first
    this.#last = first - 1
    this.#buffer = Buffer.allocUnsafe(Math.min(Math.max(expected, FIRST_BYTES), BATCH_BYTES))
  }

  get last(): number {
    return this.#last
  }

  /** Of its events, without what stands between them. */
  get size(): number {
    return this.#size - Math.max(0, this.#last - this.first)
  }

  /** Whether events of messages are in it. */
  get marks(): boolean {
    return this.#marks
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size)
  }

  /** Adds the first event, which may be larger than a batch; → its bytes. */
  begin(line: Line): Buffer {
    return this.#put(line, 0, sizeOf(line))
  }

  /** Adds the next event; → its bytes. undefined: it must go into another batch. */
  add(line: Line): Buffer | undefined {
    if (this.#isClosed) return undefined
    const start = this.#size + 1
    const size = sizeOf(line)
    return start + size > BATCH_BYTES ? undefined : this.#put(line, start, size)
  }

  #put(line: Line, start: number, size: number): Buffer {
    this.#makeRoom(start + size)
    const buffer = this.#buffer
    if (start > 0) buffer[start - 1] = NEWLINE
    const { text, message, end, marks = false } = line
    this.#marks ||= marks
    if (message === undefined) buffer.write(text, start)
    else {
      buffer.write(text, start, 'latin1')
      buffer.set(message, start + text.length)
      buffer.write(end, start + text.length + message.length, 'latin1')
    }
    this.#size = start + size
    this.#last += 1
    return buffer.subarray(start, this.#size)
  }

  /** Closes it; what it holds takes no more memory than it needs for long. */
  close(): void {
    this.#isClosed = true
    if (this.#buffer.length > 2 * this.#size) this.#buffer = Buffer.from(this.bytes)
  }

  /** What comes after this seq, as a batch that may be sent anew. */
  after(seq: number): EventBatch {
    let start = 0
    for (let cut = this.first; cut <= seq; cut += 1) start = this.#buffer.indexOf(NEWLINE, start) + 1
    const rest = new EventBatch(Math.max(this.first, seq + 1))
    rest.#buffer = this.#buffer.subarray(start, this.#size)
    rest.#size = rest.#buffer.length
    rest.#last = this.#last
    rest.#marks = this.#marks
    return rest
  }

  #makeRoom(needed: number): void {
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, Math.min(this.#buffer.length * 2, BATCH_BYTES)))
    this.#buffer.copy(grown, 0, 0, this.#size)
    this.#buffer = grown
  }
}
