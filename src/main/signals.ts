/**
 * The first SIGINT or SIGTERM resolves the promise; a second one ends the process at once.
 * A child of `start` leaves SIGINT to its parent, which gets the same Ctrl-C from the terminal, and ends when the parent is gone.
 */
export function untilStopped({ child }: { child: boolean }): Promise<string> {
  return new Promise((resolve) => {
    let asked = false
    const stop = (why: string): void => {
      if (asked && why !== 'disconnect') process.exit(1)
      asked = true
      resolve(why)
    }
    process.on('SIGTERM', () => stop('SIGTERM'))
    process.on('SIGINT', () => {
      if (!child) stop('SIGINT')
    })
    if (child) process.on('disconnect', () => stop('disconnect'))
  })
}
