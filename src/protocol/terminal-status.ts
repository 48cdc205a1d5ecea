export const TERMINAL_STATUSES = ['succeeded', 'failed', 'cancelled', 'timed_out'] as const

export const isTerminal = (status: string): status is (typeof TERMINAL_STATUSES)[number] =>
  (TERMINAL_STATUSES as readonly string[]).includes(status)
