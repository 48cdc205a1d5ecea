import { createUsageAccount } from '../../claude/stream/usage-account.js'
import type { EventLog } from '../../events/event-log.js'
import type { Event, EventData } from '../../protocol/events.js'
import { addUsage, NO_USAGE, type Usage } from '../../protocol/execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'

const PAGE_BYTES = 1024 * 1024

/** What the stream of one attempt told, as far as it is in the log; subagents included. */
async function readLoggedUsage(log: EventLog, executionId: string, attempt: number): Promise<Usage> {
  const account = createUsageAccount()
  let last: EventData<'progress'> | undefined
  for (let after = 0; ;) {
    const { events, lastSeq } = await log.readAfter(executionId, after, PAGE_BYTES)
    for (const { type, bytes } of events) {
      if (type !== 'claude.message' && type !== 'progress') continue
      // Safe: our own worker wrote it.
      const event = JSON.parse(bytes.toString()) as Event<'claude.message'> | Event<'progress'>
      if (event.attempt !== attempt) continue
      if (event.type === 'progress') last = event.data
      else account.noteLine(event.data.message)
    }
    after = events.at(-1)?.seq ?? lastSeq
    if (after >= lastSeq) break
  }
  const { open } = account
  return {
    ...NO_USAGE,
    ...open,
    inputTokens: Math.max(open.inputTokens, last?.inputTokens ?? 0),
    outputTokens: Math.max(open.outputTokens, last?.outputTokens ?? 0),
    turns: last?.turns ?? 0,
  }
}

/**
 * What an execution has used whose worker died: what that worker last stored with its lease or, where it is more, what
 * the log tells. The CLI's own sum of this attempt will never come.
 */
export async function readLostUsage(
  log: EventLog,
  { id, attempt, usage, earlierUsage = NO_USAGE }: ExecutionRecord,
): Promise<Usage> {
  const logged = addUsage(earlierUsage, await readLoggedUsage(log, id, attempt))
  return {
    inputTokens: Math.max(usage.inputTokens, logged.inputTokens),
    outputTokens: Math.max(usage.outputTokens, logged.outputTokens),
    cacheReadTokens: Math.max(usage.cacheReadTokens, logged.cacheReadTokens),
    cacheCreationTokens: Math.max(usage.cacheCreationTokens, logged.cacheCreationTokens),
    costUsd: usage.costUsd,
    turns: Math.max(usage.turns, logged.turns),
    durationMs: usage.durationMs,
    isCostIncomplete: true,
  }
}
