import { sleep } from './abort-signals.js'

const ASK_MS = 250

/** How long a process that stops waits for somebody who has to take what it still wants to say. */
export interface BoundedWait {
  /**
   * Resolves with the work, or as soon as nobody has taken anything for too long and `may` says that it may be left.
   * True: the work was done.
   */
  for(work: Promise<unknown>, may?: () => boolean): Promise<boolean>
  close(): void
}

/** Asks again and again until it is closed; `ask` resolves when something was taken. */
export function openBoundedWait(ask: () => Promise<unknown>, silenceMs: number): BoundedWait {
  const stop = new AbortController()
  let takenAt = performance.now()
  const note = (): void => void (takenAt = performance.now())
  async function poll(): Promise<void> {
    while (!stop.signal.aborted) {
      await ask().then(note, () => undefined)
      await sleep(ASK_MS, stop.signal)
    }
  }
  // Of its own: it never rejects, and an answer that never comes keeps nobody.
  void poll()
  return {
    async for(work, may = () => true) {
      const done = new AbortController()
      const finish = (): void => done.abort()
      work.then(finish, finish)
      while (!done.signal.aborted && !(performance.now() - takenAt > silenceMs && may()))
        await sleep(ASK_MS, done.signal)
      if (!done.signal.aborted) return false
      await work
      return true
    },
    close: () => stop.abort(),
  }
}
