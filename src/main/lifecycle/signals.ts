export const PARENT_GONE = 'the parent is gone'

const TOGETHER_MS = 1_000

/**
 * The first SIGINT, SIGTERM or SIGHUP (a terminal that is closed) resolves the promise; a second one ends the process
 * at once. A child of `start` leaves SIGINT and SIGHUP to its parent, which gets the same from the terminal, and ends
 * when the parent is gone.
 */
export function untilStopped({ child }: { child: boolean }): Promise<string> {
  return new Promise((resolve) => {
    let askedAt: number | undefined
    const stop = (why: string): void => {
      // npm passes a Ctrl-C on to what the terminal has sent it to already: two that come together are one.
      if (askedAt !== undefined && why !== PARENT_GONE && performance.now() - askedAt > TOGETHER_MS) process.exit(1)
      askedAt ??= performance.now()
      resolve(why)
    }
    process.on('SIGTERM', () => stop('SIGTERM'))
    for (const signal of ['SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (!child) stop(signal)
      })
    }
    if (!child) return
    process.on('disconnect', () => stop(PARENT_GONE))
    // It may have gone while our own modules were still loading.
    if (!process.connected) stop(PARENT_GONE)
  })
}
