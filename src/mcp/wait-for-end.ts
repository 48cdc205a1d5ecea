import { setTimeout as delay } from 'node:timers/promises'
import type { Event, EventType } from '../protocol/events.js'
import { isAway, type ServiceAccess, type ToolService } from './service-access.js'
import { toToolError } from './tool-result.js'

const RETRY_MS = 250
/** What tells how far an execution is. */
const TYPES: readonly EventType[] = [
  'execution.started',
  'execution.retrying',
  'execution.parked',
  'execution.unparked',
  'execution.paused',
  'execution.resumed',
  'execution.cancel_requested',
  'tool.started',
  'approval.requested',
  'progress',
  'execution.finished',
]

interface WaitOptions {
  /** Ends the waiting quietly. */
  readonly signal: AbortSignal
  /** true: what it waits for is a decision, and nothing else is worth waiting for. */
  readonly onEvent: (event: Event) => boolean
  /** The service went away, and is looked for. */
  readonly onAway: () => void
}

/**
 * Waits until an execution has ended, is parked, or the signal aborts, whichever service serves it meanwhile:
 * following → away (joined again, from the cursor on) → following. @throws ClientError where waiting cannot help
 */
export async function waitForEnd(
  access: ServiceAccess,
  executionId: string,
  { signal, onEvent, onAway }: WaitOptions,
): Promise<void> {
  let cursor = 0

  /** true: nothing will follow. */
  async function follow(service: ToolService): Promise<boolean> {
    try {
      for await (const event of service.follow(executionId, {
        after: cursor,
        types: TYPES,
        signal,
        onInterrupted: onAway,
      })) {
        cursor = event.seq
        if (onEvent(event)) return true
      }
      return true
    } catch (error) {
      if (isAway(error)) access.forget(service)
      else if (!toToolError(error).retryable) throw error
      onAway()
      return false
    }
  }

  while (!signal.aborted) {
    let service: ToolService
    try {
      service = await access.join(signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    if (await follow(service)) return
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined)
  }
}
