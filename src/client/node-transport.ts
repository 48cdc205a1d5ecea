import type { IncomingMessage } from 'node:http'
import type * as ws from 'ws'
import { decodeProblem, toUnreachable } from './client-error.js'
import type { SocketAddress, SocketListener, SocketTransport } from './socket-transport.js'

/** With the first socket: most commands of the command line open none, and it would be a fifth of their start. */
const loadWs = (): typeof ws => globalThis.process.getBuiltinModule('node:module').createRequire(import.meta.url)('ws')

const ANSWER_DEADLINE_MS = 10_000
const CLOSE_GRACE_MS = 1_000
/** The longest line that the service can be configured to keep, and its envelope. */
const FRAME_LIMIT_BYTES = 513 * 1024 * 1024
const PROBLEM_LIMIT_CHARACTERS = 64 * 1024

/** The token goes in a header, pings show that the peer lives, and a socket that is not read stops its sender. */
export function openNodeTransport({ url, token }: SocketAddress, listener: SocketListener): SocketTransport {
  const { WebSocket } = loadWs()
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    maxPayload: FRAME_LIMIT_BYTES,
    perMessageDeflate: false,
  })

  /** An HTTP answer instead of the upgrade. */
  async function endWithAnswer(response: IncomingMessage): Promise<void> {
    const text = await readText(response)
    listener.onLost(decodeProblem(url, response.statusCode ?? 0, text, response.headers['retry-after']))
  }

  socket.on('open', () => listener.onOpen())
  socket.on('message', (data: Buffer) => listener.onText(data.toString(), data.length))
  socket.on('ping', () => listener.onAlive())
  socket.on('unexpected-response', (_request, response) => void endWithAnswer(response))
  socket.on('error', (error) => listener.onLost(toUnreachable(url, error)))
  socket.on('close', (code, reason) =>
    listener.onLost(
      toUnreachable(url, `the connection was closed (${code}${reason.length > 0 ? ` ${reason.toString()}` : ''})`),
    ),
  )

  return {
    send: (text) => socket.send(text),
    pause() {
      socket.pause()
      return true
    },
    resume: () => socket.resume(),
    close() {
      if (socket.readyState === WebSocket.CONNECTING) return socket.terminate()
      // After a failed handshake there is nothing below it.
      if (socket.readyState !== WebSocket.OPEN) return
      // A paused socket would never see the peer's close frame.
      socket.resume()
      socket.close(1000)
      setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref()
    },
  }
}

/** Of a refused upgrade; resolves in any case. */
async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setTimeout(ANSWER_DEADLINE_MS, () => response.destroy())
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > PROBLEM_LIMIT_CHARACTERS) break
    }
  } catch {
    // What came tells enough, or nothing does.
  }
  return text
}
