import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../client/open-client.js'
import type { ClientError } from '../client/client-error.js'
import type { Event, EventType } from '../protocol/events.js'
import { isAway, type ServiceAccess } from './service-access.js'

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
  readonly onAway: (error: ClientError) => void
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
  async function follow(client: Client): Promise<boolean> {
    try {
      for await (const event of client.follow(executionId, {
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
      // Safe: the client throws nothing else.
      const { retryable } = error as ClientError
      if (isAway(error)) access.forget(client)
      else if (!retryable) throw error
      onAway(error as ClientError)
      return false
    }
  }

  while (!signal.aborted) {
    let client: Client
    try {
      client = await access.join(signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    if (await follow(client)) return
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined)
  }
}
