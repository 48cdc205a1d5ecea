export interface Limiter {
  /** Runs it when there is a place. */
  <Result>(run: () => Promise<Result>): Promise<Result>
  /** Whoever waits now waits no longer, whatever the limit. */
  letAllPass(): void
}

/** Lets so many of what it is given run at once; the others wait, in their order. */
export function createLimiter(limit: number): Limiter {
  const waiting: Array<() => void> = []
  let running = 0
  async function limited<Result>(run: () => Promise<Result>): Promise<Result> {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await run()
    } finally {
      // A place is handed on, so that nobody who comes now overtakes.
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
  return Object.assign(limited, {
    letAllPass() {
      const all = waiting.splice(0)
      running += all.length
      for (const next of all) next()
    },
  })
}
