import { sleep } from '../../src/platform/abort-signals.js'
import { DAY_MS } from '../../src/history/units.js'

/** What a test of daily budgets takes at most on a busy machine. */
const MARGIN_MS = 60_000

/** Waits for the next UTC day where this one ends soon: what is booked on one day is read on the same. */
export async function withinDay(): Promise<void> {
  const left = DAY_MS - (Date.now() % DAY_MS)
  if (left < MARGIN_MS) await sleep(left + 100)
}
