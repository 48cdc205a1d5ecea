import { histogramFields, type Fields } from './figure-fields.js'
import { BUCKETS, Histogram } from './histogram.js'

/** The time of an event is looked for in one message of this time: it takes as long as passing it on. */
const RELAY_SAMPLE_MS = 50
const AT = '"at":"'
const TIMESTAMP_LENGTH = '2026-01-01T00:00:00.000Z'.length
const NEWLINE = 0x0a
/** What is asked for where there is no route; also a method that nobody knows. */
const NONE = 'other'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export type Transport = 'websocket' | 'sse'

/** What is to be added to the figures of the service. */
export interface Counted {
  readonly fields: Fields
  /** Events by execution. */
  readonly events: Record<string, number>
}

export interface RequestFigure {
  readonly route: string
  readonly method: string
  readonly status: number
  readonly seconds: Histogram
}

/** What a process counts of itself, between two looks at it. There is none where metrics are off. */
export class Figures {
  /** Of this process alone. */
  readonly relay = new Histogram(BUCKETS.relay)
  readonly subscribers: Record<Transport, number> = { websocket: 0, sse: 0 }
  readonly #requests = new Map<string, RequestFigure>()
  /** Of the service: taken away, and added to what the others have counted. */
  #append = new Histogram(BUCKETS.append)
  #queueWait = new Histogram(BUCKETS.queueWait)
  #counts: Fields = {}
  #events: Record<string, number> = {}
  #sampledAt = -Infinity

  /** `field`: as figure-fields.ts says. */
  count(field: string, amount = 1): void {
    this.#counts[field] = (this.#counts[field] ?? 0) + amount
  }

  appended(executionId: string, events: number, seconds: number): void {
    this.#append.observe(seconds)
    this.#events[executionId] = (this.#events[executionId] ?? 0) + events
  }

  waited(seconds: number): void {
    this.#queueWait.observe(seconds)
  }

  /** Events that were published have been handed to whoever follows here. Only samples are looked at. */
  relayed(lines: Buffer): void {
    const now = performance.now()
    if (now - this.#sampledAt < RELAY_SAMPLE_MS) return
    this.#sampledAt = now
    const line = lines.lastIndexOf(NEWLINE, lines.length - 2) + 1
    const at = lines.indexOf(AT, line) + AT.length
    const written = Date.parse(lines.toString('latin1', at, at + TIMESTAMP_LENGTH))
    // Of two machines, whose clocks differ, what is below zero says nothing else than zero.
    if (!Number.isNaN(written)) this.relay.observe(Math.max(0, Date.now() - written) / 1_000)
  }

  answered(route: string | undefined, method: string, status: number, seconds: number): void {
    const key = `${status} ${method} ${route ?? NONE}`
    let figure = this.#requests.get(key)
    if (!figure) {
      figure = {
        route: route ?? NONE,
        method: METHODS.has(method) ? method : NONE,
        status,
        seconds: new Histogram(BUCKETS.request),
      }
      this.#requests.set(key, figure)
    }
    figure.seconds.observe(seconds)
  }

  get requests(): Iterable<RequestFigure> {
    return this.#requests.values()
  }

  /** What was counted for the service since the last time; undefined: nothing. */
  take(): Counted | undefined {
    // What was given back has the same names.
    for (const observed of [
      histogramFields('event_append_seconds', this.#append),
      histogramFields('queue_wait_seconds', this.#queueWait),
    ])
      for (const [field, amount] of Object.entries(observed)) this.count(field, amount)
    const [fields, events] = [this.#counts, this.#events]
    if (Object.keys(fields).length === 0) return undefined
    this.#append = new Histogram(BUCKETS.append)
    this.#queueWait = new Histogram(BUCKETS.queueWait)
    this.#counts = {}
    this.#events = {}
    return { fields, events }
  }

  /** It could not be added. The events are not kept: the end of their executions counts what is missing. */
  giveBack({ fields }: Counted): void {
    for (const [field, amount] of Object.entries(fields)) this.count(field, amount)
  }
}
