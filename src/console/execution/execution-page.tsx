import * as Tabs from '@radix-ui/react-tabs'
import { useEffect, useRef } from 'react'
import type { Execution } from 'cc-executor/client'
import { go, toHash, usePlace } from '../app/router.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { Empty, Fault, Loading } from '../ui/states.js'
import { hasEnded } from '../ui/status.js'
import { TimelineView } from '../timeline/timeline-view.js'
import { useEventLog } from '../timeline/use-event-log.js'
import { Composer } from './composer.js'
import { EvidenceTab } from './evidence-tab.js'
import { ExecutionHead } from './execution-head.js'
import { FilesTab } from './files-tab.js'
import { RawTab } from './raw-tab.js'
import { Prompt } from './prompt.js'
import { TaskLinks } from './task-links.js'

const LIVE_INTERVAL_MS = 3_000
const TABS = [
  ['conversation', 'Conversation'],
  ['files', 'Files'],
  ['evidence', 'Evidence'],
  ['events', 'Events'],
] as const

export function ExecutionPage() {
  const { path } = usePlace()
  const id = path[1] ?? ''
  return <OneExecution key={id} id={id} tab={path[2] ?? 'conversation'} />
}

function OneExecution({ id, tab }: { readonly id: string; readonly tab: string }) {
  const client = useClient()
  const { log, version, isComplete, error: logError } = useEventLog(id)
  const known = useRef<Execution>()
  const isOver = isComplete && known.current !== undefined && hasEnded(known.current.status)
  const { value, error, refresh } = usePoll(
    `execution ${id}`,
    (signal) => client.get(id, { signal }),
    isOver ? undefined : LIVE_INTERVAL_MS,
  )
  known.current = value
  // What changes the state is told by an event; the numbers follow every few seconds.
  const { changedAt } = log
  useEffect(() => {
    if (changedAt > 0) refresh()
  }, [changedAt, isComplete, refresh])

  if (error?.code === 'EXECUTION_NOT_FOUND')
    return (
      <Empty icon="search" title="There is no such execution">
        <p>It was deleted, has expired, or belongs to another token.</p>
        <a className="button" href={toHash(['executions'])}>
          All executions
        </a>
      </Empty>
    )
  if (!value) return error ? <Fault error={error} /> : <Loading />

  return (
    <div className="page fill execution">
      <ExecutionHead execution={value} progress={log.progress} refresh={refresh} />
      {error && (
        <p className="alert warn" role="status">
          {error.code === 'UNREACHABLE'
            ? 'The service cannot be reached. The page continues where it is, once it answers.'
            : error.detail}
        </p>
      )}
      {logError && logError.code !== 'EXECUTION_NOT_FOUND' && <Fault error={logError} />}
      <Tabs.Root
        className="tabs"
        value={tab}
        onValueChange={(next) =>
          go(toHash(['executions', id, ...(next === 'conversation' ? [] : [next])]), { replace: true })
        }
      >
        <Tabs.List className="tab-list" aria-label="Views of the execution">
          {TABS.map(([name, title]) => (
            <Tabs.Trigger key={name} value={name} className="tab">
              {title}
              {name === 'events' && log.events.length > 0 && (
                <small className="muted"> {log.events.length.toLocaleString('en')}</small>
              )}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <Tabs.Content value="conversation" className="tab-content fill" tabIndex={-1}>
          <TimelineView
            items={log.timeline.items}
            version={version}
            isLive={!hasEnded(value.status)}
            head={<Opening execution={value} />}
          />
          <Composer execution={value} />
        </Tabs.Content>
        <Tabs.Content value="files" className="tab-content fill" tabIndex={-1}>
          <FilesTab execution={value} />
        </Tabs.Content>
        <Tabs.Content value="evidence" className="tab-content scroll" tabIndex={-1}>
          <EvidenceTab execution={value} />
        </Tabs.Content>
        <Tabs.Content value="events" className="tab-content fill" tabIndex={-1}>
          <RawTab log={log} />
        </Tabs.Content>
      </Tabs.Root>
    </div>
  )
}

/** What was asked for. */
const Opening = ({ execution }: { readonly execution: Execution }) => (
  <>
    {execution.kind === 'task_list' ? <TaskLinks execution={execution} /> : <Prompt execution={execution} />}
    {execution.resumedFrom !== undefined && (
      <p className="note">
        Continues <a href={toHash(['executions', execution.resumedFrom])}>an earlier conversation</a>
      </p>
    )}
  </>
)
