import * as Menu from '@radix-ui/react-dropdown-menu'
import { useState } from 'react'
import type { Execution } from 'cc-executor/client'
import { firstLine, formatCost, formatCount, formatTime } from '../app/format.js'
import { go, toHash } from '../app/router.js'
import { useClient } from '../app/session.js'
import { Elapsed } from '../executions/executions-table.js'
import { promptOf } from '../executions/prompt-of.js'
import type { DataOf } from '../timeline/items.js'
import { Icon } from '../ui/icons.js'
import { Fault } from '../ui/states.js'
import { hasEnded, StatusOf } from '../ui/status.js'
import { useAction } from '../ui/use-action.js'
import { ShareDialog } from './share-dialog.js'

interface Props {
  readonly execution: Execution
  /** The newest of a run that is under way. */
  readonly progress: DataOf<'progress'> | undefined
  readonly refresh: () => void
}

const WAITING: Readonly<Record<NonNullable<Execution['waitingFor']>, string>> = {
  workspace: 'another execution uses its workspace',
  retry: 'its next attempt has a start time',
  sandbox: 'no free worker has its sandbox level',
  session: 'its conversation has an execution before it',
  token: 'its token runs as many as it may',
  approval: 'a call waits for a decision',
  budget: 'its budget is used up',
}

export function ExecutionHead({ execution, progress, refresh }: Props) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [isSharing, setSharing] = useState(false)
  const { id, status, kind, model, attempt, workspace, position, waitingFor, notBefore, parkedUntil, parentId } =
    execution
  const title =
    kind === 'task_list' ? `Task list: ${firstLine(promptOf(execution), 80)}` : firstLine(promptOf(execution), 100)
  const isOver = hasEnded(status)
  const act = (call: () => Promise<unknown>): void => void run(call).then(refresh)

  return (
    <header className="execution-head">
      <nav className="crumbs" aria-label="Where this is">
        <a href={toHash(['executions'])}>Executions</a>
        <Icon name="chevron" size={12} />
        {parentId !== undefined && (
          <>
            <a href={toHash(['executions', parentId])}>Task list</a>
            <Icon name="chevron" size={12} />
          </>
        )}
        <span className="id">{id}</span>
      </nav>
      <div className="title-row">
        <h1>{title || '(no text)'}</h1>
        <div className="actions">
          {status === 'running' && kind !== 'task_list' && (
            <button className="button" disabled={isBusy} onClick={() => act(() => client.pause(id))}>
              <Icon name="pause" size={15} /> Pause
            </button>
          )}
          {status === 'paused' && (
            <button className="button primary" disabled={isBusy} onClick={() => act(() => client.resume(id))}>
              <Icon name="play" size={15} /> Resume
            </button>
          )}
          {!isOver && (
            <button className="button danger" disabled={isBusy} onClick={() => act(() => client.cancel(id))}>
              <Icon name="stop" size={15} /> Cancel
            </button>
          )}
          <Menu.Root modal={false}>
            <Menu.Trigger className="button" aria-label="More actions">
              More <Icon name="down" size={14} />
            </Menu.Trigger>
            <Menu.Portal>
              <Menu.Content className="menu" align="end" sideOffset={4}>
                <Menu.Item className="menu-item" onSelect={() => go(toHash(['new'], { from: id }))}>
                  Again with changes
                </Menu.Item>
                {execution.sessionId !== undefined && isOver && (
                  <Menu.Item className="menu-item" onSelect={() => go(toHash(['new'], { fork: id }))}>
                    Fork the conversation
                  </Menu.Item>
                )}
                <Menu.Item className="menu-item" onSelect={() => setSharing(true)}>
                  Share a link
                </Menu.Item>
                {isOver && parentId === undefined && (
                  <Menu.Item
                    className="menu-item danger"
                    onSelect={() => {
                      if (!confirm('Delete this execution with its events, files and receipt?')) return
                      void run(() => client.delete(id)).then((done) => done && go(toHash(['executions'])))
                    }}
                  >
                    Delete
                  </Menu.Item>
                )}
              </Menu.Content>
            </Menu.Portal>
          </Menu.Root>
        </div>
      </div>
      <Fault error={error} />
      <div className="facts">
        <StatusOf execution={execution} />
        {status === 'queued' && position !== undefined && <span>Number {position} in the queue</span>}
        {waitingFor !== undefined && <span>Waits: {WAITING[waitingFor] ?? waitingFor}</span>}
        {notBefore !== undefined && <span>Not before {formatTime(notBefore)}</span>}
        {parkedUntil !== undefined && <span>Until {formatTime(parkedUntil)} at most</span>}
        <span>
          <Icon name="clock" size={14} /> <Elapsed execution={execution} />
        </span>
        <Numbers execution={execution} progress={progress} />
        {model !== undefined && <span>{model}</span>}
        {attempt > 1 && <span>Attempt {attempt}</span>}
        {workspace !== id && (
          <span className="path" title="Workspace">
            {workspace}
          </span>
        )}
        {execution.simulated && <span className="tag">Simulated</span>}
      </div>
      {isSharing && <ShareDialog executionId={id} onClose={() => setSharing(false)} />}
    </header>
  )
}

/** Cost and tokens as they grow: the newest progress, until the end has the sum. */
function Numbers({ execution: { usage, status }, progress }: Pick<Props, 'execution' | 'progress'>) {
  const isOver = hasEnded(status)
  const input = isOver ? usage.inputTokens : Math.max(usage.inputTokens, progress?.inputTokens ?? 0)
  const output = isOver ? usage.outputTokens : Math.max(usage.outputTokens, progress?.outputTokens ?? 0)
  const cost = isOver
    ? usage.costUsd
    : Math.max(usage.costUsd, (progress as { costUsd?: number } | undefined)?.costUsd ?? 0)
  const turns = isOver ? usage.turns : Math.max(usage.turns, progress?.turns ?? 0)
  if (input + output === 0) return null
  return (
    <>
      {cost > 0 && <strong title="The CLI’s estimate from list prices">{formatCost(cost)}</strong>}
      <span title={`${usage.cacheReadTokens.toLocaleString('en')} read from the cache`}>
        {formatCount(input)} in · {formatCount(output)} out
      </span>
      {turns > 0 && (
        <span>
          {turns} {turns === 1 ? 'turn' : 'turns'}
        </span>
      )}
    </>
  )
}
