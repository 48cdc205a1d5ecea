import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

interface IdleWatchOptions {
  readonly server: Server
  /** Whether an execution waits or runs. */
  readonly isBusy: () => Promise<boolean>
  readonly idleMs: number
  /** Once. */
  readonly onIdle: () => void
}

const LOOKS_PER_PERIOD = 10
const LONGEST_PAUSE_MS = 10_000

/**
 * Tells when for `idleMs` no request was open or came, no WebSocket was open, and no execution was there.
 * A connection that is only kept alive is nobody.
 */
export function watchIdle({ server, isBusy, idleMs, onIdle }: IdleWatchOptions): { close(): void } {
  let present = 0
  let lastSeen = performance.now()
  let isLooking = false

  function come(leaving: ServerResponse | Duplex): void {
    present += 1
    lastSeen = performance.now()
    leaving.once('close', () => {
      present -= 1
      lastSeen = performance.now()
    })
  }
  const onRequest = (_request: IncomingMessage, response: ServerResponse): void => come(response)
  const onUpgrade = (_request: IncomingMessage, socket: Duplex): void => come(socket)
  server.on('request', onRequest)
  server.on('upgrade', onUpgrade)

  async function checkIdle(): Promise<void> {
    if (isLooking) return
    isLooking = true
    try {
      // What cannot be asked holds nobody: a service without its store is of no use.
      if (present > 0 || (await isBusy().catch(() => false))) lastSeen = performance.now()
    } finally {
      isLooking = false
    }
    if (performance.now() - lastSeen < idleMs) return
    close()
    onIdle()
  }
  const timer = setInterval(() => void checkIdle(), Math.min(LONGEST_PAUSE_MS, idleMs / LOOKS_PER_PERIOD))

  function close(): void {
    clearInterval(timer)
    server.off('request', onRequest)
    server.off('upgrade', onUpgrade)
  }
  return { close }
}
