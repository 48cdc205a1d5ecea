/** How often a claimed execution whose CLI was never let go is queued again. */
export const LOST_START_LIMIT = 2
