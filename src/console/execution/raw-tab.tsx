import { useVirtualizer } from '@tanstack/react-virtual'
import { useMemo, useRef, useState } from 'react'
import type { Event } from 'cc-executor/client'
import { formatExactTime } from '../app/format.js'
import { Empty } from '../ui/states.js'

const ROW_PIXELS = 34
const SHOWN_CHARACTERS = 240

/** The log as it is: every event, in order. */
export function RawTab({ events, version }: { readonly events: readonly Event[]; readonly version: number }) {
  const scroller = useRef<HTMLDivElement>(null)
  const [type, setType] = useState('')
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set())
  const types = useMemo(
    () => [...new Set(events.map((event) => event.type))].sort(),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- the array grows in place
    [events, version],
  )
  const shown = useMemo(
    () => (type === '' ? events : events.filter((event) => event.type === type)),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- the array grows in place
    [events, version, type],
  )
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PIXELS,
    getItemKey: (index) => shown[index]?.seq ?? index,
    overscan: 10,
  })
  const toggle = (seq: number): void => {
    const next = new Set(opened)
    if (!next.delete(seq)) next.add(seq)
    setOpened(next)
  }
  if (events.length === 0) return <Empty icon="list" title="No events yet" />
  return (
    <>
      <div className="filters">
        <select
          className="select"
          aria-label="Type of event"
          value={type}
          onChange={({ target }) => setType(target.value)}
        >
          <option value="">All types</option>
          {types.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <span className="muted">{shown.length.toLocaleString('en')} events</span>
      </div>
      <div ref={scroller} className="raw" tabIndex={0} role="region" aria-label="Events">
        <div className="virtual" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map(({ index, start, key }) => {
            const event = shown[index]
            if (!event) return null
            const isOpen = opened.has(event.seq)
            return (
              <div
                key={key}
                ref={rows.measureElement}
                data-index={index}
                className="virtual-row"
                style={{ transform: `translateY(${start}px)` }}
              >
                <button className="raw-row" aria-expanded={isOpen} onClick={() => toggle(event.seq)}>
                  <span className="number muted">{event.seq}</span>
                  <span className="raw-type">{event.type}</span>
                  <code>{JSON.stringify(event.data).slice(0, SHOWN_CHARACTERS)}</code>
                  <time className="muted" dateTime={event.at}>
                    {formatExactTime(event.at)}
                  </time>
                </button>
                {isOpen && (
                  <pre className="code" tabIndex={0}>
                    {JSON.stringify(event, null, 2)}
                  </pre>
                )}
              </div>
            )
          })}
        </div>
      </div>
    </>
  )
}
