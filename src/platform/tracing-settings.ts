import * as z from 'zod'

/** Variables of OpenTelemetry that this service reads itself; its packages read the others (OTEL_TRACES_SAMPLER …). */
export const TRACING_VARIABLES = {
  OTEL_EXPORTER_OTLP_ENDPOINT: [
    z.url({ protocol: /^https?$/, error: 'expected http:// or https://' }),
    undefined,
    'traces are sent to this OTLP endpoint (/v1/traces is added); unset: tracing is off and nothing of it is loaded',
  ],
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: [
    z.url({ protocol: /^https?$/, error: 'expected http:// or https://' }),
    undefined,
    'the same for traces alone, used as it is',
  ],
  OTEL_EXPORTER_OTLP_PROTOCOL: [
    z.enum(['http/protobuf', 'http/json', 'grpc']),
    'http/protobuf',
    'http/protobuf or http/json',
  ],
  OTEL_EXPORTER_OTLP_HEADERS: [z.string(), undefined, 'name=value, separated by commas; sent with every export'],
  OTEL_SERVICE_NAME: [z.string().min(1), 'cc-executor', 'name of this service in traces'],
} as const satisfies Record<string, readonly [z.ZodType, string | undefined, string]>

/** How spans are sent; there are none where tracing is off. */
export interface TracingSettings {
  readonly url: string
  readonly protocol: 'http/protobuf' | 'http/json'
  readonly headers: Readonly<Record<string, string>>
  readonly serviceName: string
}

type Values = {
  readonly [Name in keyof typeof TRACING_VARIABLES]:
    | z.output<(typeof TRACING_VARIABLES)[Name][0]>
    | ((typeof TRACING_VARIABLES)[Name][1] extends string ? never : undefined)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** As OpenTelemetry writes them: `name=value,name=value`, percent-encoded. */
export function readOtlpHeaders(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(',').flatMap((part) => {
    const at = part.indexOf('=')
    return at < 1 ? [] : [[part.slice(0, at).trim().toLowerCase(), decode(part.slice(at + 1).trim())] as const]
  })
  return Object.fromEntries(pairs)
}

const withPath = (endpoint: string, path: string): string => `${endpoint.replace(/\/+$/, '')}${path}`

/** Where each signal of the CLI's own telemetry goes. */
export function readOtlpUrls(
  environment: NodeJS.ProcessEnv,
): Record<'traces' | 'metrics' | 'logs', string | undefined> {
  const endpoint = environment['OTEL_EXPORTER_OTLP_ENDPOINT'] || undefined
  const of = (signal: string): string | undefined =>
    environment[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`] ||
    (endpoint === undefined ? undefined : withPath(endpoint, `/v1/${signal}`))
  return { traces: of('traces'), metrics: of('metrics'), logs: of('logs') }
}

/** @throws Error naming the variable where it asks for what is not there */
export function toTracingSettings(values: Values, environment: NodeJS.ProcessEnv): TracingSettings | undefined {
  const { traces: url } = readOtlpUrls(environment)
  const isOff = environment['OTEL_SDK_DISABLED'] === 'true' || environment['OTEL_TRACES_EXPORTER'] === 'none'
  if (url === undefined || isOff) return undefined
  const protocol = environment['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || values.OTEL_EXPORTER_OTLP_PROTOCOL
  if (protocol !== 'http/protobuf' && protocol !== 'http/json')
    throw new Error(
      `OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf or http/json, traces are sent by HTTP; it is ${protocol}.`,
    )
  return {
    url,
    protocol,
    headers: readOtlpHeaders(
      environment['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] || environment['OTEL_EXPORTER_OTLP_HEADERS'],
    ),
    serviceName: values.OTEL_SERVICE_NAME,
  }
}
