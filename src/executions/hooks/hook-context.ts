import { runOf, toRunRequest } from '../../claude/command/run-request.js'
import type { OpenFolder } from '../../platform/open-folder.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import type { HookStage } from '../../protocol/hooks.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toStatus } from '../records/execution-state.js'
import { ownFields } from '../records/plan-tasks.js'

/** A longer answer is left out of what a hook reads; it is on REST. */
const RESULT_LIMIT_CHARACTERS = 1024 * 1024

/** What a hook is told of the execution, or the task list, around which it runs. */
export interface HookFacts {
  readonly record: ExecutionRecord
  /** The attempt that is about to begin, or has ended; 0 of a list. */
  readonly attempt: number
  /** undefined: there is none. */
  readonly workspace: string | undefined
  /** The same, opened, as long as the claim lasts. */
  readonly folder?: OpenFolder | undefined
  readonly outcome?: Outcome
  readonly usage?: Usage
  readonly sessionId?: string
}

/** What it reads on standard input. */
export function toHookContext(
  stage: HookStage,
  name: string,
  { record, attempt, workspace, outcome, usage, sessionId }: HookFacts,
): object {
  const isList = record.kind === 'task_list'
  return {
    stage,
    hook: name,
    executionId: record.id,
    kind: record.kind,
    parentId: record.parentId,
    taskIndex: record.taskIndex,
    attempt,
    caller: record.owner,
    metadata: record.metadata,
    createdAt: new Date(record.createdAt).toISOString(),
    workspace: workspace ?? null,
    request: isList ? toListRequest(record.request) : toRequest(record),
    tasks: isList ? toTasks(record) : undefined,
    sessionId,
    outcome: outcome && shortenResult(outcome),
    usage,
  }
}

/** Of MCP servers only the names: the rest may hold secrets of the caller's. */
const nameServers = <Fields extends { mcpServers?: ExecuteRequest['mcpServers'] | undefined }>({
  mcpServers,
  ...fields
}: Fields): object => ({ ...fields, mcpServers: mcpServers && Object.keys(mcpServers) })

/** As fields, whatever form it was submitted in. */
function toRequest(record: ExecutionRecord): object {
  const { outputFormat: _format, rawPartials: _partials, ...request } = runOf(record)
  return nameServers({ ...request, timeoutSeconds: record.timeoutEstimate?.timeoutSeconds ?? request.timeoutSeconds })
}

/** What holds for its tasks, as far as they say nothing of their own. */
function toListRequest({ timeout_per_task, ...request }: ExecuteRequest): object {
  const timeoutSeconds = timeout_per_task ?? request.timeoutSeconds
  const {
    outputFormat: _format,
    rawPartials: _partials,
    prompt: _prompt,
    ...shared
  } = toRunRequest({ ...request, timeoutSeconds })
  // What `auto` stands for is known when a task's turn has come.
  return nameServers({
    ...shared,
    onTaskFailure: request.onTaskFailure ?? 'stop',
    timeoutSeconds: timeoutSeconds === 'auto' ? timeoutSeconds : shared.timeoutSeconds,
  })
}

/** Each with its own fields, and how it ended or stands, as far as it exists. */
function toTasks({ request, taskCount = 0, tasks = [] }: ExecutionRecord): object[] {
  return Array.from({ length: taskCount }, (_none, index) => {
    const task = tasks[index]
    return {
      index,
      ...nameServers(ownFields(request, index)),
      executionId: task?.id,
      status: task && toStatus(task.state),
    }
  })
}

function shortenResult({ result, ...outcome }: Outcome): object {
  const length = typeof result === 'object' ? JSON.stringify(result).length : (result?.length ?? 0)
  if (result === undefined) return outcome
  return length > RESULT_LIMIT_CHARACTERS ? { ...outcome, isResultLeftOut: true } : { ...outcome, result }
}
