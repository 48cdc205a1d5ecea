import { z } from 'zod'

/** Below it nothing of an event but its envelope would be left. */
export const SMALLEST_EVENT_BYTES = 256

export const MaxEventBytes = z
  .int()
  .min(SMALLEST_EVENT_BYTES)
  .meta({
    description:
      'Larger events come shortened, with `truncatedBytes`; they are whole on REST. A client whose WebSocket takes ' +
      'no larger frames leaves room for 200 bytes around the event.',
  })
