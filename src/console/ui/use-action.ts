import { useState } from 'react'
import type { ClientError } from 'cc-executor/client'
import { toClientError } from '../app/use-poll.js'

export interface Action {
  readonly isBusy: boolean
  readonly error: ClientError | undefined
  /** One at a time; true when it succeeded. */
  readonly run: (act: () => Promise<unknown>) => Promise<boolean>
}

/** What a button does: once at a time, and its failure is shown. */
export function useAction(): Action {
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<ClientError>()
  return {
    isBusy,
    error,
    async run(act) {
      if (isBusy) return false
      setBusy(true)
      setError(undefined)
      try {
        await act()
        return true
      } catch (cause) {
        setError(toClientError(cause))
        return false
      } finally {
        setBusy(false)
      }
    },
  }
}
