import { useEffect, useState } from 'react'
import type { ClientError } from 'cc-executor/client'
import { useClient } from '../app/session.js'
import { toClientError } from '../app/use-poll.js'
import { EventLog } from './event-log.js'

/** What has come in this time is shown at once: a flood of events is drawn twenty times a second and not more. */
const DRAW_INTERVAL_MS = 50
/** A reader that never waits would keep the page from being drawn. */
const YIELD_EVERY = 2_000

export interface Reading {
  readonly log: EventLog
  /** Grows with every drawing. */
  readonly version: number
  readonly isComplete: boolean
  readonly error: ClientError | undefined
}

/** Everything that an execution tells, from its first event on; after an interruption from the last one that came. */
export function useEventLog(executionId: string): Reading {
  const client = useClient()
  // One page shows one execution: another one is another page, with a log of its own.
  const [log] = useState(() => new EventLog())
  const [state, setState] = useState<Omit<Reading, 'log'>>({
    version: 0,
    isComplete: false,
    error: undefined,
  })

  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const draw = (change: Partial<Reading> = {}): void => {
      timer = undefined
      setState((last) => ({ ...last, ...change, version: last.version + 1 }))
    }
    async function read(): Promise<void> {
      for await (const event of client.follow(executionId, { after: log.lastSeq, signal: stop.signal })) {
        log.add(event)
        timer ??= setTimeout(draw, DRAW_INTERVAL_MS)
        if (log.events.length % YIELD_EVERY === 0) await new Promise((resolve) => setTimeout(resolve, 0))
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
  }, [client, executionId, log])

  return { log, ...state }
}
