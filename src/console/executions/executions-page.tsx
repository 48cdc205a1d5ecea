import { useEffect, useMemo, useRef, useState } from 'react'
import { toHash, usePlace } from '../app/router.js'
import { Icon } from '../ui/icons.js'
import { Empty, Fault, PageHead } from '../ui/states.js'
import { ExecutionsTable } from './executions-table.js'
import { Filters, readFilters } from './filters.js'
import { SelectionBar } from './selection-bar.js'
import { useExecutions } from './use-executions.js'

/** A search reads on by itself until so many rows are there: a page of the service looks at a part of them. */
const SEARCHED_ROWS = 50

export function ExecutionsPage() {
  const place = usePlace()
  const question = place.query.toString()
  const openedAt = useRef(Date.now())
  const { filters, isFiltered } = useMemo(
    () => readFilters(place, openedAt.current),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- of the place only its query is read
    [question],
  )
  const { executions, pages, hasMore, isLoading, error, loadMore, refresh, forget } = useExecutions(
    JSON.stringify(filters),
    filters,
  )
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  // A page may be short or empty while the list leads on.
  const isSearching = hasMore && executions.length < SEARCHED_ROWS

  useEffect(() => {
    if (isSearching) loadMore()
  }, [isSearching, pages, loadMore])
  useEffect(() => setSelected(new Set()), [question])

  const chosen = executions.filter(({ id }) => selected.has(id))
  return (
    <div className="page fill">
      <PageHead title="Executions">
        <a className="button primary" href={toHash(['new'])}>
          <Icon name="plus" size={16} /> New execution
        </a>
      </PageHead>
      <Filters place={place} />
      <Fault error={error} />
      {chosen.length > 0 && (
        <SelectionBar
          chosen={chosen}
          onClear={() => setSelected(new Set())}
          onDeleted={(ids) => {
            forget(ids)
            setSelected(new Set())
          }}
          onChanged={refresh}
        />
      )}
      {executions.length > 0 ? (
        <ExecutionsTable
          executions={executions}
          hasMore={hasMore}
          loadMore={loadMore}
          selected={selected}
          setSelected={setSelected}
        />
      ) : (
        <Nothing isLoading={isLoading || isSearching} isFiltered={isFiltered} hasError={error !== undefined} />
      )}
    </div>
  )
}

function Nothing(props: { readonly isLoading: boolean; readonly isFiltered: boolean; readonly hasError: boolean }) {
  if (props.isLoading) return <p className="loading">Loading…</p>
  if (props.hasError) return null
  if (props.isFiltered)
    return (
      <Empty icon="search" title="Nothing matches these filters">
        <a className="button" href={toHash(['executions'])}>
          Show all executions
        </a>
      </Empty>
    )
  return (
    <Empty icon="terminal" title="No executions yet">
      <p>Give Claude Code its first task here, or submit one from a shell:</p>
      <pre className="code">cc-executor run "Write hello.py"</pre>
      <a className="button primary" href={toHash(['new'])}>
        New execution
      </a>
    </Empty>
  )
}
