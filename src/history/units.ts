export const DAY_MS = 24 * 60 * 60 * 1_000
/** Dollars are counted in millionths: sums of whole numbers lose nothing. */
export const MICRO = 1_000_000
