import { type Observation, updateTokens } from './observation.js'

/**
 * Whether the CLI has worked on something of which it has given no sum: the tokens are what the stream told, the
 * dollars what was last reported.
 */
export function hasUnsummedUsage({ account, turnActive, isSummed = false }: Observation): boolean {
  return account.isIncomplete || (turnActive && !isSummed) || Object.values(account.open).some((tokens) => tokens > 0)
}

/** The sums of a CLI that is to be ended in the middle of a turn, as it gives them on request. */
export function observeSums(observation: Observation, sums: Readonly<Record<string, unknown>>): void {
  observation.account.noteResult(sums)
  observation.usage = { ...observation.usage, ...observation.account.settled }
  observation.isSummed = true
  updateTokens(observation)
}
