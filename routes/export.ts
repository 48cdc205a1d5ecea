import { stringify } from 'csv-stringify/sync'
import { listExecutions } from '../src/executions/read/find-execution.js'
import type { ExecutionServices } from '../src/executions/services.js'
import type { Caller } from '../src/protocol/caller.js'
import type { Execution } from '../src/protocol/execution.js'
import { escapeLineBreaks } from '../src/protocol/json-line.js'
import { LIST_LIMIT } from '../src/protocol/limits.js'
import type { ExecutionFilters, ExecutionPage } from '../src/protocol/listing.js'

export type ExportFormat = 'csv' | 'ndjson'

const COLUMNS: ReadonlyArray<readonly [string, (execution: Execution) => string | number | undefined]> = [
  ['id', ({ id }) => id],
  ['status', ({ status }) => status],
  ['code', ({ outcome }) => outcome?.code],
  ['createdAt', ({ createdAt }) => createdAt],
  ['startedAt', ({ startedAt }) => startedAt],
  ['finishedAt', ({ finishedAt }) => finishedAt],
  ['durationMs', ({ usage }) => usage.durationMs],
  ['attempt', ({ attempt }) => attempt],
  ['exitCode', ({ outcome }) => outcome?.exitCode],
  ['inputTokens', ({ usage }) => usage.inputTokens],
  ['outputTokens', ({ usage }) => usage.outputTokens],
  ['cacheReadTokens', ({ usage }) => usage.cacheReadTokens],
  ['cacheCreationTokens', ({ usage }) => usage.cacheCreationTokens],
  ['costUsd', ({ usage }) => usage.costUsd],
  ['turns', ({ usage }) => usage.turns],
  ['model', ({ model, request }) => model ?? request.model],
  ['workspace', ({ workspace }) => workspace],
  ['prompt', ({ request }) => request.prompt ?? request.command ?? JSON.stringify(request.tasks)],
  ['kind', ({ kind }) => kind],
  ['parentId', ({ parentId }) => parentId],
  ['metadata', ({ metadata }) => JSON.stringify(metadata)],
  ['simulated', ({ simulated }) => String(simulated)],
  ['costBasis', () => 'cli_estimate'],
  ['message', ({ outcome }) => outcome?.message],
  ['verification', ({ outcome }) => outcome?.verification?.status],
  [
    'failedChecks',
    ({ outcome }) =>
      outcome?.verification?.checks
        .filter(({ status }) => status === 'fail')
        .map(({ name }) => name)
        .join(' '),
  ],
  ['deniedTools', ({ outcome }) => outcome?.permissionDenials?.length],
  ['budgetUsd', ({ budget }) => budget?.usd],
  ['budgetTokens', ({ budget }) => budget?.tokens],
]

/** A cell that a spreadsheet would take for a formula is told that it is text. */
const toRows = (executions: readonly Execution[]): string =>
  stringify(
    executions.map((execution) => COLUMNS.map(([, read]) => read(execution))),
    { escape_formulas: true },
  )

/**
 * The caller's executions that fit the filters, newest first: up to `limit` where one is given, else all. The first
 * page is read before anything is sent: what is wrong with the filters, or with the store, is an answer of its own.
 */
export async function exportExecutions(
  services: ExecutionServices,
  { limit = Number.POSITIVE_INFINITY, ...filters }: ExecutionFilters,
  caller: Caller,
  format: ExportFormat,
): Promise<AsyncIterable<string>> {
  const read = (cursor: string | undefined, remaining: number): Promise<ExecutionPage> =>
    listExecutions(services, { ...filters, limit: Math.min(LIST_LIMIT, remaining), cursor }, caller)
  const first = await read(filters.cursor, limit)
  return (async function* write() {
    if (format === 'csv') yield stringify([COLUMNS.map(([name]) => name)])
    for (let page = first, remaining = limit; ;) {
      yield format === 'csv'
        ? toRows(page.executions)
        : page.executions.map((execution) => `${escapeLineBreaks(JSON.stringify(execution))}\n`).join('')
      remaining -= page.executions.length
      if (page.nextCursor === null || remaining <= 0) return
      page = await read(page.nextCursor, remaining)
    }
  })()
}
