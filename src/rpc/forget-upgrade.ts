import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Logger } from '../platform/logger.js'

/**
 * Lets go of the request that became a WebSocket: Node keeps its response with the TCP socket, and the plugin's
 * listener for errors keeps all of both, a third of what an idle socket costs.
 */
export function forgetUpgrade(
  socket: WebSocket,
  { transport, response, logger }: { transport: Socket; response: ServerResponse; logger: Logger },
): void {
  response.detachSocket(transport)
  // What a client sent wrong, a frame too large for instance, is answered by a close code and is nobody's fault here.
  socket.removeAllListeners('error').on('error', (error: Error & { code?: string }) => {
    logger[error.code?.startsWith('WS_ERR_') ? 'debug' : 'error']({ err: error }, 'a WebSocket failed')
    socket.terminate()
  })
}
