import { useEffect, useRef, useState } from 'react'
import type { ClientError, Event } from 'cc-executor/client'
import { useClient } from '../app/session.js'
import { toClientError } from '../app/use-poll.js'
import { Timeline } from './timeline.js'

/** What has come in this time is shown at once: a flood of events is drawn twenty times a second and not more. */
const DRAW_INTERVAL_MS = 50
/** A reader that never waits would keep the page from being drawn. */
const YIELD_EVERY = 2_000

export interface EventLog {
  readonly events: readonly Event[]
  readonly timeline: Timeline
  /** Grows with every drawing. */
  readonly version: number
  readonly isComplete: boolean
  readonly error: ClientError | undefined
}

interface Held {
  readonly id: string
  readonly events: Event[]
  readonly timeline: Timeline
}

/** Everything that an execution tells, from its first event on; after an interruption from the last one that came. */
export function useEventLog(executionId: string): EventLog {
  const client = useClient()
  const held = useRef<Held>()
  if (held.current?.id !== executionId) held.current = { id: executionId, events: [], timeline: new Timeline() }
  const { events, timeline } = held.current
  const [state, setState] = useState<Omit<EventLog, 'events' | 'timeline'>>({
    version: 0,
    isComplete: false,
    error: undefined,
  })

  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const draw = (change: Partial<EventLog> = {}): void => {
      timer = undefined
      setState((last) => ({ ...last, ...change, version: last.version + 1 }))
    }
    async function read(): Promise<void> {
      const after = events.at(-1)?.seq ?? 0
      for await (const event of client.follow(executionId, { after, signal: stop.signal })) {
        events.push(event)
        timeline.add(event)
        timer ??= setTimeout(draw, DRAW_INTERVAL_MS)
        if (events.length % YIELD_EVERY === 0) await new Promise((resolve) => setTimeout(resolve, 0))
      }
    }
    read().then(
      () => !stop.signal.aborted && draw({ isComplete: true }),
      (error: unknown) => !stop.signal.aborted && draw({ error: toClientError(error) }),
    )
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [client, executionId, events, timeline])

  return { events, timeline, ...state }
}
