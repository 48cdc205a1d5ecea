import type { Execution } from '../protocol/execution.js'
import { LIST_LIMIT } from '../protocol/limits.js'
import type { ExecutionFilters, ExecutionPage } from '../protocol/listing.js'
import type { Client } from './open-client.js'

/** The newest so many. A page may be shorter than its limit while its cursor leads on. */
export async function listUpTo(
  client: Pick<Client, 'list'>,
  count: number,
  filters: ExecutionFilters = {},
  signal?: AbortSignal,
): Promise<ExecutionPage> {
  const executions: Execution[] = []
  for (let { cursor } = filters; ;) {
    const page = await client.list(
      { ...filters, limit: Math.min(LIST_LIMIT, count - executions.length), cursor },
      { signal },
    )
    executions.push(...page.executions)
    if (page.nextCursor === null || executions.length >= count) return { executions, nextCursor: page.nextCursor }
    cursor = page.nextCursor
  }
}
