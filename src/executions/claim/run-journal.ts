import type { EventLog } from '../../events/event-log.js'
import { LogWriter } from '../../events/log-writer.js'
import type { EventData, NewEvent } from '../../protocol/events.js'

export interface RunJournalOptions {
  readonly log: EventLog
  readonly executionId: string
  readonly fence: string
  readonly attempt: number
  readonly lastSeq: number
  /** What earlier attempts have stored. */
  readonly storedBytes: number
  /** So much is stored of one execution; then the log says where it was cut and how much was left out. */
  readonly limitBytes: number
  readonly onStale: () => void
  /** Gets what is written. */
  readonly written?: { add(bytes: Buffer): void } | undefined
}

/** What must be in the log even when it is full: what a client acts upon. */
const ALWAYS_STORED = new Set<string>([
  'tool.denied',
  'approval.requested',
  'approval.decided',
  'approval.expired',
  'approval.withdrawn',
  'mcp.status',
  'execution.paused',
  'execution.resumed',
  'execution.cancel_requested',
  'hook.finished',
  'message.accepted',
  'message.delivered',
  'message.dropped',
  'background.waiting',
  'background.finished',
])

const sizeOf = (event: NewEvent): number =>
  'rawMessage' in event ? event.rawMessage.length : JSON.stringify(event.data).length

/** Writes a run's events, up to the limit of what is stored of it. */
export class RunJournal {
  readonly #writer: LogWriter
  readonly #limitBytes: number
  readonly #earlierBytes: number
  #droppedBytes = 0

  constructor({ limitBytes, storedBytes, ...options }: RunJournalOptions) {
    this.#writer = new LogWriter(options)
    this.#limitBytes = limitBytes
    this.#earlierBytes = storedBytes
  }

  get isStale(): boolean {
    return this.#writer.isStale
  }

  /** The run is being ended: nothing that it still says waits for room in the store. */
  noteEnding(): void {
    this.#writer.storeEvenIfFull()
  }

  /** Resolves when there is room for more. */
  async write(events: readonly NewEvent[]): Promise<void> {
    for (const event of events) {
      if (this.#droppedBytes === 0 && this.#earlierBytes + this.#writer.storedBytes < this.#limitBytes)
        this.#writer.write(event)
      else if (ALWAYS_STORED.has(event.type)) this.#writer.write(event)
      else this.#droppedBytes += sizeOf(event)
    }
    if (this.#writer.isFull) await this.#writer.drained()
  }

  /** Resolves when what was written is stored, or the fence is lost. */
  async flushed(): Promise<void> {
    await this.#writer.flushed()
  }

  /** Says what was left out, and resolves when all is confirmed or the fence is lost. */
  async close(): Promise<void> {
    this.noteEnding()
    if (this.#droppedBytes > 0) {
      const data: EventData<'log.truncated'> = {
        droppedBytes: this.#droppedBytes,
        limit: this.#limitBytes,
        reason: 'stored',
      }
      this.#writer.write({ type: 'log.truncated', data })
    }
    await this.#writer.flushed()
  }
}
