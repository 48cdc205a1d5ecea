import { memo, useCallback, useEffect, useRef, useState, type Dispatch, type SetStateAction } from 'react'
import type { Execution } from 'cc-executor/client'
import { firstLine, formatCost, formatDuration, formatTime } from '../app/format.js'
import { go, toHash } from '../app/router.js'
import { hasEnded, StatusOf } from '../ui/status.js'
import { useRows } from '../ui/use-rows.js'
import { promptOf } from './prompt-of.js'

const ROW_PIXELS = 60
const SECOND_MS = 1_000

interface Props {
  readonly executions: readonly Execution[]
  readonly hasMore: boolean
  readonly loadMore: () => void
  readonly selected: ReadonlySet<string>
  readonly setSelected: Dispatch<SetStateAction<ReadonlySet<string>>>
}

/** Only the rows that are seen are in the page, however many there are. */
export function ExecutionsTable({ executions, hasMore, loadMore, selected, setSelected }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const { shown, total } = useRows(scroller, { count: executions.length, estimate: ROW_PIXELS })
  const last = shown.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasMore && last >= executions.length - 20) loadMore()
  }, [hasMore, last, executions.length, loadMore])

  // Of the rows that are selected by then: a row is not drawn again because another one was chosen.
  const toggle = useCallback(
    (id: string) =>
      setSelected((last) => {
        const next = new Set(last)
        if (!next.delete(id)) next.add(id)
        return next
      }),
    [setSelected],
  )

  const isAll = executions.every(({ id }) => selected.has(id))
  return (
    <div className="table-frame" role="table" aria-label="Executions" aria-rowcount={executions.length + 1}>
      <div className="row head" role="row" aria-rowindex={1}>
        <span role="columnheader">
          <input
            type="checkbox"
            aria-label="Select all that are shown"
            checked={isAll}
            onChange={() => setSelected(new Set(isAll ? [] : executions.map(({ id }) => id)))}
          />
        </span>
        <span role="columnheader">Status</span>
        <span role="columnheader">Prompt</span>
        <span role="columnheader" className="wide-only">
          Started
        </span>
        <span role="columnheader" className="wide-only end">
          Duration
        </span>
        <span role="columnheader" className="wide-only end">
          Cost
        </span>
      </div>
      <div ref={scroller} className="table-body" role="rowgroup" tabIndex={0} aria-label="Rows">
        <div className="virtual" role="presentation" style={{ height: total }}>
          {shown.map(({ index, start }) => {
            const execution = executions[index]
            return (
              execution && (
                <div
                  key={execution.id}
                  className="virtual-row"
                  role="presentation"
                  style={{ transform: `translateY(${start}px)` }}
                >
                  <Row
                    execution={execution}
                    index={index + 2}
                    isSelected={selected.has(execution.id)}
                    toggle={toggle}
                  />
                </div>
              )
            )
          })}
        </div>
      </div>
    </div>
  )
}

interface RowProps {
  readonly execution: Execution
  readonly index: number
  readonly isSelected: boolean
  readonly toggle: (id: string) => void
}

const Row = memo(function Row({ execution, index, isSelected, toggle }: RowProps) {
  const { id, kind, taskCount, model, usage, startedAt, createdAt, metadata, outcome } = execution
  const href = toHash(['executions', id])
  const details = [
    kind === 'task_list' ? `${taskCount ?? ''} tasks` : undefined,
    model,
    ...Object.entries(metadata).map(([name, value]) => `${name}=${value}`),
    outcome?.code,
  ].filter((part) => part !== undefined)
  return (
    <div className="row" role="row" aria-rowindex={index} aria-selected={isSelected} onClick={() => go(href)}>
      <span role="cell" onClick={(event) => event.stopPropagation()}>
        <input type="checkbox" aria-label={`Select ${id}`} checked={isSelected} onChange={() => toggle(id)} />
      </span>
      <span role="cell">
        <StatusOf execution={execution} />
      </span>
      <span role="cell" className="prompt-cell">
        <a href={href} onClick={(event) => event.stopPropagation()}>
          {firstLine(promptOf(execution)) || '(no text)'}
        </a>
        <small>
          {id.slice(0, 8)}
          {details.length > 0 && ` · ${details.join(' · ')}`}
        </small>
      </span>
      <span role="cell" className="wide-only muted" title={new Date(startedAt ?? createdAt).toLocaleString()}>
        {formatTime(startedAt ?? createdAt)}
      </span>
      <span role="cell" className="wide-only end number">
        <Elapsed execution={execution} />
      </span>
      <span role="cell" className="wide-only end number">
        {usage.costUsd > 0 ? formatCost(usage.costUsd) : '–'}
      </span>
    </div>
  )
})

/** From the start to the end, or to now. */
export function Elapsed({ execution }: { readonly execution: Execution }) {
  const { startedAt, finishedAt, status } = execution
  const isLive = startedAt !== undefined && !hasEnded(status)
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!isLive) return
    const timer = setInterval(() => setNow(Date.now()), SECOND_MS)
    return () => clearInterval(timer)
  }, [isLive])
  if (startedAt === undefined) return <>–</>
  return <>{formatDuration((finishedAt === undefined ? now : Date.parse(finishedAt)) - Date.parse(startedAt))}</>
}
