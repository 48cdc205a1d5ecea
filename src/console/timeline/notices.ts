import type { Event } from 'cc-executor/client'
import { formatBytes, formatTime } from '../app/format.js'
import type { DataOf, NoticeItem } from './items.js'

type Notice = Pick<NoticeItem, 'tone' | 'title' | 'detail' | 'executionId'>
type Makers = { readonly [Type in Event['type']]?: (data: DataOf<Type>, attempt: number) => Notice | undefined }

const because = (reason: string | undefined): string | undefined => (reason === undefined ? undefined : `“${reason}”`)

/** What a run tells beside the conversation, in a line each. Types that are not here have an item of another kind. */
const MAKERS: Makers = {
  'execution.queued': ({ position }) => ({
    tone: 'quiet',
    title: position > 1 ? `Accepted, number ${position} in the queue` : 'Accepted',
  }),
  'execution.started': ({ claudeVersion, resumed, credential, workerId, repository, worktree }, attempt) => ({
    tone: 'quiet',
    title: `${attempt > 1 ? `Attempt ${attempt}` : 'Claude'} ${resumed ? 'continued the session' : 'started'}`,
    detail: [
      `Claude Code ${claudeVersion}`,
      credential,
      workerId,
      repository && `${repository.url}, branch ${repository.branch} from ${repository.baseCommit.slice(0, 12)}`,
      worktree && `worktree, branch ${worktree.branch} from ${worktree.commit.slice(0, 12)}`,
    ]
      .filter(Boolean)
      .join(' · '),
  }),
  'execution.paused': ({ by, reason }) => ({ tone: 'warn', title: `Paused by ${by}`, detail: because(reason) }),
  'execution.resumed': ({ by, reason }) => ({ tone: 'info', title: `Resumed by ${by}`, detail: because(reason) }),
  'execution.cancel_requested': ({ by, reason }) => ({
    tone: 'warn',
    title: `${by} asked to cancel`,
    detail: because(reason),
  }),
  'execution.retrying': ({ reason, nextAttempt, notBefore, message }) => ({
    tone: 'warn',
    title: `Attempt ${nextAttempt} follows${notBefore === undefined ? '' : `, not before ${formatTime(notBefore)}`}`,
    detail: `${reason}${message === undefined ? '' : `: ${message}`}`,
  }),
  'execution.parked': ({ reason, until, message }) => ({
    tone: 'warn',
    title: `Parked until there is ${reason === 'budget' ? 'a higher budget' : 'a decision'}, at most until ${formatTime(until)}`,
    detail: message,
  }),
  'execution.unparked': ({ reason, by }) => ({ tone: 'info', title: `Queued again: ${reason}, by ${by}` }),
  'execution.budget_changed': ({ by, maxBudgetUsd, maxBudgetTokens }) => ({
    tone: 'info',
    title: `${by} changed the budget`,
    detail: [
      maxBudgetUsd === undefined ? '' : `$${maxBudgetUsd}`,
      maxBudgetTokens === undefined ? '' : `${maxBudgetTokens.toLocaleString('en')} tokens`,
    ]
      .filter(Boolean)
      .join(', '),
  }),
  'task.started': ({ index, executionId }) => ({ tone: 'info', title: `Task ${index + 1} started`, executionId }),
  'task.finished': ({ index, executionId, status, code }) => ({
    tone: status === 'succeeded' ? 'good' : 'bad',
    title: `Task ${index + 1}: ${status.replace('_', ' ')}`,
    detail: code,
    executionId,
  }),
  'background.waiting': ({ tasks, until, message }) => ({
    tone: 'warn',
    title: `Claude has answered; ${tasks.length} background ${tasks.length === 1 ? 'task runs' : 'tasks run'} until ${formatTime(until)} at most`,
    detail: message,
  }),
  'background.finished': ({ kind, status }) => ({
    tone: status === 'completed' ? 'quiet' : 'warn',
    title: `Background task ${status}`,
    detail: kind,
  }),
  'mcp.status': ({ servers }) => ({
    tone: servers.every(({ status }) => status === 'connected') ? 'quiet' : 'warn',
    title: `MCP servers: ${servers.map(({ name, status }) => `${name} ${status}`).join(', ')}`,
    detail:
      servers.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error}`])).join('\n') || undefined,
  }),
  'hook.finished': ({ name, stage, ending, exitCode, output }) => ({
    tone: exitCode === 0 ? 'quiet' : exitCode === 2 ? 'bad' : 'warn',
    title: `Hook ${name} (${stage}): ${ending === 'exited' ? `exit code ${exitCode ?? ''}` : ending.replace('_', ' ')}`,
    detail: output || undefined,
  }),
  'sandbox.denied': ({ host, count }) => ({
    tone: 'warn',
    title: `The sandbox refused ${host}${count > 1 ? ` (${count} times)` : ''}`,
  }),
  'limit.reached': ({ kind, limit }) => ({
    tone: 'warn',
    title:
      kind === 'memory' ? `The memory limit of ${formatBytes(limit)} was met` : `The limit of ${limit} ${kind} was met`,
  }),
  'log.truncated': ({ droppedBytes, limit }) => ({
    tone: 'warn',
    title: `${formatBytes(droppedBytes)} of output were left out: the limit is ${formatBytes(limit)}`,
  }),
}

export function toNotice({ type, data, attempt }: Event): Notice | undefined {
  // Safe: the data of an event is that of its type.
  const make = MAKERS[type] as ((data: unknown, attempt: number) => Notice | undefined) | undefined
  return make?.(data, attempt)
}
