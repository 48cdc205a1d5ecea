import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'

/**
 * A nudge to all workers: look at this execution's record again. The record holds the wish; the nudge only saves
 * waiting.
 */
export interface ControlMessage {
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
