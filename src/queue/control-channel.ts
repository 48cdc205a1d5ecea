import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'

/**
 * A message to all workers: read this execution's record again. The record holds the request; the message only saves
 * waiting.
 */
export interface ControlMessage {
  /** : a cancel or a pause was requested. The name is read by workers of other versions, too. */
  readonly kind: 'wish' | 'deleted'
  readonly executionId: string
}

const channelOf = (prefix: string): string => `${keyRoot(prefix)}:control`

export async function sendControl(redis: Redis, prefix: string, message: ControlMessage): Promise<void> {
  await redis.publish(channelOf(prefix), JSON.stringify(message))
}

/**
 * Listens for as long as the connection lives; a message that gets lost is made good by the next renewal of the lease.
 */
export function receiveControl(subscriber: Redis, prefix: string, onMessage: (message: ControlMessage) => void): void {
  const channel = channelOf(prefix)
  subscriber.on('message', (from: string, text: string) => {
    // Safe: only sendControl writes to this channel.
    if (from === channel) onMessage(JSON.parse(text) as ControlMessage)
  })
  subscriber.subscribe(channel).catch(() => undefined)
}
