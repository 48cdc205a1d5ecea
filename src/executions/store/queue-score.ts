import type { Priority } from '../../protocol/execute-request.js'

/** Sorts by priority first, then by time; stays far below 2^53. */
export const PRIORITY_STEP = 1e14
export const PRIORITY_RANK: Record<Priority, number> = { high: 0, normal: 1, low: 2 }

/** Where an execution stands in the queue: the score of `waiting`, `parked` and `delayed`. */
export const toScore = (priority: Priority, createdAt: number): number =>
  PRIORITY_RANK[priority] * PRIORITY_STEP + createdAt
