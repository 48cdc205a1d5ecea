import { definedFields } from '../../protocol/defined-fields.js'
import { addUsage, type Payment, type Usage } from '../../protocol/execution.js'
import type { ExecutionRecord } from './execution-record.js'

/** What of a sum is not in another one. The stored sums of a run that was lost may be smaller than what was paid. */
function subtractUsage(whole: Usage, part: Usage): Usage {
  const less = (name: 'inputTokens' | 'outputTokens' | 'cacheReadTokens' | 'cacheCreationTokens' | 'turns'): number =>
    Math.max(0, whole[name] - part[name])
  const isCostIncomplete = whole.isCostIncomplete === true && part.isCostIncomplete !== true ? true : undefined
  return definedFields({
    inputTokens: less('inputTokens'),
    outputTokens: less('outputTokens'),
    cacheReadTokens: less('cacheReadTokens'),
    cacheCreationTokens: less('cacheCreationTokens'),
    // A difference of floats must not end in …0000004.
    costUsd: Math.max(0, Math.round((whole.costUsd - part.costUsd) * 1e9) / 1e9),
    turns: less('turns'),
    durationMs: Math.max(0, whole.durationMs - part.durationMs),
    isCostIncomplete,
  })
}

/**
 * Who has paid what, when `usage` is the sum of all attempts and `attempt` the number of the last one: what those
 * before it have not used is the last one's. undefined: nothing has been started, or nobody knows with what.
 */
export function toPayments(
  { credential, paidBy = [] }: Pick<ExecutionRecord, 'credential' | 'paidBy'>,
  usage: Usage,
  attempt: number,
): readonly Payment[] | undefined {
  if (credential === undefined || attempt === 0) return paidBy.length === 0 ? undefined : paidBy
  const rest = paidBy.reduce((left, paid) => subtractUsage(left, paid.usage), usage)
  const hasMore = Object.values(rest).some((value) => value !== 0)
  if (!hasMore && paidBy.length > 0) return paidBy
  const last = paidBy.at(-1)
  return last?.credential === credential
    ? [...paidBy.slice(0, -1), { credential, usage: addUsage(last.usage, rest) }]
    : [...paidBy, { credential, usage: rest }]
}
