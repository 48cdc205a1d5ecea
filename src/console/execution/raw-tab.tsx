import { memo, useRef, useState } from 'react'
import type { Event } from 'cc-executor/client'
import { formatExactTime } from '../app/format.js'
import type { EventLog } from '../timeline/event-log.js'
import { Empty } from '../ui/states.js'
import { useRows } from '../ui/use-rows.js'

const ROW_PIXELS = 34
const SHOWN_CHARACTERS = 240

/** The log as it is: every event, in order. */
export function RawTab({ log }: { readonly log: EventLog }) {
  const [type, setType] = useState<Event['type']>()
  const events = type === undefined ? log.events : log.ofType(type)
  if (log.events.length === 0) return <Empty icon="list" title="No events yet" />
  return (
    <>
      <div className="filters">
        <select
          className="select"
          aria-label="Type of event"
          value={type ?? ''}
          onChange={({ target }) => setType(log.types.find((name) => name === target.value))}
        >
          <option value="">All types</option>
          {log.types.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <span className="muted">{events.length.toLocaleString('en')} events</span>
      </div>
      <RawRows key={type ?? ''} events={events} />
    </>
  )
}

function RawRows({ events }: { readonly events: readonly Event[] }) {
  const scroller = useRef<HTMLDivElement>(null)
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set())
  const { shown, total, measure } = useRows(scroller, { count: events.length, estimate: ROW_PIXELS })
  const toggle = (seq: number): void =>
    setOpened((last) => {
      const next = new Set(last)
      if (!next.delete(seq)) next.add(seq)
      return next
    })
  return (
    <div ref={scroller} className="raw" tabIndex={0} role="region" aria-label="Events">
      <div className="virtual" style={{ height: total }}>
        {shown.map(({ index, start }) => {
          const event = events[index]
          return (
            event && (
              <div
                key={event.seq}
                ref={measure}
                data-index={index}
                className="virtual-row"
                style={{ transform: `translateY(${start}px)` }}
              >
                <RawRow event={event} isOpen={opened.has(event.seq)} toggle={toggle} />
              </div>
            )
          )
        })}
      </div>
    </div>
  )
}

interface RowProps {
  readonly event: Event
  readonly isOpen: boolean
  readonly toggle: (seq: number) => void
}

const RawRow = memo(
  function RawRow({ event, isOpen, toggle }: RowProps) {
    return (
      <>
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
      </>
    )
  },
  // What a row toggles is named by its event, so it stays the same.
  (one, other) => one.event === other.event && one.isOpen === other.isOpen,
)
