import * as z from 'zod'
import { SMALLEST_EVENT_BYTES } from './limits.js'

export const MaxEventBytes = z
  .int()
  .min(SMALLEST_EVENT_BYTES)
  .meta({
    description:
      'Larger events are shortened and carry `truncatedBytes`; REST returns them in full. A client that ' +
      'limits the size of WebSocket frames must allow 200 bytes around the event.',
  })
