import type { Worker } from 'bullmq'

/** Node fires a longer timer at once; a limit that lasts longer is met again by the next claim. */
const LONGEST_MS = 24 * 60 * 60 * 1_000

export interface Pause {
  /** Takes no new job for so long; what runs goes on. */
  for(waitMs: number): void
  close(): void
}

/**
 * Keeps a worker from taking jobs while the limit of its credential is reached. The claim is what refuses: so a worker
 * learns of it with the first job that it takes, and each wait ends with a claim that looks again.
 */
export function createPause(worker: Pick<Worker, 'pause' | 'resume'>, onError: (error: unknown) => void): Pause {
  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  function resume(): void {
    timer = undefined
    if (!isClosed) worker.resume().catch(onError)
  }
  return {
    for(waitMs) {
      if (isClosed) return
      clearTimeout(timer)
      worker.pause(true).catch(onError)
      timer = setTimeout(resume, Math.min(LONGEST_MS, waitMs))
    },
    close() {
      isClosed = true
      clearTimeout(timer)
    },
  }
}
