const INTERVAL_MS = 1_000
/** A run that asks for thousands of names is told of no further ones by name. */
const NAMES_LIMIT = 100

export interface DeniedHosts {
  note(host: string): void
  /** In the order in which they were first asked for. */
  readonly names: readonly string[]
  /** Tells what has not been told yet, and no more afterwards. */
  close(): void
}

/** Tells each refused host at once, and then how often in each second after. */
export function createDeniedHosts(report: (denied: { host: string; count: number }) => void): DeniedHosts {
  const pending = new Map<string, { count: number; timer: NodeJS.Timeout | undefined }>()
  let isClosed = false
  const speak = (host: string, entry: { count: number; timer: NodeJS.Timeout | undefined }): void => {
    entry.timer = undefined
    if (entry.count === 0) return
    const { count } = entry
    entry.count = 0
    entry.timer = setTimeout(() => speak(host, entry), INTERVAL_MS)
    report({ host, count })
  }
  return {
    note(asked) {
      if (isClosed) return
      const host = pending.has(asked) || pending.size < NAMES_LIMIT ? asked.slice(0, 260) : 'others'
      const entry = pending.get(host) ?? { count: 0, timer: undefined }
      pending.set(host, entry)
      entry.count += 1
      if (entry.timer === undefined) speak(host, entry)
    },
    get names() {
      return [...pending.keys()].slice(0, NAMES_LIMIT)
    },
    close() {
      isClosed = true
      for (const [host, entry] of pending) {
        clearTimeout(entry.timer)
        if (entry.count > 0) report({ host, count: entry.count })
        entry.count = 0
      }
    },
  }
}
