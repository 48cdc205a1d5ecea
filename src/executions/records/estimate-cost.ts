import type { Usage } from '../../protocol/execution.js'

/** US dollars for a million tokens that are read and written. */
interface Price {
  readonly input: number
  readonly output: number
}

/** The dearest list price of each family that a CLI of the supported range reckons with (a test compares). */
const PRICES: ReadonlyArray<readonly [RegExp, Price]> = [
  [/haiku/i, { input: 1, output: 5 }],
  [/sonnet/i, { input: 6, output: 22.5 }],
]
const DEAREST: Price = { input: 15, output: 75 }
/** Of an input token's price: written to the cache for an hour, read from it. */
const CACHE_WRITE = 2
const CACHE_READ = 0.1

/**
 * At most what these tokens have cost. The CLI gives dollars with its own sum only, and a limit that counts on what was
 * not told would be no limit; of a model that is not known the dearest is assumed.
 */
export function estimateCostUsd(
  { inputTokens, outputTokens, cacheReadTokens, cacheCreationTokens, costUsd }: Usage,
  model: string | undefined,
): number {
  const price = PRICES.find(([family]) => model !== undefined && family.test(model))?.[1] ?? DEAREST
  const read = inputTokens + cacheCreationTokens * CACHE_WRITE + cacheReadTokens * CACHE_READ
  return Math.max(costUsd, (read * price.input + outputTokens * price.output) / 1_000_000)
}
