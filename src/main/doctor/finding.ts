/** One line about one part of this machine. A warning is something that works, and may not be what was meant. */
export interface Finding {
  readonly part: string
  readonly status: 'ok' | 'warning' | 'failed'
  /** What was found. */
  readonly message: string
  /** What to do about it; never with `ok`. */
  readonly remedy?: string
}

/** A finding whose part is said by whoever asked. */
export type Verdict = Omit<Finding, 'part'>

export const ok = (message: string): Verdict => ({ status: 'ok', message })
export const warn = (message: string, remedy: string): Verdict => ({ status: 'warning', message, remedy })
export const fail = (message: string, remedy: string): Verdict => ({ status: 'failed', message, remedy })

export const describeError = (error: unknown): string => {
  // Safe: what Node itself throws is an errno exception.
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}
