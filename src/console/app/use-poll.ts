import { useCallback, useEffect, useRef, useState } from 'react'
import { ClientError } from 'cc-executor/client'
import { useSession } from './session.js'

export interface Polled<Value> {
  readonly value: Value | undefined
  readonly error: ClientError | undefined
  /** Asks now, and again from then on. */
  readonly refresh: () => void
}

export const toClientError = (error: unknown): ClientError =>
  error instanceof ClientError
    ? error
    : new ClientError({
        code: 'INTERNAL',
        status: 0,
        retryable: true,
        detail: error instanceof Error ? error.message : String(error),
      })

/**
 * Asks the service every so often while the page is seen; one question at a time. A new key begins again without the
 * old value; an error keeps the last one, which stays true for a while.
 */
export function usePoll<Value>(
  key: string,
  ask: (signal: AbortSignal) => Promise<Value>,
  intervalMs: number | undefined,
): Polled<Value> {
  const { leave } = useSession()
  const [state, setState] = useState<{ key: string; value?: Value | undefined; error?: ClientError | undefined }>({
    key,
  })
  const current = useRef({ ask, intervalMs })
  current.current = { ask, intervalMs }
  const wake = useRef<() => void>(() => undefined)

  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let isAsking = false
    async function round(): Promise<void> {
      if (isAsking) return
      clearTimeout(timer)
      isAsking = true
      try {
        const value = await current.current.ask(stop.signal)
        if (!stop.signal.aborted) setState({ key, value })
      } catch (cause) {
        if (stop.signal.aborted) return
        const error = toClientError(cause)
        if (error.code === 'UNAUTHENTICATED') leave()
        else setState((last) => (last.key === key ? { ...last, error } : { key, error }))
      } finally {
        isAsking = false
        const next = current.current.intervalMs
        if (!stop.signal.aborted && next !== undefined && !document.hidden) timer = setTimeout(() => void round(), next)
      }
    }
    const look = (): void => {
      if (document.hidden) clearTimeout(timer)
      else void round()
    }
    wake.current = () => void round()
    void round()
    document.addEventListener('visibilitychange', look)
    return () => {
      stop.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [key, leave])

  const refresh = useCallback(() => wake.current(), [])
  // With a new key what is known is of another thing.
  return state.key === key
    ? { value: state.value, error: state.error, refresh }
    : { value: undefined, error: undefined, refresh }
}
