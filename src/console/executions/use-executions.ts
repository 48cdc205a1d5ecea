import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { ClientError, Execution, ExecutionFilters } from 'cc-executor/client'
import { useClient } from '../app/session.js'
import { toClientError, usePoll } from '../app/use-poll.js'
import { hasEnded } from '../ui/status.js'

const PAGE = 100
const LIVE_INTERVAL_MS = 2_000
/** A search reads requests, so it is asked less often. */
const SEARCH_INTERVAL_MS = 8_000
/** Rows further down that still change are asked for one by one, so many in a round. */
const REFRESHED = 20

interface Listed {
  readonly rows: ReadonlyMap<string, Execution>
  readonly nextCursor: string | null | undefined
  readonly pages: number
}
const NOTHING: Listed = { rows: new Map(), nextCursor: undefined, pages: 0 }

export interface Executions {
  readonly executions: readonly Execution[]
  /** How many were read; a page may add nothing and yet lead on. */
  readonly pages: number
  readonly hasMore: boolean
  readonly isLoading: boolean
  readonly error: ClientError | undefined
  readonly loadMore: () => void
  readonly refresh: () => void
  readonly forget: (ids: readonly string[]) => void
}

/** Newest first: pages on demand, and what is new or changes every two seconds. */
export function useExecutions(key: string, filters: ExecutionFilters): Executions {
  const client = useClient()
  const [held, setHeld] = useState<Listed & { readonly key: string }>({ ...NOTHING, key })
  const listed = held.key === key ? held : NOTHING
  const latest = useRef(listed)
  latest.current = listed
  const [loadError, setLoadError] = useState<ClientError>()
  const isLoadingMore = useRef(false)

  const merge = useCallback(
    (executions: readonly Execution[], nextCursor?: string | null, gone: readonly string[] = []) =>
      setHeld((last) => {
        const before = last.key === key ? last : NOTHING
        const rows = new Map(before.rows)
        for (const id of gone) rows.delete(id)
        for (const execution of executions) rows.set(execution.id, execution)
        const isNext = nextCursor !== undefined
        return {
          key,
          rows,
          nextCursor: isNext ? nextCursor : before.nextCursor,
          pages: isNext ? before.pages + 1 : before.pages,
        }
      }),
    [key],
  )

  const live = usePoll(
    `list ${key}`,
    async (signal) => {
      const page = await client.list({ ...filters, limit: PAGE }, { signal })
      const shown = new Set(page.executions.map(({ id }) => id))
      const oldest = page.executions.at(-1)?.id
      const others = [...latest.current.rows.values()].filter(({ id }) => !shown.has(id))
      // In the stretch of the first page, and not in it: deleted, or no longer what is asked for.
      const gone = others
        .filter(({ id }) => page.nextCursor === null || (oldest !== undefined && id > oldest))
        .map(({ id }) => id)
      const changing = others.filter(({ id, status }) => !gone.includes(id) && !hasEnded(status)).slice(0, REFRESHED)
      const fresh = await Promise.all(changing.map(({ id }) => client.get(id, { signal }).catch(() => undefined)))
      const isFirst = latest.current.nextCursor === undefined
      merge(
        [...page.executions, ...fresh.filter((one) => one !== undefined)],
        isFirst ? page.nextCursor : undefined,
        gone,
      )
      return true
    },
    filters.q === undefined ? LIVE_INTERVAL_MS : SEARCH_INTERVAL_MS,
  )

  const loadMore = useCallback(() => {
    const cursor = latest.current.nextCursor
    if (isLoadingMore.current || cursor === null || cursor === undefined) return
    isLoadingMore.current = true
    client
      .list({ ...filters, limit: 200, cursor })
      .then(
        (page) => (setLoadError(undefined), merge(page.executions, page.nextCursor)),
        (error: unknown) => setLoadError(toClientError(error)),
      )
      .finally(() => void (isLoadingMore.current = false))
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- the filters are those of the key
  }, [client, key, merge])

  useEffect(() => setLoadError(undefined), [key])
  // Ids are UUIDv7: their order is that of time.
  const executions = useMemo(
    () => [...listed.rows.values()].sort((one, other) => (one.id < other.id ? 1 : -1)),
    [listed.rows],
  )
  return {
    executions,
    pages: listed.pages,
    hasMore: listed.nextCursor !== null && listed.nextCursor !== undefined,
    isLoading: live.value === undefined && live.error === undefined,
    error: live.error ?? loadError,
    loadMore,
    refresh: live.refresh,
    forget: useCallback((ids: readonly string[]) => merge([], undefined, ids), [merge]),
  }
}
