import type { BackgroundTask, EventData, NewEvent } from '../../protocol/events.js'
import { shorten, toRecord, toRecords, toText } from '../json-shape.js'
import type { Observation } from './observation.js'

type Status = EventData<'background.finished'>['status']

const DESCRIPTION_SHOWN = 200
/** A run that starts more at once is told of as many; the rest still counts as living. */
export const TASKS_SHOWN = 20

export const countTasks = (count: number): string => (count === 1 ? '1 background task' : `${count} background tasks`)

const ENDED: Readonly<Record<string, Status>> = {
  completed: 'completed',
  failed: 'failed',
  killed: 'stopped',
  stopped: 'stopped',
}

interface Known extends BackgroundTask {
  /** The tool call that started it. */
  readonly toolUseId: string | undefined
}

/**
 * Follows the background tasks of the CLI: `observation.liveTasks` are those that go on beside the conversation.
 *
 * Two sources (measured, 2.1.197 and 2.1.332):
 * - Newer CLIs tell the whole set with each change, `background_tasks_changed`; from the first one on it is the
 *   authority. Ambient tasks (watchers of the CLI's own) and those outside this process are left out: no run waits for
 * them.
 * - Older ones tell of each task's beginning and end, and announce a command in the foreground in the same words once
 * it
 *   has run for three seconds. A task is in the background if the CLI says so (`is_backgrounded`), or if its tool call
 * is
 *   answered, with the task's id, while the task lives: a command in the foreground has ended by then.
 *
 * An end is told by `task_updated`, `task_notification` or the set without it, whichever comes first: when the model
 * hears of it in the middle of a turn the older CLI sends no notification.
 */
export function createBackgroundTasks(observation: Observation) {
  const known = new Map<string, Known>()
  const live = new Map<string, BackgroundTask>()
  /** By task and run: a subagent that is continued has its old id again, as another run. */
  const ended = new Set<string>()
  let hasLevels = false

  const runOf = (record: Record<string, unknown>): string =>
    `${toText(record['task_id']) ?? ''} ${toText(record['run_id']) ?? ''}`
  const toTask = (id: string, record: Record<string, unknown>): BackgroundTask => ({
    id,
    kind: toText(record['task_type']) ?? 'unknown',
    description: shorten(toText(record['description']) ?? '', DESCRIPTION_SHOWN),
  })

  function begin(task: BackgroundTask): void {
    live.set(task.id, task)
  }

  function end(id: string, status: Status): NewEvent[] {
    known.delete(id)
    const task = live.get(id)
    if (task === undefined) return []
    live.delete(id)
    observation.tasksEnded += 1
    return [{ type: 'background.finished', data: { id, kind: task.kind, status } }]
  }

  function start(id: string, message: Record<string, unknown>): void {
    const task = { ...toTask(id, message), toolUseId: toText(message['tool_use_id']) }
    ended.delete(runOf(message))
    known.set(id, task)
    if (!hasLevels && message['is_backgrounded'] === true && message['ambient'] !== true) begin(toTask(id, message))
  }

  function moveToBackground(id: string): void {
    const task = known.get(id)
    if (!hasLevels && task !== undefined) begin({ id, kind: task.kind, description: task.description })
  }

  function change(id: string, message: Record<string, unknown>, status: unknown): NewEvent[] {
    const how = typeof status === 'string' ? ENDED[status] : undefined
    if (how === undefined) return []
    ended.add(runOf(message))
    return end(id, how)
  }

  /** The set as it is now. One that is told late may still hold a task whose end is known. */
  function replace(records: readonly Record<string, unknown>[]): NewEvent[] {
    hasLevels = true
    const now = records.filter(
      (record) => record['ambient'] !== true && record['off_host'] !== true && !ended.has(runOf(record)),
    )
    const ids = new Set(now.map((record) => toText(record['task_id'])))
    const gone = [...live.keys()].filter((id) => !ids.has(id)).flatMap((id) => end(id, 'stopped'))
    for (const record of now) {
      const id = toText(record['task_id'])
      if (id !== undefined && !live.has(id)) begin(toTask(id, record))
    }
    return gone
  }

  /** What a tool answered while the task that it started lives, naming it: the task was left in the background. */
  function observeAnswers(message: Record<string, unknown>): void {
    if (hasLevels || known.size === 0) return
    for (const block of toRecords(toRecord(message['message'])?.['content'])) {
      const task = [...known.values()].find(
        ({ toolUseId }) => toolUseId !== undefined && toolUseId === block['tool_use_id'],
      )
      if (task !== undefined && JSON.stringify(block['content'] ?? '').includes(task.id)) moveToBackground(task.id)
    }
  }

  function observeSystem(message: Record<string, unknown>): NewEvent[] {
    if (message['subtype'] === 'background_tasks_changed') return replace(toRecords(message['tasks']))
    const id = toText(message['task_id'])
    if (id === undefined) return []
    const patch = toRecord(message['patch'])
    switch (message['subtype']) {
      case 'task_started':
        start(id, message)
        return []
      case 'task_updated':
        if (patch?.['is_backgrounded'] === true) moveToBackground(id)
        return change(id, message, patch?.['status'])
      case 'task_notification':
        return change(id, message, message['status'])
      default:
        return []
    }
  }

  return {
    observe(type: string, message: Record<string, unknown>): NewEvent[] {
      const events = type === 'system' ? observeSystem(message) : []
      if (type === 'user') observeAnswers(message)
      observation.liveTasks = [...live.values()]
      return events
    },
  }
}
