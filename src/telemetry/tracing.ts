import type { IncomingHttpHeaders } from 'node:http'

/** A place in a trace, as W3C Trace Context writes it. */
export interface TraceCarrier {
  readonly traceparent: string
  readonly tracestate?: string | undefined
}

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>

export interface SpanStart {
  readonly name: string
  readonly kind?: 'server' | 'client' | 'internal'
  /** undefined: a new trace begins. */
  readonly parent: TraceCarrier | undefined
  /** Milliseconds since the epoch; now where it is not said. */
  readonly at?: number | undefined
  readonly attributes?: SpanAttributes
}

export interface SpanEnd {
  readonly at?: number
  /** What went wrong, as a code. */
  readonly error?: string | undefined
  readonly attributes?: SpanAttributes
}

export interface OpenSpan {
  /** What belongs below it. */
  readonly carrier: TraceCarrier
  /** Once; a further end is none. */
  end(how?: SpanEnd): void
}

/** A request that is being served. */
export interface Arrival {
  readonly name: string
  readonly at: number
  readonly parent: TraceCarrier | undefined
  readonly attributes?: SpanAttributes
}

/** Spans of this process. There is none where tracing is off. */
export interface Tracing {
  begin(start: SpanStart): OpenSpan
  /** What a caller's headers say; undefined where they say nothing, or nothing that is valid. */
  read(headers: IncomingHttpHeaders): TraceCarrier | undefined
  /** What is done for a request, so that whoever submits an execution needs not be told of it. */
  within<Result>(arrival: Arrival, work: () => Result): Result
  arrival(): Arrival | undefined
  /** Sends what is left, within a moment. */
  close(): Promise<void>
}

const TRACE_START = '00-'.length
const TRACE_END = TRACE_START + 32

export const traceIdOf = ({ traceparent }: TraceCarrier): string => traceparent.slice(TRACE_START, TRACE_END)
