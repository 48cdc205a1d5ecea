import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { Outcome, OutcomeCode } from '../../protocol/execution.js'
import type { ExecutionRecord } from './execution-record.js'

const NAMED_TASKS = 20

/** A task's own fields; a prompt alone may be written as text. */
export function ownFields(request: ExecuteRequest, index: number): Partial<ExecuteRequest> {
  const task = request.tasks?.[index]
  return typeof task === 'string' ? { prompt: task } : (task ?? {})
}

/** What a task is asked: the fields of the list, with its own in their place. */
export function toTaskRequest(request: ExecuteRequest, index: number): ExecuteRequest {
  const {
    tasks: _tasks,
    onTaskFailure: _onTaskFailure,
    timeout_per_task,
    json,
    outputSchema,
    metadata,
    files,
    attachments,
    ...shared
  } = request
  const own = ownFields(request, index)
  const hasOwnJson = own.json !== undefined || own.outputSchema !== undefined
  return {
    ...shared,
    timeoutSeconds: timeout_per_task ?? shared.timeoutSeconds,
    // They are there for all: written again they would undo what the tasks before have made of them.
    files: index === 0 ? files : undefined,
    // JSON mode is one thing, of which `outputSchema` is the stronger word: who takes either for itself takes neither
    // from the list.
    json: hasOwnJson ? undefined : json,
    outputSchema: hasOwnJson ? undefined : outputSchema,
    ...own,
    // Of the list for all, before a task's own.
    attachments: (attachments ?? own.attachments) && [...(attachments ?? []), ...(own.attachments ?? [])],
    metadata: (metadata ?? own.metadata) && { ...metadata, ...own.metadata },
  }
}

/** Whether another task follows the one that ended so. */
export const hasFollowing = (
  { request, taskCount = 0, refusal }: ExecutionRecord,
  index: number,
  status: string,
): boolean =>
  refusal === undefined && index + 1 < taskCount && (status === 'succeeded' || request.onTaskFailure === 'continue')

const wereNotStarted = (count: number): string => `${count === 1 ? 'was' : 'were'} not started`

/** How a list ended that has no further task. `last` is the outcome of the task that ended last. */
export function toListOutcome(
  { tasks = [], taskCount = 0, cancelled, isOverBudget, refusal }: ExecutionRecord,
  last: Pick<Outcome, 'code' | 'result'> | undefined,
): Outcome {
  if (refusal) return refusal
  const failed = tasks.filter(({ state }) => state !== 'succeeded')
  const unstarted = taskCount - tasks.length
  if (unstarted === 0 && failed.length === 0) return { status: 'succeeded', result: last?.result }
  if (cancelled && (unstarted > 0 || failed.some(({ state }) => state === 'cancelled'))) {
    const succeeded = tasks.length - failed.length
    return {
      status: 'cancelled',
      code: 'CANCELLED',
      message:
        `Cancelled by ${cancelled.by}${cancelled.reason === undefined ? '' : `: ${cancelled.reason}`}. ` +
        `${succeeded} of ${taskCount} tasks succeeded${unstarted === 0 ? '' : `, ${unstarted} ${wereNotStarted(unstarted)}`}.`,
    }
  }
  if (isOverBudget) {
    return {
      status: 'failed',
      code: 'BUDGET_EXCEEDED',
      message:
        `The daily budget is not sufficient for tasks[${tasks.length}]: ${unstarted} of ${taskCount} tasks ` +
        `${wereNotStarted(unstarted)}.`,
    }
  }
  const code: OutcomeCode = 'TASK_FAILED'
  const [first] = failed
  if (unstarted > 0 || failed.length === 1) {
    const why = last?.code !== undefined && failed.at(-1) === tasks.at(-1) ? ` (${last.code})` : ''
    const rest = unstarted === 0 ? '' : ` ${unstarted} of ${taskCount} tasks ${wereNotStarted(unstarted)}.`
    return {
      status: 'failed',
      code,
      message:
        `tasks[${first?.index ?? 0}] of ${taskCount} ended as ${first?.state ?? 'failed'}${why}; see its ` +
        `execution for details.${rest}`,
    }
  }
  const names = failed
    .slice(0, NAMED_TASKS)
    .map(({ index }) => `tasks[${index}]`)
    .join(', ')
  return {
    status: 'failed',
    code,
    message: `${failed.length} of ${taskCount} tasks did not succeed: ${names}${failed.length > NAMED_TASKS ? ' …' : ''}.`,
  }
}
