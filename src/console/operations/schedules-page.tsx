import { useState } from 'react'
import type { Schedule } from 'cc-executor/client'
import { firstLine, formatTime } from '../app/format.js'
import { go, toHash } from '../app/router.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { ScheduleForm } from './schedule-form.js'
import { Icon } from '../ui/icons.js'
import { Empty, Fault, Loading, PageHead } from '../ui/states.js'
import { Badge } from '../ui/status.js'
import { Toggle } from '../ui/toggle.js'
import { useAction } from '../ui/use-action.js'

const LIVE_INTERVAL_MS = 10_000

export function SchedulesPage() {
  const client = useClient()
  const { value, error, refresh } = usePoll(
    'schedules',
    (signal) => client.schedules({ limit: 200 }, { signal }),
    LIVE_INTERVAL_MS,
  )
  const [isMaking, setMaking] = useState(false)
  return (
    <div className="page">
      <PageHead title="Schedules">
        <button className="button primary" onClick={() => setMaking(true)}>
          <Icon name="plus" size={16} /> New schedule
        </button>
      </PageHead>
      <Fault error={error} />
      {!value && !error && <Loading />}
      {value?.schedules.length === 0 && (
        <Empty icon="clock" title="No schedules">
          <p>
            A schedule submits a request by itself, at the times of a cron line or every so many seconds. Make one here,
            or from a shell:
          </p>
          <pre className="code">cc-executor schedule add nightly --cron "0 3 * * 1-5" "Update the dependencies"</pre>
        </Empty>
      )}
      {value?.schedules.map((schedule) => (
        <ScheduleCard key={schedule.id} schedule={schedule} refresh={refresh} />
      ))}
      {isMaking && (
        <ScheduleForm
          onClose={() => {
            setMaking(false)
            refresh()
          }}
        />
      )}
    </div>
  )
}

function ScheduleCard({ schedule, refresh }: { readonly schedule: Schedule; readonly refresh: () => void }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [isEditing, setEditing] = useState(false)
  const { id, name, cron, everySeconds, timezone, request, enabled, nextRunAt, stoppedBecause, moments } = schedule
  return (
    <article className="card" aria-label={name}>
      <div className="card-head">
        <h2>{name}</h2>
        <code>{cron ?? `every ${everySeconds ?? 0} s`}</code>
        <span className="muted">{cron === undefined ? '' : timezone}</span>
        <span className="spacer" />
        <Toggle
          label="Enabled"
          isOn={enabled}
          isDisabled={isBusy || stoppedBecause !== undefined}
          onChange={(isOn) => void run(() => client.changeSchedule(id, { enabled: isOn })).then(refresh)}
        />
      </div>
      <p>{firstLine(request.prompt ?? request.command ?? 'A task list')}</p>
      <p className="muted">
        {stoppedBecause === undefined
          ? nextRunAt === undefined
            ? 'No next run'
            : `Next run ${formatTime(nextRunAt)}`
          : 'Stopped: its token was revoked'}{' '}
        · <a href={toHash(['executions'], { schedule: id })}>Its executions</a>
      </p>
      {moments.length > 0 && (
        <ul className="moments" aria-label="Last moments">
          {moments.map(({ plannedAt, outcome, executionId, status, reason, code, message }) => (
            <li key={plannedAt}>
              <time dateTime={plannedAt}>{formatTime(plannedAt)}</time>{' '}
              {executionId !== undefined && outcome === 'started' ? (
                <a href={toHash(['executions', executionId])}>{status ? <Badge status={status} /> : 'started'}</a>
              ) : (
                <span title={message}>
                  {outcome} {(reason ?? code ?? '').replaceAll('_', ' ')}
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
      <Fault error={error} />
      <div className="actions">
        <button
          className="button small"
          disabled={isBusy}
          onClick={() =>
            void run(async () => {
              const execution = await client.runSchedule(id, { idempotencyKey: crypto.randomUUID() })
              go(toHash(['executions', execution.id]))
            })
          }
        >
          Run now
        </button>
        <button className="button small" onClick={() => setEditing(true)}>
          Edit
        </button>
        <button
          className="button small danger"
          disabled={isBusy}
          onClick={() =>
            confirm(`Remove the schedule ${name}? Its executions stay.`) &&
            void run(() => client.removeSchedule(id)).then(refresh)
          }
        >
          Remove
        </button>
      </div>
      {isEditing && (
        <ScheduleForm
          schedule={schedule}
          onClose={() => {
            setEditing(false)
            refresh()
          }}
        />
      )}
    </article>
  )
}
