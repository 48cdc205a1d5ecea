import type { TracingSettings } from '../../platform/tracing-settings.js'
import { describeError, ok, warn, type Verdict } from './finding.js'

const DEADLINE_MS = 3_000

/** Whether the collector takes spans: none are sent to it. */
export async function checkTracing({ url, protocol, headers }: TracingSettings): Promise<Verdict> {
  const { origin, pathname } = new URL(url)
  const shown = origin + pathname
  const type = protocol === 'http/json' ? 'application/json' : 'application/x-protobuf'
  try {
    const { status } = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': type },
      body: protocol === 'http/json' ? '{"resourceSpans":[]}' : new Uint8Array(),
      signal: AbortSignal.timeout(DEADLINE_MS),
    })
    if (status < 300) return ok(`${shown} takes traces`)
    return warn(
      `${shown} answers ${status} to traces`,
      status === 401 || status === 403 ? 'check OTEL_EXPORTER_OTLP_HEADERS' : 'check OTEL_EXPORTER_OTLP_ENDPOINT',
    )
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    return warn(
      `${shown} cannot be reached (${describeError(cause)}); spans are lost until it can`,
      'start the collector, or unset OTEL_EXPORTER_OTLP_ENDPOINT',
    )
  }
}
