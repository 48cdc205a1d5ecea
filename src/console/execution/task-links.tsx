import type { Execution } from 'cc-executor/client'
import { firstLine } from '../app/format.js'
import { toHash } from '../app/router.js'
import { Badge } from '../ui/status.js'

/** The tasks of a list, each a link once it exists. */
export function TaskLinks({ execution: { request, tasks = [] } }: { readonly execution: Execution }) {
  return (
    <ol className="tasks" aria-label="Tasks">
      {(request.tasks ?? []).map((task, index) => {
        const state = tasks.find((one) => one.index === index)
        const text = firstLine(typeof task === 'string' ? task : (task.prompt ?? ''))
        return (
          // oxlint-disable-next-line react/no-array-index-key -- the index is the name of a task
          <li key={index}>
            {state ? <a href={toHash(['executions', state.id])}>{text}</a> : <span>{text}</span>}
            {state ? <Badge status={state.status} /> : <span className="muted">not started</span>}
          </li>
        )
      })}
    </ol>
  )
}
