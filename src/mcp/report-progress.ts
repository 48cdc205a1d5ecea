import type { ServerContext } from '@modelcontextprotocol/server'
import type { Event, EventType } from '../protocol/events.js'

/** A sign of life where nothing else happens. */
const HEARTBEAT_MS = 5_000
const LEAST_PAUSE_MS = 500

export interface ProgressReport {
  report(message: string): void
  close(): void
}

const is = <Type extends EventType>(event: Event, type: Type): event is Event<Type> => event.type === type

/** One short line for an event; undefined: nothing that a waiting caller must know. */
export function describeEvent(event: Event): string | undefined {
  if (is(event, 'tool.started')) return `calls ${event.data.name}`
  if (is(event, 'progress'))
    return `${event.data.turns} turns, ${event.data.toolsUsed} tool calls, ${Math.round(event.data.elapsedMs / 1_000)} s`
  if (is(event, 'approval.requested')) return `waits for a decision on ${event.data.approval.tool}`
  if (is(event, 'execution.started')) return 'runs'
  if (is(event, 'execution.retrying')) return `waits for another attempt (${event.data.reason})`
  if (is(event, 'execution.parked')) return `is parked (${event.data.reason})`
  if (is(event, 'execution.unparked')) return 'is not parked any more'
  if (is(event, 'execution.paused')) return 'is paused'
  if (is(event, 'execution.resumed')) return 'goes on'
  if (is(event, 'execution.cancel_requested')) return 'is being cancelled'
  return undefined
}

/**
 * Progress notifications of a call, for a client that has asked for them: seconds waited of the seconds that it may
 * take.
 */
export function openProgress({ mcpReq }: ServerContext, totalSeconds: number): ProgressReport {
  const progressToken = mcpReq._meta?.progressToken
  if (progressToken === undefined) return { report: () => undefined, close: () => undefined }
  const startedAt = performance.now()
  let lastMs = -LEAST_PAUSE_MS
  let latest = 'waits for the service'
  let pending: NodeJS.Timeout | undefined

  function send(): void {
    pending = undefined
    lastMs = performance.now() - startedAt
    // Whoever has gone needs no progress.
    mcpReq
      .notify({
        method: 'notifications/progress',
        params: {
          progressToken,
          progress: lastMs / 1_000,
          total: Math.max(totalSeconds, lastMs / 1_000),
          message: latest,
        },
      })
      .catch(() => undefined)
  }
  const heartbeat = setInterval(send, HEARTBEAT_MS)

  return {
    report(message) {
      latest = message
      pending ??= setTimeout(send, Math.max(0, lastMs + LEAST_PAUSE_MS - (performance.now() - startedAt)))
    },
    close() {
      clearInterval(heartbeat)
      clearTimeout(pending)
    },
  }
}
