import type { Client, Execution } from 'cc-executor/client'
import { useClient } from '../app/session.js'
import { Fault } from '../ui/states.js'
import { saveText } from '../ui/save-file.js'
import { hasEnded } from '../ui/status.js'
import { useAction } from '../ui/use-action.js'
import { promptOf } from './prompt-of.js'

/** So many calls are under way at once. */
const AT_ONCE = 8

interface Props {
  readonly chosen: readonly Execution[]
  readonly onClear: () => void
  readonly onDeleted: (ids: readonly string[]) => void
  readonly onChanged: () => void
}

async function forEach(
  executions: readonly Execution[],
  act: (execution: Execution) => Promise<unknown>,
): Promise<void> {
  const waiting = [...executions]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await act(next)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

const exportAll = async (client: Client, chosen: readonly Execution[], format: 'json' | 'csv'): Promise<void> => {
  const name = `executions-${new Date().toISOString().slice(0, 10)}`
  if (format === 'csv') return saveText(`${name}.csv`, 'text/csv', toCsv(chosen))
  const whole: Execution[] = []
  await forEach(chosen, async ({ id }) => whole.push(await client.get(id)))
  saveText(`${name}.json`, 'application/json', JSON.stringify(whole, null, 2))
}

/** A cell that a spreadsheet would take for a formula begins with an apostrophe. */
const toCell = (value: string | number | undefined): string =>
  `"${String(value ?? '')
    .replace(/^(?=[=+\-@\t\r])/, "'")
    .replaceAll('"', '""')}"`

const toCsv = (executions: readonly Execution[]): string =>
  [
    'id,status,code,kind,prompt,model,createdAt,startedAt,finishedAt,inputTokens,outputTokens,costUsd',
    ...executions.map((one) =>
      [
        one.id,
        one.status,
        one.outcome?.code,
        one.kind,
        promptOf(one),
        one.model,
        one.createdAt,
        one.startedAt,
        one.finishedAt,
        one.usage.inputTokens,
        one.usage.outputTokens,
        one.usage.costUsd,
      ]
        .map(toCell)
        .join(','),
    ),
  ].join('\r\n')

export function SelectionBar({ chosen, onClear, onDeleted, onChanged }: Props) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const open = chosen.filter(({ status }) => !hasEnded(status))
  const ended = chosen.filter(({ status }) => hasEnded(status))
  return (
    <div className="selection" role="region" aria-label="Selection">
      <strong>{chosen.length} selected</strong>
      <button
        className="button small"
        disabled={isBusy || open.length === 0}
        onClick={() => void run(() => forEach(open, ({ id }) => client.cancel(id))).then(onChanged)}
      >
        Cancel {open.length > 0 && open.length}
      </button>
      <button
        className="button small danger"
        disabled={isBusy || ended.length === 0}
        onClick={() => {
          if (!confirm(`Delete ${ended.length} finished executions with their events, files and receipts?`)) return
          void run(() => forEach(ended, ({ id }) => client.delete(id))).then(() => onDeleted(ended.map(({ id }) => id)))
        }}
      >
        Delete {ended.length > 0 && ended.length}
      </button>
      <button
        className="button small"
        disabled={isBusy}
        onClick={() => void run(() => exportAll(client, chosen, 'csv'))}
      >
        Export CSV
      </button>
      <button
        className="button small"
        disabled={isBusy}
        onClick={() => void run(() => exportAll(client, chosen, 'json'))}
      >
        Export JSON
      </button>
      <button className="button small quiet" onClick={onClear}>
        Clear
      </button>
      <Fault error={error} />
    </div>
  )
}
