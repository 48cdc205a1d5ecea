import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** Of one connection each, and none of them the credential's way: that one is ours to say. */
const NOT_PASSED = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What is passed on of a request or an answer. */
export const toHeaders = (
  { headers }: IncomingMessage,
  without: ReadonlySet<string> = new Set(),
): OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_PASSED.has(name) && !without.has(name)))

export function refuseRequest(
  response: ServerResponse,
  message: string,
  { status, type } = { status: 403, type: 'permission_error' },
): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ type: 'error', error: { type, message } }))
}

export function fail(response: ServerResponse, message: string): void {
  if (response.headersSent) return void response.destroy()
  response.writeHead(502, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ type: 'error', error: { type: 'api_error', message } }))
}
