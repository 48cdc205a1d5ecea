import type { Worker } from 'bullmq'

/** Node fires a longer timer at once; a limit that lasts longer is met again by the next claim. */
const LONGEST_MS = 24 * 60 * 60 * 1_000

export interface Pause {
  /** Takes no new job for so long; what runs goes on. */
  for(waitMs: number): void
  /** The wait is over at once. */
  end(): void
  /** Takes none until it is let go, whatever time that takes. */
  setHeld(isHeld: boolean): void
  close(): void
}

/**
 * Keeps a worker from taking jobs while it could do nothing with them: until the limit of a credential is over (the
 * claim is what
 * refuses, so a worker learns of it with the first job that it takes, and each wait ends with a claim that looks
 * again), and as long
 * as it is held. It resumes when neither stands in the way.
 */
export function createPause(worker: Pick<Worker, 'pause' | 'resume'>, onError: (error: unknown) => void): Pause {
  let timer: NodeJS.Timeout | undefined
  let isHeld = false
  let isClosed = false
  async function apply(): Promise<void> {
    if (isClosed) return
    if (isHeld || timer !== undefined) await worker.pause(true)
    else await worker.resume()
  }
  return {
    for(waitMs) {
      if (isClosed) return
      clearTimeout(timer)
      timer = setTimeout(
        () => {
          timer = undefined
          apply().catch(onError)
        },
        Math.min(LONGEST_MS, waitMs),
      )
      apply().catch(onError)
    },
    end() {
      clearTimeout(timer)
      timer = undefined
      apply().catch(onError)
    },
    setHeld(value) {
      if (value === isHeld) return
      isHeld = value
      apply().catch(onError)
    },
    close() {
      isClosed = true
      clearTimeout(timer)
    },
  }
}
