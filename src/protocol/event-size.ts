import { z } from 'zod'

/** Below it nothing of an event but its envelope would be left. */
export const SMALLEST_EVENT_BYTES = 256

export const MaxEventBytes = z
  .int()
  .min(SMALLEST_EVENT_BYTES)
  .meta({
    description:
      'Larger events are shortened and carry `truncatedBytes`; REST returns them in full. A client that ' +
      'limits the size of WebSocket frames must allow 200 bytes around the event.',
  })
