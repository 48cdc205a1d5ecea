/**
 * What a process keeps of its start. While modules load, all that is made lives on, so V8 doubles the young generation
 * up to its limit and never gives that back: 16 to 32 MB in each process that then waits. Held at its first size until
 * the process serves, and free to grow from then on, it costs only whoever needs it (measured: an idle service takes
 * half the memory, and a relay at full speed is as fast as before).
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const SERVICE = ['start', 'api', 'worker']
/** V8's own. */
const GROWTH_FACTOR = 2
/** What came with the start is garbage by then, and the first requests are not kept waiting. */
const SETTLE_MS = 1_500

/** Before anything else is loaded; a command that ends at once is left alone. */
export function holdYoungGeneration(command: string | undefined): void {
  if (command !== undefined && SERVICE.includes(command)) setFlagsFromString('--semi-space-growth-factor=1')
}

/**
 * How much the heap, with the buffers that it holds, grows between two full collections: by half to four times as V8
 * reckons it, which was by a quarter for an API that reads logs (one collection for each 10 MB, half of its CPU), and
 * by 100 MB for one whose subscribers come and go.
 */
const HEAP_GROWTH_PERCENT = 100
/** A process that did so little for so long is at rest. */
const LOOK_MS = 500
const BUSY_SHARE = 0.02
/** V8 gives the young generation back where nothing was allocated since a collection more than five seconds ago. */
const LOOKS_TO_SHRINK = 13
/** Less is not worth a collection. */
const GARBAGE_BYTES = 8 * 1024 * 1024

/** Once the process serves. */
export async function settle(waitMs = SETTLE_MS, lookMs = LOOK_MS): Promise<void> {
  setFlagsFromString(`--semi-space-growth-factor=${GROWTH_FACTOR}`)
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)
  await delay(waitMs, undefined, { ref: false })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  // What was young at the first is old at the second.
  collect()
  await delay(waitMs, undefined, { ref: false })
  collect()
  collectAtRest(collect, lookMs)
}

function sizeInUse(): number {
  const { used_heap_size: heap, external_memory: buffers } = getHeapStatistics()
  return heap + buffers
}

function sizeOfYoung(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0
}

/**
 * What a burst has left lies there until the next one, for nothing else makes V8 look: 4,000 subscribers who wait kept
 * three times their own memory as garbage of their beginning, and each further flood of events came on top.
 */
function collectAtRest(collect: () => void, lookMs: number): void {
  let kept = sizeInUse()
  const young = sizeOfYoung()
  let before = performance.eventLoopUtilization()
  let looks = 0
  const look = (): void => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    looks = utilization > BUSY_SHARE ? 0 : looks + 1
    if (looks === 0) return
    const hasGarbage = sizeInUse() > kept + GARBAGE_BYTES
    if (!hasGarbage && (looks !== LOOKS_TO_SHRINK || sizeOfYoung() <= young)) return
    collect()
    kept = sizeInUse()
    if (hasGarbage) looks = 1
  }
  setInterval(look, lookMs).unref()
}
