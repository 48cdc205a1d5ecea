import { Icon } from '../ui/icons.js'
import type { Draft } from './request-form.js'

export interface DraftProps {
  readonly draft: Draft
  readonly set: (change: Partial<Draft>) => void
}

/** One after the other, each in a fresh context, all in one workspace. */
export function TaskFields({ draft: { tasks, stopOnFailure }, set }: DraftProps) {
  const change = (index: number, text: string): void =>
    set({ tasks: tasks.map((task, at) => (at === index ? text : task)) })
  return (
    <fieldset className="plain">
      <legend className="sr-only">Tasks</legend>
      {tasks.map((task, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- the index is the name of a task
        <div key={index} className="task-field">
          <span className="number muted" aria-hidden="true">
            {index + 1}
          </span>
          <textarea
            className="input"
            rows={2}
            aria-label={`Task ${index + 1}`}
            value={task}
            onChange={({ target }) => change(index, target.value)}
          />
          <button
            type="button"
            className="button quiet icon"
            aria-label={`Remove task ${index + 1}`}
            disabled={tasks.length === 1}
            onClick={() => set({ tasks: tasks.filter((_task, at) => at !== index) })}
          >
            <Icon name="cross" size={16} />
          </button>
        </div>
      ))}
      <button type="button" className="button small" onClick={() => set({ tasks: [...tasks, ''] })}>
        <Icon name="plus" size={14} /> Add a task
      </button>
      <label className="check">
        <input
          type="checkbox"
          checked={stopOnFailure}
          onChange={({ target }) => set({ stopOnFailure: target.checked })}
        />
        Stop when a task does not succeed
      </label>
    </fieldset>
  )
}
