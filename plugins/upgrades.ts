import type { IncomingMessage, Server, ServerOptions } from 'node:http'
import type { Duplex } from 'node:stream'

type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** What asks for the other protocol, and goes with it (RFC 9110 7.8: `Upgrade` is hop-by-hop). */
const OFFER = /^(?:upgrade|connection|http2-settings)$/i

function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * For the server's options: Node's parser asks it whether a request becomes another protocol, and reads on as HTTP
 * where
 * it does not. Known to Node from 24.9 on, and ignored before; the types are those of the oldest version.
 */
export const WEBSOCKETS_ONLY = { shouldUpgradeCallback: isWebSocket } as ServerOptions

/** The head of a request as it would be without the offer. */
function withoutOffer({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2)
    if (!OFFER.test(name)) lines.push(`${name}: ${value}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/**
 * Offers of another protocol than WebSocket are ignored and their requests answered, as RFC 9110 7.8 lets a server do:
 * Java's HttpClient offers h2c with every request over http. Where Node's parser cannot ignore just one
 * (`WEBSOCKETS_ONLY`
 * is unknown to it) the request is put back without its offer, and read again from its beginning.
 */
export function takeOnlyWebSockets(server: Server): void {
  // Safe: only @fastify/websocket listens, with this signature.
  const [onWebSocket] = server.listeners('upgrade') as OnUpgrade[]
  if (!onWebSocket) throw new Error('WebSockets are not supported here')
  server.removeListener('upgrade', onWebSocket)
  server.on('upgrade', (request, socket, head) => {
    if (isWebSocket(request)) return onWebSocket(request, socket, head)
    socket.unshift(Buffer.concat([withoutOffer(request), head]))
    server.emit('connection', socket)
  })
}
