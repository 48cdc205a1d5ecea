/**
 * What a process keeps of its start. While modules load, all that is made lives on, so V8 doubles the young generation
 * up to its limit and never gives that back: 16 to 32 MB in each process that then waits. Held at its first size until
 * the process serves, and free to grow from then on, it costs only whoever needs it (measured: an idle service takes
 * half the memory, and a relay at full speed is as fast as before).
 */
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
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

/** Once the process serves. */
export async function settle(waitMs = SETTLE_MS): Promise<void> {
  setFlagsFromString(`--semi-space-growth-factor=${GROWTH_FACTOR}`)
  await delay(waitMs, undefined, { ref: false })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  // What was young at the first is old at the second.
  collect()
  await delay(waitMs, undefined, { ref: false })
  collect()
}
