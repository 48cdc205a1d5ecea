import { lazy, Suspense } from 'react'
import { formatCost, formatCount } from '../app/format.js'
import { go, toHash, usePlace } from '../app/router.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { Empty, Fault, Loading, PageHead } from '../ui/states.js'
import { Figure, Figures } from './figures.js'

const UsageChart = lazy(async () => ({ default: (await import('./usage-chart.js')).UsageChart }))

const GROUPS = { day: 'By day', model: 'By model', token: 'By token', credential: 'By credential' } as const
type Group = keyof typeof GROUPS
const DAY_MS = 86_400_000
const SPANS: readonly number[] = [7, 30, 90]

const dayBefore = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10)

export function UsagePage() {
  const client = useClient()
  const { query } = usePlace()
  const asked = query.get('by') ?? ''
  const group: Group = asked in GROUPS ? (asked as Group) : 'day'
  const days = SPANS.find((span) => String(span) === query.get('days')) ?? 30
  const { value, error } = usePoll(
    `usage ${group} ${days}`,
    (signal) => client.usage({ groupBy: [group], from: dayBefore(days - 1) }, { signal }),
    30_000,
  )
  const set = (change: Readonly<Record<string, string>>): void =>
    go(toHash(['usage'], { ...Object.fromEntries(query), ...change }), { replace: true })
  const rows = (value?.rows ?? []).map((row) => ({ ...row, name: row[group] ?? '–' }))
  const measure = rows.some(({ costUsd }) => costUsd > 0) ? 'cost' : 'tokens'
  return (
    <div className="page">
      <PageHead
        title="Usage"
        hint="Dollars are the CLI’s estimate from list prices; under a subscription they mean nothing."
      >
        <select
          className="select"
          aria-label="Grouped"
          value={group}
          onChange={({ target }) => set({ by: target.value })}
        >
          {Object.entries(GROUPS).map(([name, text]) => (
            <option key={name} value={name}>
              {text}
            </option>
          ))}
        </select>
        <select
          className="select"
          aria-label="Days"
          value={days}
          onChange={({ target }) => set({ days: target.value })}
        >
          {SPANS.map((span) => (
            <option key={span} value={span}>
              Last {span} days
            </option>
          ))}
        </select>
      </PageHead>
      <Fault error={error} />
      {!value && !error && <Loading />}
      {value && rows.length === 0 && (
        <Empty icon="chart" title="Nothing was spent in this time">
          <p>Executions are counted when they have ended, on the day on which they were accepted.</p>
        </Empty>
      )}
      {value && rows.length > 0 && (
        <>
          <Figures>
            <Figure name="Cost" value={formatCost(value.total.costUsd)} />
            <Figure name="Executions" value={value.total.executions} />
            <Figure name="Input tokens" value={formatCount(value.total.inputTokens)} />
            <Figure name="Output tokens" value={formatCount(value.total.outputTokens)} />
          </Figures>
          {value.simulated && <p className="note">A scripted model answered: nothing was spent.</p>}
          <Suspense fallback={<div className="chart" />}>
            <UsageChart
              label={`${measure === 'cost' ? 'Cost' : 'Tokens'} ${GROUPS[group].toLowerCase()}; the table below has the numbers`}
              names={rows.map(({ name }) => name)}
              values={rows.map((row) => (measure === 'cost' ? row.costUsd : row.inputTokens + row.outputTokens))}
              unit={measure}
            />
          </Suspense>
          <div className="table-scroll" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th>{GROUPS[group].slice(3).replace(/^./, (first) => first.toUpperCase())}</th>
                  <th className="end">Executions</th>
                  <th className="end">Input</th>
                  <th className="end">Output</th>
                  <th className="end">Cache read</th>
                  <th className="end">Cost</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <tr key={row.name}>
                    <td>{row.name}</td>
                    <td className="end number">{row.executions.toLocaleString('en')}</td>
                    <td className="end number">{row.inputTokens.toLocaleString('en')}</td>
                    <td className="end number">{row.outputTokens.toLocaleString('en')}</td>
                    <td className="end number">{row.cacheReadTokens.toLocaleString('en')}</td>
                    <td className="end number">{formatCost(row.costUsd)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </div>
  )
}
