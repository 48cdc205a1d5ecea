import type { Config } from '../../platform/config.js'
import type { Lifetime } from '../../platform/lifetime.js'
import type { Logger } from '../../platform/logger.js'
import { TraceBook } from '../../telemetry/trace-book.js'
import type { Tracing } from '../../telemetry/tracing.js'

export interface Traces {
  readonly tracing: Tracing
  readonly book: TraceBook
}

/** For the log, which is opened first; undefined where tracing is off. */
export const openTraceBook = ({ tracing }: Config): TraceBook | undefined => (tracing ? new TraceBook() : undefined)

/** OpenTelemetry is loaded where tracing is on, and nowhere else. */
export async function openTraces(
  { tracing: settings }: Config,
  book: TraceBook | undefined,
  { process, logger, lifetime }: { process: 'api' | 'worker'; logger: Logger; lifetime: Lifetime },
): Promise<Traces | undefined> {
  if (!settings || !book) return undefined
  const { openTracing } = await import('../../telemetry/open-tracing.js')
  const tracing = lifetime.own('tracing', openTracing({ settings, process, logger }), (opened) => opened.close())
  return { tracing, book }
}
