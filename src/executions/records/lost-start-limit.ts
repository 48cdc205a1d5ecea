/** How often a claimed execution whose CLI was never let go is queued again. */
export const LOST_START_LIMIT = 2
/** The same where the machine had nothing left to start it with: with the wait before each, for some two minutes. */
export const SCARCE_START_LIMIT = 48
