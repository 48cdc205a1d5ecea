import { fromStore } from '../../platform/redis.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { ShownRecord } from '../records/execution-record.js'
import type { ExecutionStore } from '../store/execution-store.js'

/**
 * A page reads so much of whole requests, in characters of JSON, and one more request at most: what was asked for is up
 * to 8 MiB each, and whoever searches 5,000 of them delays nobody else.
 */
const READ_LIMIT = 4 * 1024 * 1024
/** Read at once. */
const GROUP_LIMIT = 512 * 1024
/** What a list shows in place of the rest of a prompt. */
const CUT = '…'

/** Without a difference between upper and lower case, or between the ways in which one letter can be written. */
const fold = (text: string): string => text.normalize('NFC').toLowerCase()

function textsOf({ prompt, command, tasks }: ExecuteRequest): string[] {
  const ofTasks = (tasks ?? []).map((task) => (typeof task === 'string' ? task : task.prompt))
  return [prompt, command, ...ofTasks].filter((text) => text !== undefined)
}

/** What a list has read may be shorter than what was asked for, and shows it by a sign that is not part of it. */
const isCut = ({ request, taskCount = 0 }: ShownRecord): boolean =>
  taskCount > (request.tasks?.length ?? 0) || textsOf(request).some((text) => text.endsWith(CUT))

export interface PromptSearch {
  /**
   * Those of the records that have the text, in their order; ends before the first that was not looked at, because the
   * page has read enough. The first record of a page is always looked at.
   */
  find(records: readonly ShownRecord[]): Promise<{ readonly found: ShownRecord[]; readonly lookedAt: number }>
}

export function openPromptSearch(
  store: Pick<ExecutionStore, 'sizesOfRequests' | 'readRequests'>,
  text: string,
): PromptSearch {
  const wanted = fold(text)
  const has = (request: ExecuteRequest): boolean => textsOf(request).some((part) => fold(part).includes(wanted))
  const hasShown = ({ request }: ShownRecord): boolean =>
    textsOf(request).some((part) => fold(part.endsWith(CUT) ? part.slice(0, -CUT.length) : part).includes(wanted))
  let read = 0

  /** How many of these are read at once, and may still be. */
  function countAllowed(sizes: readonly number[]): number {
    let sum = 0
    for (const [index, size] of sizes.entries()) {
      if (read >= READ_LIMIT) return index
      if (sum > 0 && sum + size > GROUP_LIMIT) return index
      sum += size
      read += size
    }
    return sizes.length
  }

  return {
    async find(records) {
      const hits = new Set(records.filter(hasShown).map(({ id }) => id))
      const unknown = records.filter((record) => !hits.has(record.id) && isCut(record)).map(({ id }) => id)
      const sizes = await fromStore(store.sizesOfRequests(unknown))
      let next = 0
      while (next < unknown.length) {
        const ids = unknown.slice(next, next + countAllowed(sizes.slice(next)))
        if (ids.length === 0) break
        const requests = await fromStore(store.readRequests(ids))
        for (const [index, request] of requests.entries()) if (request && has(request)) hits.add(ids[index] ?? '')
        next += ids.length
      }
      const left = unknown[next]
      const lookedAt = left === undefined ? records.length : records.findIndex(({ id }) => id === left)
      return { found: records.slice(0, lookedAt).filter(({ id }) => hits.has(id)), lookedAt }
    },
  }
}
