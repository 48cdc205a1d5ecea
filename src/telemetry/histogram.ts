/** Upper bounds in seconds; what is above the last one is counted in a bucket of its own. */
export const BUCKETS = {
  append: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  relay: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  request: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
  queueWait: [0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3_600, 14_400, 86_400],
  duration: [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600],
} as const

/** The index of the bucket of a value. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let index = 0
  while (index < bounds.length && value > (bounds[index] ?? 0)) index += 1
  return index
}

/** Counts what takes how long. On hot paths: an observation is an addition or two. */
export class Histogram {
  readonly counts: number[]
  sum = 0

  constructor(readonly bounds: readonly number[]) {
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(seconds: number): void {
    const index = bucketOf(this.bounds, seconds)
    this.counts[index] = (this.counts[index] ?? 0) + 1
    this.sum += seconds
  }
}
