import type { Execution } from 'cc-executor/client'

/** What was asked for; of a list its first task. */
export const promptOf = ({ request }: Execution): string => {
  const { prompt, command, tasks } = request
  if (prompt !== undefined || command !== undefined) return prompt ?? command ?? ''
  const first = tasks?.[0]
  return typeof first === 'string' ? first : (first?.prompt ?? '')
}
