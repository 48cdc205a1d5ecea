/**
 * How BullMQ's worker must be set for the promise "never silently repeated":
 * a stalled job is failed and not run again, a failed one is not retried; the record decides what happens next.
 */
export function workerSettings({ concurrency, lockSeconds }: { concurrency: number; lockSeconds: number }) {
  return {
    concurrency,
    lockDuration: lockSeconds * 1_000,
    stalledInterval: Math.min(10_000, lockSeconds * 1_000),
    maxStalledCount: 0,
  } as const
}
