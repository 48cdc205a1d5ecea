// A collector: keeps the spans that are sent to it by OTLP over HTTP in JSON, and answers as it is told.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once, until } from './deadlines.js'

export interface ReceivedSpan {
  readonly service: string
  readonly process: string | undefined
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly traceState: string | undefined
  readonly attributes: Readonly<Record<string, string | number | boolean | undefined>>
  readonly isError: boolean
}

type Value = { stringValue?: string; intValue?: string | number; doubleValue?: number; boolValue?: boolean }
type Attribute = { key: string; value: Value }

const toValue = ({ stringValue, intValue, doubleValue, boolValue }: Value) =>
  stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue))
const toAttributes = (list: readonly Attribute[]) =>
  Object.fromEntries(list.map(({ key, value }) => [key, toValue(value)]))

interface Body {
  resourceSpans: Array<{
    resource: { attributes: Attribute[] }
    scopeSpans: Array<{
      spans: Array<{
        name: string
        traceId: string
        spanId: string
        parentSpanId?: string
        traceState?: string
        attributes?: Attribute[]
        status?: { code?: number }
      }>
    }>
  }>
}

export interface OtlpReceiver {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  /** Of the requests, in order. */
  readonly headers: readonly string[]
  /** From now on: an answer's status, or `never`. */
  answer(how: number | 'never'): void
  /** The spans of a trace once there are so many of each name. */
  until(traceId: string, counts: Readonly<Record<string, number>>): Promise<ReceivedSpan[]>
}

export async function openOtlpReceiver(t: { teardown(fn: () => Promise<void>): void }): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const headers: string[] = []
  let how: number | 'never' = 200
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      headers.push(request.headers.authorization ?? '')
      if (how === 'never') return
      if (how === 200 && request.url === '/v1/traces') keep(JSON.parse(Buffer.concat(parts).toString()))
      response.writeHead(how, { 'content-type': 'application/json' }).end('{}')
    })
  })
  function keep({ resourceSpans }: Body): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const of = toAttributes(resource.attributes)
      for (const { spans: list } of scopeSpans)
        for (const { name, traceId, spanId, parentSpanId, traceState, attributes = [], status } of list)
          spans.push({
            service: String(of['service.name']),
            process: of['cc_executor.process'] as string | undefined,
            name,
            traceId,
            spanId,
            parentSpanId: parentSpanId || undefined,
            traceState,
            attributes: toAttributes(attributes),
            isError: status?.code === 2,
          })
    }
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    headers,
    answer: (next) => void (how = next),
    async until(traceId, counts) {
      let found: ReceivedSpan[] = []
      const isWhole = (): boolean => {
        found = spans.filter((span) => span.traceId === traceId)
        return Object.entries(counts).every(
          ([name, count]) => found.filter((span) => span.name === name).length >= count,
        )
      }
      await until(isWhole, JSON.stringify(counts), 60_000).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${found.map(({ name }) => name).join(', ')}`)
      })
      return found
    },
  }
}
