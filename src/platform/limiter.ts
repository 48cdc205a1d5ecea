/** Lets so many of what it is given run at once; the others wait, in their order. */
export function createLimiter(limit: number): <Result>(run: () => Promise<Result>) => Promise<Result> {
  const waiting: Array<() => void> = []
  let running = 0
  return async (run) => {
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
}
