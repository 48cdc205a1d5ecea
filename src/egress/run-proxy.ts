import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { once } from 'node:events'
import {
  Agent as HttpAgent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { createDeniedHosts } from './denied-hosts.js'
import { hostRules } from './host-rules.js'
import { fail, refuseRequest, toHeaders } from './proxy-answers.js'

/** As supervision's relay looks for it. */
const SOCKET = 'proxy.sock'
/** A socket's path may have 107 bytes. */
const FOLDER_LIMIT_BYTES = 70
const CONNECT_MS = 30_000
const MODEL_PATHS = new Set(['/v1/messages', '/v1/messages/count_tokens'])
const CREDENTIALS = new Set(['authorization', 'x-api-key', 'cookie'])

export interface RunProxyOptions {
  /** Where Claude's API is. */
  readonly upstream: string
  /** What proves the operator to it, looked up for each request. An error with `isTransient` says that it may come. */
  readonly credential: () => Promise<Readonly<Record<string, string>>>
  /** It did not take what the newest request was sent with. */
  readonly onRefused?: (() => void) | undefined
  /** What the run wants beside it, and what its operator admits. */
  readonly wanted: readonly string[]
  readonly admitted: readonly string[]
  readonly onDenied: (denied: { host: string; count: number }) => void
  /** Where the CLI's own telemetry goes, by the path under which it sends it here. */
  readonly telemetry?: Readonly<Record<string, Destination>> | undefined
}

export interface Destination {
  readonly url: string
  /** Of the operator's, which the run does not see. */
  readonly headers: Readonly<Record<string, string>>
}

export interface RunProxy {
  /** To be shown to the run, and to nobody else. */
  readonly folder: string
  readonly deniedHosts: readonly string[]
  /** Tells what was refused since the last word of it, and no more afterwards. */
  settle(): void
  close(): Promise<void>
}

const NEVER = { status: 401, type: 'authentication_error' } as const
/** The CLI asks again after it, and its run is not over for good. */
const LATER = { status: 529, type: 'overloaded_error' } as const
const toRefusal = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

/** Host and port of `CONNECT`'s target. */
function readTarget(target = ''): { host: string; port: number } | undefined {
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[^:/[\]]+):(\d{1,5})$/i.exec(target) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}

/** A proxy of one run. */
export async function openRunProxy({
  upstream,
  credential,
  onRefused,
  wanted,
  admitted,
  onDenied,
  telemetry = {},
}: RunProxyOptions): Promise<RunProxy> {
  const place = await mkdtemp(
    join(Buffer.byteLength(tmpdir()) > FOLDER_LIMIT_BYTES ? '/tmp' : tmpdir(), 'cc-executor-proxy-'),
  )
  const folder = join(place, 'run')
  const base = new URL(upstream)
  const agents = { 'http:': new HttpAgent({ keepAlive: true }), 'https:': new HttpsAgent({ keepAlive: true }) }
  const rules = hostRules(wanted, admitted)
  const denied = createDeniedHosts(onDenied)
  const tunnels = new Set<Socket>()

  async function askModel(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isSecure = base.protocol === 'https:'
    const proof = await credential().catch(toRefusal)
    if (proof instanceof Error) {
      const isTransient = 'isTransient' in proof && proof.isTransient === true
      return refuseRequest(
        response,
        isTransient ? proof.message : 'The worker has no valid credential.',
        isTransient ? LATER : NEVER,
      )
    }
    const headers = { ...toHeaders(request, CREDENTIALS), ...proof, host: base.host }
    const path = base.pathname.replace(/\/$/, '') + (request.url ?? '')
    const send = isSecure ? httpsRequest : httpRequest
    const asked = send({
      protocol: base.protocol,
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port || (isSecure ? 443 : 80),
      method: 'POST',
      path,
      headers,
      agent: isSecure ? agents['https:'] : agents['http:'],
    })
    asked.on('response', ({ statusCode }) => statusCode === 401 && onRefused?.())
    relay(asked, request, response)
  }

  function relay(asked: ReturnType<typeof httpRequest>, request: IncomingMessage, response: ServerResponse): void {
    asked.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, toHeaders(answer))
      response.flushHeaders()
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    asked.on('error', () => fail(response, 'The host could not be reached.'))
    response.on('close', () => asked.destroy())
    request.pipe(asked)
  }

  async function askHost(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '')
    const port = Number(url.port || 80)
    const address = url.protocol === 'http:' ? await rules.resolve(url.hostname, port) : undefined
    if (address === undefined) {
      denied.note(`${url.hostname}:${port}`)
      return refuseRequest(response, `${url.host} is not one of the hosts that this run may reach (network.hosts).`)
    }
    relay(
      httpRequest({
        host: address,
        port,
        method: request.method,
        path: url.pathname + url.search,
        headers: { ...toHeaders(request), host: url.host },
      }),
      request,
      response,
    )
  }

  function askCollector({ url, headers: own }: Destination, request: IncomingMessage, response: ServerResponse): void {
    const { protocol, hostname, port, pathname, search, host } = new URL(url)
    const isSecure = protocol === 'https:'
    const headers = { ...toHeaders(request, CREDENTIALS), ...own, host }
    const send = isSecure ? httpsRequest : httpRequest
    const agent = isSecure ? agents['https:'] : agents['http:']
    const bare = hostname.replace(/^\[|\]$/g, '')
    relay(send({ hostname: bare, port, method: 'POST', path: pathname + search, headers, agent }), request, response)
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? ''
    if (/^https?:\/\//i.test(url)) return askHost(request, response)
    if (request.method === 'POST' && MODEL_PATHS.has(url.replace(/\?.*$/s, ''))) return askModel(request, response)
    const collector = request.method === 'POST' && Object.hasOwn(telemetry, url) ? telemetry[url] : undefined
    if (collector) return askCollector(collector, request, response)
    // Older CLIs look once whether there is anybody.
    if (request.method === 'HEAD' && url === '/') return void response.writeHead(200).end()
    return refuseRequest(response, 'A run may call messages and count_tokens only.')
  }

  async function tunnel(target: string | undefined, client: Duplex, head: Buffer): Promise<void> {
    client.on('error', () => client.destroy())
    const wanted = readTarget(target)
    const address = wanted && (await rules.resolve(wanted.host, wanted.port))
    if (wanted === undefined || address === undefined) {
      denied.note(wanted ? `${wanted.host.toLowerCase()}:${wanted.port}` : 'unreadable')
      return void client.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    }
    const server = connect({ host: address, port: wanted.port, timeout: CONNECT_MS })
    tunnels.add(server)
    let isOpen = false
    server.on('close', () => {
      tunnels.delete(server)
      client.destroy()
    })
    server.on('timeout', () => {
      if (!isOpen) server.destroy(new Error('timeout'))
    })
    server.on('error', () => {
      if (!isOpen) client.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    })
    server.once('connect', () => {
      isOpen = true
      server.setTimeout(0)
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      if (head.length > 0) server.write(head)
      server.pipe(client)
      client.pipe(server)
    })
    client.on('close', () => server.destroy())
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => fail(response, 'The request could not be passed on.'))
  })
  server.on('connect', (request, client, head) => void tunnel(request.url, client, head).catch(() => client.destroy()))
  // What is no HTTP is nobody's to answer.
  server.on('clientError', (_error, socket) => socket.destroy())
  server.requestTimeout = 0
  try {
    await mkdir(folder, { mode: 0o755 })
    server.listen(join(folder, SOCKET))
    await once(server, 'listening')
    // The folder above is the worker's alone; within the run the socket must be its user's to use.
    await chmod(join(folder, SOCKET), 0o666)
  } catch (error) {
    server.close()
    await rm(place, { recursive: true, force: true })
    throw error
  }
  return {
    folder,
    get deniedHosts() {
      return denied.names
    },
    settle: () => denied.close(),
    async close() {
      denied.close()
      server.close()
      server.closeAllConnections()
      for (const socket of tunnels) socket.destroy()
      for (const agent of Object.values(agents)) agent.destroy()
      await rm(place, { recursive: true, force: true })
    },
  }
}
