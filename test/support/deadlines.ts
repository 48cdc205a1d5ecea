// Whatever a test waits for has a deadline: what never comes fails its test by name, instead of the whole run.
import { once as onceEver, type EventEmitter } from 'node:events'
import { sleep, within } from '../../src/platform/abort-signals.js'

/** Generous: the machine may be busy with something else. It ends a test that would hang, and asserts nothing. */
export const DEADLINE_MS = 240_000

type Once = ReturnType<typeof onceEver>

/** As Node's, and rejects where the event does not come in time. */
export async function once(emitter: EventEmitter, name: string, options: { signal?: AbortSignal } = {}): Once {
  const stop = new AbortController()
  const end = (reason: unknown): void => stop.abort(reason)
  const leave = (): void => end(options.signal?.reason)
  const timer = setTimeout(() => end(new Error(`no "${name}" within ${DEADLINE_MS} ms`)), DEADLINE_MS)
  // What a test no longer waits for keeps no process.
  timer.unref()
  if (options.signal?.aborted) leave()
  options.signal?.addEventListener('abort', leave, { once: true })
  try {
    return await onceEver(emitter, name, { signal: stop.signal })
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', leave)
  }
}

/** Of what may live as long as all tests of a file; whoever waits for it does so `within` a deadline. */
export const eventually = (emitter: EventEmitter, name: string): Once => onceEver(emitter, name)

/** Does something until it answers other than undefined. */
export async function repeat<Found>(
  next: () => Promise<Found | undefined>,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<Found> {
  let isOver = false
  const untilFound = async (): Promise<Found> => {
    while (!isOver) {
      const found = await next()
      if (found !== undefined) return found
    }
    throw new Error(`given up: ${what}`)
  }
  try {
    return await within(deadlineMs, what, untilFound())
  } finally {
    isOver = true
  }
}

/** In turns of the event loop, which what is waited for needs. */
export const turns = async (holds: () => boolean, what: string): Promise<void> =>
  void (await repeat(async () => {
    if (holds()) return true
    await new Promise((resolve) => void setImmediate(resolve))
    return undefined
  }, what))

/** Looks again and again, up to a deadline that only a failure reaches. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const begun = performance.now()
  while (!(await holds())) {
    const waitedMs = performance.now() - begun
    if (waitedMs > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    // Less often the longer it takes: looking costs what others wait for.
    await sleep(Math.min(100, Math.max(25, waitedMs / 20)))
  }
}
