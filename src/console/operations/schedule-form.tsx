import { useState, type FormEvent } from 'react'
import type { Schedule } from 'cc-executor/client'
import { useClient } from '../app/session.js'
import { Dialog } from '../ui/dialog.js'
import { Fault } from '../ui/states.js'
import { useAction } from '../ui/use-action.js'
import { EMPTY_SCHEDULE, toChange, toScheduleDraft, toScheduleRequest, type ScheduleDraft } from './schedule-draft.js'

interface Props {
  /** Absent: a new one. */
  readonly schedule?: Schedule | undefined
  readonly onClose: () => void
}

/** Names of fields that are typed as text. */
type Field = keyof ScheduleDraft

export function ScheduleForm({ schedule, onClose }: Props) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [draft, setDraft] = useState<ScheduleDraft>(() => (schedule ? toScheduleDraft(schedule) : EMPTY_SCHEDULE))
  const [fault, setFault] = useState<string>()
  const set = (name: Field, value: string): void => setDraft((last) => ({ ...last, [name]: value }))

  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setFault(undefined)
    try {
      const asked = toScheduleRequest(draft)
      const save = schedule
        ? () => client.changeSchedule(schedule.id, toChange(schedule, asked))
        : () => client.createSchedule(asked, { idempotencyKey: crypto.randomUUID() })
      void run(save).then((done) => done && onClose())
    } catch (cause) {
      setFault(cause instanceof SyntaxError ? `The request is not JSON: ${cause.message}` : String(cause))
    }
  }
  const input = (name: Field, label: string, options: { hint?: string; placeholder?: string; type?: string } = {}) => (
    <label className="field">
      <span>{label}</span>
      <input
        className="input"
        type={options.type}
        placeholder={options.placeholder}
        value={draft[name]}
        onChange={({ target }) => set(name, target.value)}
      />
      {options.hint !== undefined && <small className="hint">{options.hint}</small>}
    </label>
  )
  const select = (name: Field, label: string, options: Readonly<Record<string, string>>) => (
    <label className="field">
      <span>{label}</span>
      <select className="select" value={draft[name]} onChange={({ target }) => set(name, target.value)}>
        {Object.entries(options).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
  return (
    <Dialog title={schedule ? `Edit ${schedule.name}` : 'New schedule'} onClose={onClose}>
      <form onSubmit={submit}>
        {input('name', 'Name', { placeholder: 'nightly' })}
        {select('rule', 'When', { cron: 'At the times of a cron line', every: 'Every so many seconds' })}
        {draft.rule === 'cron' ? (
          <div className="grid">
            {input('cron', 'Cron line', { placeholder: '0 3 * * 1-5', hint: 'minute, hour, day, month, day of week' })}
            {input('timezone', 'Time zone', { placeholder: 'UTC' })}
          </div>
        ) : (
          input('everySeconds', 'Seconds', { type: 'number', placeholder: '3600' })
        )}
        <label className="field">
          <span>Prompt</span>
          <textarea
            className="input"
            rows={3}
            value={draft.prompt}
            onChange={({ target }) => set('prompt', target.value)}
          />
        </label>
        <label className="field">
          <span>Other fields of the request, as JSON</span>
          <textarea
            className="input mono"
            rows={3}
            spellCheck={false}
            placeholder={'{"permissionMode": "acceptEdits"}'}
            value={draft.others}
            onChange={({ target }) => set('others', target.value)}
          />
          <small className="hint">
            “As JSON” of a new execution shows them; leave the prompt empty for a task list.
          </small>
        </label>
        <div className="grid">
          {select('overlap', 'While the last one is still running', {
            skip: 'skip this time',
            queue: 'wait for it',
            cancel: 'cancel it',
          })}
          {select('missed', 'Times at which no service was there', {
            skip: 'are left out',
            latest: 'run the latest one',
            all: 'run all of them',
          })}
        </div>
        {fault !== undefined && (
          <p className="alert" role="alert">
            {fault}
          </p>
        )}
        <Fault error={error} />
        <button className="button primary" disabled={isBusy || draft.name.trim() === ''}>
          {schedule ? 'Save' : 'Make the schedule'}
        </button>
      </form>
    </Dialog>
  )
}
