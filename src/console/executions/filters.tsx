import { useEffect, useState } from 'react'
import type { Execution, ExecutionFilters } from 'cc-executor/client'
import { go, toHash, type Place } from '../app/router.js'
import { Icon } from '../ui/icons.js'
import { STATUS_NAMES, STATUSES } from '../ui/status.js'

const TYPING_MS = 250
/** The service looks for no longer text. */
const QUERY_CHARACTERS = 256
const SPANS: Readonly<Record<string, { readonly name: string; readonly hours: number }>> = {
  hour: { name: 'Last hour', hours: 1 },
  day: { name: 'Last 24 hours', hours: 24 },
  week: { name: 'Last 7 days', hours: 168 },
}
const GROUPS: Readonly<Record<string, { readonly name: string; readonly statuses: readonly Execution['status'][] }>> = {
  open: { name: 'Not ended', statuses: ['queued', 'running', 'paused', 'waiting_approval', 'waiting_budget'] },
  waiting: { name: 'Waiting', statuses: ['waiting_approval', 'waiting_budget'] },
}

export interface Asked {
  readonly filters: ExecutionFilters
  readonly isFiltered: boolean
}

/** The filters are those of the address: a link shows the same. */
export function readFilters({ query }: Place, now: number): Asked {
  const status = query.get('status') ?? ''
  const statuses = GROUPS[status]?.statuses ?? STATUSES.filter((one) => one === status)
  const kind = query.get('kind')
  const [, name, value] = /^([\w.-]+)=(.*)$/.exec(query.get('label') ?? '') ?? []
  const hours = SPANS[query.get('since') ?? '']?.hours
  const filters: ExecutionFilters = {
    status: statuses.length > 0 ? [...statuses] : undefined,
    kind: kind === 'run' || kind === 'task_list' ? kind : undefined,
    metadata: name !== undefined && value !== undefined ? { [name]: value } : undefined,
    // To the minute, so that the question stays the same for a while.
    createdAfter:
      hours === undefined ? undefined : new Date(Math.floor(now / 60_000) * 60_000 - hours * 3_600_000).toISOString(),
    scheduleId: query.get('schedule') ?? undefined,
    parentId: query.get('parent') ?? undefined,
    q: query.get('q')?.trim().slice(0, QUERY_CHARACTERS) || undefined,
  }
  return { filters, isFiltered: [...query.keys()].length > 0 }
}

export function Filters({ place }: { readonly place: Place }) {
  const set = (name: string, value: string): void =>
    go(toHash(['executions'], { ...Object.fromEntries(place.query), [name]: value }), { replace: true })
  const select = (name: string, label: string, options: ReadonlyArray<readonly [string, string]>) => (
    <select
      className="select"
      aria-label={label}
      value={place.query.get(name) ?? ''}
      onChange={({ target }) => set(name, target.value)}
    >
      {options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  )
  return (
    <div className="filters" role="search">
      <TextFilter label="Text of the prompt" name="q" placeholder="Search prompts" place={place} set={set} />
      {select('status', 'Status', [
        ['', 'Any status'],
        ...Object.entries(GROUPS).map(([value, { name }]) => [value, name] as const),
        ...STATUSES.map((status) => [status, STATUS_NAMES[status]] as const),
      ])}
      {select('kind', 'Kind', [
        ['', 'Any kind'],
        ['run', 'Single runs'],
        ['task_list', 'Task lists'],
      ])}
      {select('since', 'Time', [
        ['', 'Any time'],
        ...Object.entries(SPANS).map(([value, { name }]) => [value, name] as const),
      ])}
      <TextFilter label="Label" name="label" placeholder="label=value" place={place} set={set} />
    </div>
  )
}

interface TextProps {
  readonly label: string
  readonly name: string
  readonly placeholder: string
  readonly place: Place
  readonly set: (name: string, value: string) => void
}

/** What is typed counts after a pause. */
function TextFilter({ label, name, placeholder, place, set }: TextProps) {
  const shown = place.query.get(name) ?? ''
  const [text, setText] = useState(shown)
  useEffect(() => setText(shown), [shown])
  useEffect(() => {
    if (text === shown) return
    const timer = setTimeout(() => set(name, text), TYPING_MS)
    return () => clearTimeout(timer)
  })
  return (
    <span className="input-icon">
      {name === 'q' && <Icon name="search" size={16} />}
      <input
        className="input"
        type="search"
        maxLength={QUERY_CHARACTERS}
        aria-label={label}
        placeholder={placeholder}
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
    </span>
  )
}
