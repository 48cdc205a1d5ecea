import type { TokenSums } from '../../claude/stream/usage-account.js'
import type { Usage } from '../../protocol/execution.js'

/** US dollars for a million tokens that are read and written. */
interface Price {
  readonly input: number
  readonly output: number
}
/** The first that fits. */
interface PriceList {
  readonly models: ReadonlyArray<readonly [name: RegExp, Price]>
  readonly others: Price
}

/** The dearest list price of each family that a CLI of the supported range reckons with (a test compares). */
const DEAREST: PriceList = {
  models: [
    [/haiku/i, { input: 1, output: 5 }],
    [/sonnet/i, { input: 6, output: 22.5 }],
  ],
  others: { input: 15, output: 75 },
}
/**
 * What it usually reckons with (a test compares). A model that came later counts as its family, and one of no known
 * family as the CLI itself takes it.
 */
const USUAL: PriceList = {
  models: [
    [/haiku-5-5/i, { input: 0.1, output: 0.5 }],
    [/sonnet-5-5/i, { input: 2, output: 10 }],
    [/opus-5-5/i, { input: 4, output: 20 }],
    [/haiku/i, { input: 1, output: 5 }],
    [/sonnet/i, { input: 3, output: 15 }],
  ],
  others: { input: 5, output: 25 },
}
/** Of an input token's price: written to the cache for five minutes and for an hour, read from it. */
const CACHE_WRITE = 1.25
const LONG_CACHE_WRITE = 2
const CACHE_READ = 0.1

function multiply(
  { inputTokens, outputTokens, cacheReadTokens, cacheCreationTokens }: TokenSums,
  { models, others }: PriceList,
  model: string | undefined,
  cacheWrite: number,
): number {
  const price = models.find(([name]) => model !== undefined && name.test(model))?.[1] ?? others
  const read = inputTokens + cacheCreationTokens * cacheWrite + cacheReadTokens * CACHE_READ
  return (read * price.input + outputTokens * price.output) / 1_000_000
}

/**
 * At most what these tokens have cost. The CLI gives dollars with its own sum only, and a limit that counts on what was
 * not told would be no limit; of a model that is not known the dearest is assumed.
 */
export function estimateCostUsd(usage: Usage, model: string | undefined): number {
  return Math.max(usage.costUsd, multiply(usage, DEAREST, model, LONG_CACHE_WRITE))
}

/** What these tokens will probably have cost, for people who watch: the CLI's own sum replaces it. */
export const guessCostUsd = (tokens: TokenSums, model: string | undefined): number =>
  multiply(tokens, USUAL, model, CACHE_WRITE)
