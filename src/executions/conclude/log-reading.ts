import { splitBatch, type StoredEvent } from '../../events/stored-event.js'
import type { EventLog } from '../../events/event-log.js'
import type { EventData } from '../../protocol/events.js'
import { packJson } from '../../platform/packed-json.js'
import { EventChain } from '../../verification/event-chain.js'

/** Read from the log at once: the chain over it is a matter of milliseconds. */
const READ_BYTES = 1024 * 1024

/** A longer log stays as it was written: whoever reads a page of it unpacks no more than that. */
const PACKED_BYTES = 32 * 1024
const NEWLINE = Buffer.from('\n')

type Started = EventData<'execution.started'>
interface ClosingData {
  readonly data: { readonly approvalId: string }
}
const CLOSING = new Set<string>(['approval.decided', 'approval.expired', 'approval.withdrawn'])

/**
 * What the end needs of a log, event by event: the chain over their bytes, and the start of the last attempt, for the
 * receipt; and all of a short one, which is packed.
 */
export class LogReading {
  readonly #chain: EventChain
  /** undefined: it is too long to be packed. */
  #lines: Buffer[] | undefined
  #bytes: number
  #started: Started | undefined
  #attachments: Started['attachments']
  /** Those whose end the log tells, as far as it was read. */
  readonly closedApprovals: Set<string>

  constructor(before?: LogReading) {
    this.closedApprovals = new Set(before?.closedApprovals)
    this.#chain = before?.chain.copy() ?? new EventChain()
    this.#lines = before ? before.#lines && [...before.#lines] : []
    this.#bytes = before ? before.#bytes : 0
    this.#started = before?.started
    this.#attachments = before?.attachments
  }

  get chain(): EventChain {
    return this.#chain
  }

  get lastSeq(): number {
    return this.#chain.count
  }

  get started(): Started | undefined {
    return this.#started
  }

  /** What was handed over with the prompt; an attempt that resumes the session hands nothing over. */
  get attachments(): Started['attachments'] {
    return this.#attachments
  }

  /** All of it as one packed entry; undefined: it is not to be packed. */
  pack(): Buffer | undefined {
    return this.#lines && packJson(Buffer.concat(this.#lines.flatMap((line) => [NEWLINE, line]).slice(1)))
  }

  /** The next event as it is stored: one that its writer has made and knows not to be a start. */
  add(bytes: Buffer | string): void {
    this.#chain.add(bytes)
    this.#keep(bytes)
  }

  /** The next event as it was read. */
  addStored({ bytes, type }: StoredEvent): void {
    this.add(bytes)
    // Safe: the service's own event, by its type.
    if (CLOSING.has(type)) this.closedApprovals.add((JSON.parse(bytes.toString()) as ClosingData).data.approvalId)
    if (type !== 'execution.started') return
    this.#started = (JSON.parse(bytes.toString()) as { data: Started }).data
    this.#attachments = this.#started.attachments ?? this.#attachments
  }

  #keep(bytes: Buffer | string): void {
    if (!this.#lines) return
    this.#bytes += 1 + (typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length)
    // The bytes are their writer's.
    if (this.#bytes <= PACKED_BYTES) this.#lines.push(Buffer.from(bytes))
    else this.#lines = undefined
  }
}

/** Links every stored event: what the receipt vouches for is what can be read, whoever wrote it. */
export async function readLog(log: Pick<EventLog, 'readAfter'>, id: string): Promise<LogReading> {
  const reading = new LogReading()
  for (;;) {
    const { events } = await log.readAfter(id, reading.lastSeq, READ_BYTES)
    if (events.length === 0) return reading
    for (const event of events) reading.addStored(event)
  }
}

/**
 * The log up to the start of an attempt, from the batches that the store gave with it; what is written from then on is
 * added. undefined where they are not all: then it is read at the end.
 */
export function toLogReading(batches: readonly string[], lastSeq: number): LogReading | undefined {
  const reading = new LogReading()
  for (const event of batches.flatMap((batch) => splitBatch(Buffer.from(batch)))) {
    if (event.seq !== reading.lastSeq + 1) return undefined
    reading.addStored(event)
  }
  return reading.lastSeq === lastSeq ? reading : undefined
}
