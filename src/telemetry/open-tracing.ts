import { AsyncLocalStorage } from 'node:async_hooks'
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes, type Context } from '@opentelemetry/api'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'
import { sleep } from '../platform/abort-signals.js'
import type { Logger } from '../platform/logger.js'
import type { TracingSettings } from '../platform/tracing-settings.js'
import { VERSION } from '../platform/version.js'
import type { Arrival, SpanAttributes, TraceCarrier, Tracing } from './tracing.js'

/** A stopping process waits so long for a collector that may not be there. */
const CLOSE_MS = 2_000
/** An outage of the collector is logged once in this time. */
const WARN_INTERVAL_MS = 60_000
const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL }

const propagator = new W3CTraceContextPropagator()
const getter = {
  get: (carrier: Readonly<Record<string, string | string[] | undefined>>, name: string) => carrier[name],
  keys: (carrier: object) => Object.keys(carrier),
}
const setter = { set: (carrier: Record<string, string>, name: string, value: string) => void (carrier[name] = value) }

function toContext(parent: TraceCarrier | undefined): Context {
  return parent ? propagator.extract(ROOT_CONTEXT, { ...parent }, getter) : ROOT_CONTEXT
}

function toCarrier(context: Context): TraceCarrier | undefined {
  const carrier: Record<string, string> = {}
  propagator.inject(context, carrier, setter)
  const { traceparent, tracestate } = carrier
  return traceparent === undefined ? undefined : { traceparent, tracestate }
}

const toAttributes = (attributes: SpanAttributes = {}): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))

/** Tells what is lost. The processor keeps so many spans at most, and never waits for the exporter. */
function watch(exporter: SpanExporter, logger: Logger): SpanExporter {
  let lost = 0
  let loggedAt = -Infinity
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        if (result.code !== ExportResultCode.SUCCESS) lost += spans.length
        if (lost > 0 && performance.now() - loggedAt > WARN_INTERVAL_MS) {
          loggedAt = performance.now()
          logger.warn({ spans: lost, err: result.error }, 'spans could not be sent to the OTLP endpoint')
          lost = 0
        }
        done(result)
      })
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
}

interface Options {
  readonly settings: TracingSettings
  readonly process: 'api' | 'worker'
  readonly logger: Logger
}

/** OpenTelemetry's packages are loaded with this module: only where tracing is on. */
export function openTracing({ settings, process, logger }: Options): Tracing {
  const { url, headers, serviceName } = settings
  const exporter =
    settings.protocol === 'http/json' ? new JsonExporter({ url, headers }) : new ProtobufExporter({ url, headers })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': VERSION })
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(resourceFromAttributes({ 'cc_executor.process': process })),
    spanProcessors: [new BatchSpanProcessor(watch(exporter, logger))],
  })
  const tracer = provider.getTracer('cc-executor', VERSION)
  const arrivals = new AsyncLocalStorage<Arrival>()
  return {
    begin({ name, kind = 'internal', parent, at, attributes }) {
      const context = toContext(parent)
      const span = tracer.startSpan(
        name,
        { kind: KINDS[kind], startTime: at, attributes: toAttributes(attributes) },
        context,
      )
      const carrier = toCarrier(trace.setSpan(context, span))
      if (!carrier) throw new Error('a span has no context')
      return {
        carrier,
        end({ at: endTime, error, attributes: more } = {}) {
          if (!span.isRecording()) return
          span.setAttributes(toAttributes({ ...more, 'error.type': error }))
          if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error })
          span.end(endTime)
        },
      }
    },
    read(headers) {
      const context = propagator.extract(ROOT_CONTEXT, headers, getter)
      return trace.getSpanContext(context) && toCarrier(context)
    },
    within: (arrival, work) => arrivals.run(arrival, work),
    arrival: () => arrivals.getStore(),
    async close() {
      await Promise.race([provider.shutdown().catch(() => undefined), sleep(CLOSE_MS)])
    },
  }
}
