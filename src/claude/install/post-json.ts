import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { definedFields } from '../../protocol/defined-fields.js'

const ANSWER_LIMIT_BYTES = 1024 * 1024

export interface Answer {
  readonly status: number
  readonly body: unknown
}

const isExempt = (host: string, noProxy: string): boolean =>
  noProxy
    .split(/[\s,]+/)
    .map((entry) =>
      entry
        .trim()
        .toLowerCase()
        .replace(/^\*?\./, ''),
    )
    .some((entry) => entry === '*' || (entry !== '' && (host === entry || host.endsWith(`.${entry}`))))

/** As the CLI and curl read them; undefined: directly. */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const of = (name: string): string => env[name.toLowerCase()] || env[name] || ''
  const proxy = (url.protocol === 'https:' ? of('HTTPS_PROXY') : of('HTTP_PROXY')) || of('ALL_PROXY')
  if (!/^https?:\/\//i.test(proxy) || isExempt(url.hostname.toLowerCase(), of('NO_PROXY'))) return undefined
  return new URL(proxy)
}

async function openTunnel(url: URL, proxy: URL, signal: AbortSignal): Promise<Socket> {
  const target = `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`
  const { username, password } = proxy
  const user = username === '' ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const asked = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
    hostname: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
    method: 'CONNECT',
    path: target,
    signal,
    headers: definedFields({
      host: target,
      'proxy-authorization': user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`,
    }),
  })
  asked.end()
  // Safe: what the event 'connect' of a client's request brings.
  const [answer, socket] = (await once(asked, 'connect', { signal })) as [IncomingMessage, Socket]
  if (answer.statusCode !== 200) {
    socket.destroy()
    throw new Error(`the proxy refused the connection (${answer.statusCode})`)
  }
  return socket
}

async function send(url: URL, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<ClientRequest> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  const isSecure = url.protocol === 'https:'
  const proxy = proxyFor(url, env)
  const options = { method: 'POST', headers, signal }
  if (proxy === undefined) return (isSecure ? httpsRequest : httpRequest)(url, { ...options, agent: false })
  const tunnel = await openTunnel(url, proxy, signal)
  return isSecure
    ? httpsRequest(url, {
        ...options,
        createConnection: () => connectTls({ socket: tunnel, servername: url.hostname }),
      })
    : httpRequest(url, { ...options, createConnection: () => tunnel })
}

/** Follows no redirect: what is sent is a secret of one address. @throws where no whole answer came */
export async function postJson(
  url: string,
  body: unknown,
  { env, deadlineMs }: { readonly env: NodeJS.ProcessEnv; readonly deadlineMs: number },
): Promise<Answer> {
  const aborter = new AbortController()
  const timer = setTimeout(() => aborter.abort(new Error('no response in time')), deadlineMs)
  try {
    const asked = await send(new URL(url), env, aborter.signal)
    asked.end(JSON.stringify(body))
    // Safe: what the event 'response' brings.
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > ANSWER_LIMIT_BYTES) response.destroy(new Error('the answer is too long'))
    })
    const said = await text(response)
    let parsed: unknown
    try {
      parsed = JSON.parse(said)
    } catch {
      // A gateway in between answers in words.
    }
    return { status: response.statusCode ?? 0, body: parsed }
  } catch (error) {
    throw aborter.signal.aborted ? aborter.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}
