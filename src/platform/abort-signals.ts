/** Waits, but not longer than until the signal aborts. Resolves in both cases: who must know asks the signal. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, milliseconds)
    signal?.addEventListener('abort', finish, { once: true })
  })
}

/**
 * For a signal to which as many listen as there are runs, or calls, at once, each of which stops listening when it is
 * over: Node takes the eleventh for a leak, and warns of it.
 */
export function createSharedStop(): AbortController {
  const stop = new AbortController()
  // Looked up and not imported: the client uses this file in browsers, too, which have no such limit.
  globalThis.process?.getBuiltinModule('node:events').setMaxListeners(0, stop.signal)
  return stop
}

export interface JoinedSignal {
  readonly signal: AbortSignal
  /** Takes back what holds it, at its sources and at the clock. */
  release(): void
}

/**
 * Aborts with the first of these signals, or after so many milliseconds; whoever joins also releases.
 *
 * In place of AbortSignal.any, which on Node 20 holds its sources so weakly that an AbortSignal.timeout among them is
 * collected and
 * never fires, and which leaves an entry at a source that lives as long as the process for every signal that was ever
 * made of it.
 */
export function joinSignals(sources: readonly AbortSignal[], milliseconds?: number): JoinedSignal {
  const joined = new AbortController()
  const listeners = sources.map((source) => ({ source, listener: () => end(source.reason) }))
  const timer =
    milliseconds === undefined
      ? undefined
      : setTimeout(() => end(new DOMException(`It took longer than ${milliseconds} ms`, 'TimeoutError')), milliseconds)
  function release(): void {
    clearTimeout(timer)
    for (const { source, listener } of listeners) source.removeEventListener('abort', listener)
  }
  function end(reason: unknown): void {
    release()
    joined.abort(reason)
  }
  for (const { source, listener } of listeners) source.addEventListener('abort', listener, { once: true })
  const aborted = sources.find((source) => source.aborted)
  if (aborted) end(aborted.reason)
  return { signal: joined.signal, release }
}

export class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
}

/** The promise's result, or a DeadlineError after so many milliseconds; the promise itself is not stopped. */
export async function within<Result>(milliseconds: number, what: string, promise: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(`${what} took longer than ${milliseconds} ms`)), milliseconds)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}
