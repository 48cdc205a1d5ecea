import { decodeProblem, toUnreachable, type ClientError } from './client-error.js'
import { definedFields } from '../protocol/defined-fields.js'
import type { SocketAddress, SocketListener, SocketTransport } from './socket-transport.js'

/** A page sees no pings: it asks, well before the silence would count as the end. */
const ASK_INTERVAL_MS = 20_000
const ANSWER_DEADLINE_MS = 10_000
/** A proxy that lets no upgrade through refuses each; a service that just starts again refuses one or two. */
const LOST_UPGRADES = 3

const lostUpgrades = new Map<string, number>()

/**
 * A page's WebSocket: the token is a subprotocol, since no header can be set, and a refusal has no reason, so the same
 * path is asked by HTTP what is wrong.
 */
export function openBrowserTransport({ url, token }: SocketAddress, listener: SocketListener): SocketTransport {
  const protocols = ['cc-executor', ...(token === undefined ? [] : [`bearer.${token}`])]
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, protocols)
  let wasOpen = false
  const asking = setInterval(() => {
    // The answer has an id that nobody waits for; that it came is all.
    if (socket.readyState === WebSocket.OPEN)
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: 'alive', method: 'health.get' }))
  }, ASK_INTERVAL_MS)

  socket.addEventListener('open', () => {
    wasOpen = true
    lostUpgrades.delete(url)
    listener.onOpen()
  })
  socket.addEventListener('message', (message) => {
    const text = String(message.data)
    listener.onText(text, text.length)
  })
  socket.addEventListener('close', ({ code, reason }) => {
    clearInterval(asking)
    const closed = toUnreachable(url, `the connection was closed (${code}${reason === '' ? '' : ` ${reason}`})`)
    if (wasOpen) listener.onLost(closed)
    else void findRefusal({ url, token }).then((refusal) => listener.onLost(refusal ?? closed))
  })

  return {
    send: (text) => socket.send(text),
    pause: () => false,
    resume: () => undefined,
    close() {
      clearInterval(asking)
      socket.close(1000)
    },
  }
}

/** What the service has against an upgrade; undefined where it says nothing, or nothing else than that it is one. */
async function findRefusal({ url, token }: SocketAddress): Promise<ClientError | undefined> {
  try {
    const answer = await fetch(`${url}/ws`, {
      headers: definedFields({ authorization: token === undefined ? undefined : `Bearer ${token}` }),
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
    })
    const problem = decodeProblem(url, answer.status, await answer.text(), answer.headers.get('retry-after'))
    if (problem.code !== 'UPGRADE_REQUIRED') return problem
    const count = (lostUpgrades.get(url) ?? 0) + 1
    lostUpgrades.set(url, count)
    return count < LOST_UPGRADES ? undefined : problem
  } catch {
    return undefined
  }
}
