const FIRST_MS = 1_000
const LONGEST_MS = 60_000

/** What has lived so long has not failed at its start. */
export const STABLE_MS = 60_000

/**
 * Before a process that ended so often in a row is started again: nobody gives up, as whatever stands in its way may
 * pass.
 */
export const restartDelayMs = (failures: number): number =>
  Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1))
