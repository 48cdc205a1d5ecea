import type { Event } from '../protocol/events.js'
import type { ClientError } from './client-error.js'

interface EventInboxOptions {
  readonly limitBytes: number
  /** At the bound: whoever fills it must stop. One frame more may come. */
  readonly onFull: () => void
  /** Half of it has been taken since. */
  readonly onRoom: () => void
}

export interface EventInbox {
  put(event: Event, bytes: number): void
  /** The first end counts; what was put before it is still given out. */
  end(error?: ClientError): void
  /** For one reader. undefined: it has ended. @throws the error that ended it */
  take(): Promise<Event | undefined>
}

/** Events between a socket that pushes and a reader that pulls. */
export function createEventInbox({ limitBytes, onFull, onRoom }: EventInboxOptions): EventInbox {
  const waiting: Array<{ readonly event: Event; readonly bytes: number }> = []
  let heldBytes = 0
  let isFull = false
  let ending: { readonly error: ClientError | undefined } | undefined
  let wake: () => void = () => undefined

  return {
    put(event, bytes) {
      if (ending) return
      waiting.push({ event, bytes })
      heldBytes += bytes
      wake()
      if (isFull || heldBytes < limitBytes) return
      isFull = true
      onFull()
    },
    end(error) {
      ending ??= { error }
      wake()
    },
    async take() {
      for (;;) {
        const next = waiting.shift()
        if (next) {
          heldBytes -= next.bytes
          if (isFull && heldBytes <= limitBytes / 2) {
            isFull = false
            onRoom()
          }
          return next.event
        }
        if (ending?.error) throw ending.error
        if (ending) return undefined
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}
