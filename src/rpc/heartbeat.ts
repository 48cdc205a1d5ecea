import type { WebSocket } from 'ws'

const PING_INTERVAL_MS = 25_000
const SILENCE_LIMIT_MS = 60_000

interface HeartbeatOptions {
  readonly socket: WebSocket
  /** A peer that is behind gets the ping late: whether it still takes anything is then the frame writer's to judge. */
  readonly isBehind: () => boolean
  /** False for peers that answer no ping: then only the kernel's keepalive finds out that one is gone. */
  readonly wantsPong?: boolean
  readonly intervalMs?: number
  readonly limitMs?: number
}

/**
 * Protocol pings, which every WebSocket library answers by itself; a peer that neither answers nor says anything is
 * gone and its socket is cut off.
 */
export function startHeartbeat({
  socket,
  isBehind,
  wantsPong = true,
  intervalMs = PING_INTERVAL_MS,
  limitMs = SILENCE_LIMIT_MS,
}: HeartbeatOptions): { stop(): void } {
  let heardAt = performance.now()
  const hear = () => {
    heardAt = performance.now()
  }
  const timer = setInterval(() => {
    if (isBehind() || !wantsPong) hear()
    if (performance.now() - heardAt >= limitMs) socket.terminate()
    else if (socket.readyState === socket.OPEN) socket.ping()
  }, intervalMs)
  timer.unref()
  socket.on('pong', hear)
  socket.on('message', hear)
  return {
    stop() {
      clearInterval(timer)
      socket.off('pong', hear)
      socket.off('message', hear)
    },
  }
}
