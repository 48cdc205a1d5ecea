/** A place of a worker: free, or taken since a moment (ms) by something that goes on, or taken by what is paused. */
export type Place = 'free' | 'paused' | { readonly since: number }

/** When the executions of a queue may be expected to start. */
export interface QueueOutlook {
  /** Runs behind it. */
  readonly samples: number
  /** By the place in the queue, 1 is next; milliseconds since the epoch, undefined where nothing is known. */
  startOf(position: number): number | undefined
}

/** When the executions of a service may be expected to start. */
export interface StartOutlook extends QueueOutlook {
  /** The places of an owner that may have only so many at work; its place in the queue is that among its own. */
  ofOwner(owner: string, limit: number): QueueOutlook
}

const median = (sorted: readonly number[]): number | undefined => sorted[Math.floor((sorted.length - 1) / 2)]

/**
 * When a run that has gone on so long ends: half of those that were not over by then took no longer. undefined: none
 * took so long.
 */
function endOf(since: number, sorted: readonly number[], now: number): number | undefined {
  let [longer, end] = [0, sorted.length]
  while (longer < end) {
    const middle = Math.floor((longer + end) / 2)
    if ((sorted[middle] ?? 0) > now - since) end = middle
    else longer = middle + 1
  }
  const total = sorted[longer + Math.floor((sorted.length - longer - 1) / 2)]
  return total === undefined || longer === sorted.length ? undefined : since + total
}

/**
 * Places become free when their runs end, and each execution that starts then takes one for the median of what runs
 * took:
 * so the starts are `free + k × median` over all places, and the p-th of the queue has the p-th earliest of them.
 */
export function outlookOf(places: readonly Place[], durations: readonly number[], now: number): QueueOutlook {
  const sorted = durations.toSorted((a, b) => a - b)
  const usual = Math.max(1, median(sorted) ?? 0)
  const frees = places.flatMap((place) => {
    if (place === 'free') return [now]
    const end = place === 'paused' ? undefined : endOf(place.since, sorted, now)
    return end === undefined ? [] : [end]
  })
  const idle = places.filter((place) => place === 'free').length
  const startsUntil = (time: number): number =>
    frees.reduce((sum, free) => sum + (free > time ? 0 : Math.floor((time - free) / usual) + 1), 0)
  return {
    samples: sorted.length,
    startOf(position) {
      if (position <= idle) return now
      if (frees.length === 0 || sorted.length === 0) return undefined
      let [low, high] = [now, Math.max(...frees) + usual * position]
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        if (startsUntil(middle) >= position) high = middle
        else low = middle
      }
      return high
    },
  }
}
