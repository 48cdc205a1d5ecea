import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { listUpTo } from '../client/list-up-to.js'
import { isLoopback, readConfig } from '../platform/config.js'
import { toRemedy } from '../protocol/denials.js'
import type { Execution, ExecutionStatus } from '../protocol/execution.js'
import { QUERY_CHARACTERS_LIMIT } from '../protocol/limits.js'
import { isTerminal } from '../protocol/terminal-status.js'
import { EXIT_CODES, requireId, toMetadata, toWholeNumber, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { toFlags } from './flag-words.js'
import { countDenials, toAnswer } from './result.js'
import { printJson, toLine, toPrintable, toUsageLine } from './print.js'

const DEFAULT_COUNT = 20
const STATUS_WIDTH = 'succeeded'.length
const NAME_WIDTH = 10
const TASK_LENGTH = 70
/** What stands before the task in a line of `list`: id, status, time, and two spaces behind each. */
const LEAD_LENGTH = 36 + 2 + STATUS_WIDTH + 2 + '2026-11-22T00:00:00.000Z'.length + 2

function taskOf({ request, taskCount }: Execution): string {
  const [first = ''] = request.tasks ?? []
  return request.prompt ?? request.command ?? `(${taskCount} tasks) ${typeof first === 'string' ? first : first.prompt}`
}

/** What a status conceals. */
function toMark(execution: Execution): string {
  const denials = countDenials(execution)
  const code = execution.outcome?.code
  const words = [...(code === undefined ? [] : [code]), ...(denials === 0 ? [] : [`${denials} denied`])]
  return words.length === 0 ? '' : `[${words.join(', ')}] `
}

export const list: Command = {
  summary: ['list [--status S] [--query TEXT] [--limit N] [--json|--csv]', 'the newest executions'],
  usage: `Usage: cc-executor list [flags]

  --status S                      queued, running, paused, waiting_approval, waiting_budget, succeeded, failed,
                                  cancelled, timed_out; several are comma-separated
  --parent ID                     the tasks of this list, which are omitted otherwise
  --schedule ID                   those that this schedule has started
  --query TEXT                    those whose prompt contains this text, in upper or lower case
  --label LABEL=VALUE             only with this label (also --metadata) (repeatable)
  --limit N                       how many; default ${DEFAULT_COUNT}
  --json                          as JSON: {executions, nextCursor}
  --csv                           as CSV with a header, including the full prompt and the answer
${SERVICE_USAGE}`,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        ...SERVICE_FLAGS,
        parent: { type: 'string' },
        schedule: { type: 'string' },
        query: { type: 'string' },
        status: { type: 'string', multiple: true },
        metadata: { type: 'string', multiple: true },
        label: { type: 'string', multiple: true },
        limit: { type: 'string' },
        json: { type: 'boolean' },
        csv: { type: 'boolean' },
      },
    })
    const count = toWholeNumber('--limit', values.limit) ?? DEFAULT_COUNT
    if (count === 0) throw new UsageError('--limit: expected 1 or more')
    const { query } = values
    if (query !== undefined && (query === '' || query.length > QUERY_CHARACTERS_LIMIT))
      throw new UsageError(`--query: expected 1 to ${QUERY_CHARACTERS_LIMIT} characters`)
    if (values.csv && values.json) throw new UsageError('--csv and --json cannot be combined')
    const labels = toMetadata([...(values.metadata ?? []), ...(values.label ?? [])])
    // Safe to call them statuses: the service names the one that is none.
    const status = values.status?.flatMap((text) => text.split(',')) as ExecutionStatus[] | undefined
    return withService(values.url, async (client) => {
      // On a terminal an execution is one line where that is wide enough for anything of its task.
      const room = (process.stdout.columns ?? Number.POSITIVE_INFINITY) - LEAD_LENGTH
      const taskLength = room < NAME_WIDTH ? TASK_LENGTH : Math.min(TASK_LENGTH, room)
      const page = await listUpTo(client, count, {
        status,
        scheduleId: values.schedule,
        parentId: values.parent,
        q: query,
        metadata: labels,
      })
      if (values.json) printJson(page)
      else if (values.csv) await (await import('./print-csv.js')).printCsv(client, page.executions)
      else
        for (const execution of page.executions)
          process.stdout.write(
            `${execution.id}  ${execution.status.padEnd(STATUS_WIDTH)}  ${execution.createdAt}  ${toLine(`${toMark(execution)}${taskOf(execution)}`, taskLength)}\n`,
          )
      return EXIT_CODES.succeeded
    })
  },
}

function describe(execution: Execution, folder: string | undefined): Array<readonly [string, string | undefined]> {
  const {
    id,
    status,
    waitingFor,
    position,
    estimatedStartAt,
    notBefore,
    parkedUntil,
    timeoutEstimate,
    createdAt,
    startedAt,
    finishedAt,
    workspace,
    workerId,
    sessionId,
    metadata,
    lastSeq,
    usage,
    outcome,
    simulated,
    tasks,
    taskCount,
    parentId,
    taskIndex,
    scheduleId,
  } = execution
  const labels = Object.entries(metadata).map(([label, value]) => `${label}=${value}`)
  const placed = [
    status,
    ...(waitingFor === undefined ? [] : [`waiting for its ${waitingFor}`]),
    ...(parkedUntil === undefined ? [] : [`ends at ${parkedUntil} unless it continues before`]),
    ...(parkedUntil === undefined || notBefore === undefined ? [] : [`continues by itself at ${notBefore}`]),
    ...(position === undefined ? [] : [`place ${position}`]),
    ...(position === undefined || estimatedStartAt === undefined ? [] : [`expected to start at ${estimatedStartAt}`]),
  ]
  return [
    ['id', id],
    ['status', placed.join(', ')],
    [
      'outcome',
      outcome?.code === undefined
        ? undefined
        : `${outcome.code}${outcome.message === undefined ? '' : `: ${toFlags(outcome.message)}`}`,
    ],
    ['created', createdAt],
    ['started', startedAt],
    ['finished', finishedAt],
    [
      'timeout',
      timeoutEstimate &&
        `${timeoutEstimate.timeoutSeconds} s, estimated from ${timeoutEstimate.samples} runs (${timeoutEstimate.level})`,
    ],
    ['workspace', workspace],
    ['folder', folder],
    ['worker', workerId],
    ['session', sessionId],
    ['schedule', scheduleId],
    ['list', parentId === undefined ? undefined : `${parentId}, task ${taskIndex}`],
    [
      'tasks',
      tasks === undefined
        ? undefined
        : `${tasks.filter((task) => isTerminal(task.status)).length} of ${taskCount} finished`,
    ],
    ...(tasks ?? []).map(
      ({ index, id: taskId, status: taskStatus }) => [`  ${index}`, `${taskId}  ${taskStatus}`] as const,
    ),
    ['metadata', labels.length > 0 ? labels.join(', ') : undefined],
    ['events', String(lastSeq)],
    ['usage', startedAt === undefined ? undefined : toUsageLine(usage, simulated)],
    ...(outcome?.permissionDenials ?? []).map(
      ({ tool, allowWith }) => ['denied', `${tool}; ${toFlags(toRemedy(allowWith))}`] as const,
    ),
    ['task', toLine(taskOf(execution), TASK_LENGTH)],
  ]
}

/** Where the run works, if that is on this machine. */
function findFolder(url: string, { workspace }: Execution): string | undefined {
  const folder = resolve(readConfig().workspaceRoot, workspace)
  return isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, '')) && existsSync(folder) ? folder : undefined
}

export const show: Command = {
  summary: ['show <id> [--json]', 'everything about one execution'],
  usage: `Usage: cc-executor show [flags] <id>

  --json                          the execution as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, json: { type: 'boolean' } },
    })
    const executionId = requireId(positionals)
    return withService(values.url, async (client) => {
      const execution = await client.get(executionId)
      if (values.json) {
        printJson(execution)
        return EXIT_CODES.succeeded
      }
      for (const [name, text] of describe(execution, findFolder(client.url, execution)))
        if (text !== undefined) process.stdout.write(`${name.padEnd(NAME_WIDTH)} ${toPrintable(text)}\n`)
      const { result: answer, isPartial = false } = execution.outcome ?? {}
      const result = typeof answer === 'object' ? JSON.stringify(answer, undefined, 2) : toAnswer(execution)
      if (result !== '')
        process.stdout.write(
          `\n${isPartial ? '(partial)\n' : ''}${process.stdout.isTTY ? toPrintable(result) : result}\n`,
        )
      return EXIT_CODES.succeeded
    })
  },
}
