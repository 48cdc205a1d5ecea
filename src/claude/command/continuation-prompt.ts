import type { ParkReason, RetryReason } from '../../protocol/execution.js'
import { shorten } from '../json-shape.js'

/** A tool call that was begun and of which no end is known. */
export interface OpenToolCall {
  readonly name: string
  /** JSON, shortened. */
  readonly input: string
}

const CALLS_SHOWN = 5
const INPUT_SHOWN = 300

function tellCause(reason: RetryReason | ParkReason): string {
  switch (reason) {
    case 'budget':
    case 'BUDGET_EXCEEDED':
      return (
        '[cc-executor] This session was stopped in the middle of the task because its budget was used up. It was not ' +
        'stopped by the user: a tool call that was refused at that moment was not refused by the user either. The ' +
        'budget has been raised. If the task was finished already, give its answer again.'
      )
    case 'approval':
      return 'This session was stopped in the middle of the task to wait for a decision.'
    case 'WORKER_LOST':
      return 'The machine or process that ran this session died in the middle of the task.'
    case 'WORKER_STOPPING':
      return 'The process that ran this session was stopped for maintenance in the middle of the task.'
    case 'CLAUDE_RATE_LIMITED':
      return 'This session was interrupted by a rate limit in the middle of the task, which is over now.'
    case 'CLAUDE_NOT_AUTHENTICATED':
      return 'This session was interrupted in the middle of the task because its access to the API had ended.'
    default:
      return 'This session was interrupted by a failure of the API in the middle of the task.'
  }
}

/** What Claude is told instead of the prompt, which its session holds already, when another attempt goes on with it. */
export function continuationPrompt(
  reason: RetryReason | ParkReason,
  {
    openCalls = [],
    lostTasks = [],
    note,
  }: {
    readonly openCalls?: readonly OpenToolCall[]
    readonly lostTasks?: readonly string[]
    /** What was decided while it was parked. */
    readonly note?: string | undefined
  },
): string {
  const calls = openCalls.slice(-CALLS_SHOWN).map(({ name, input }) => `- ${name} ${shorten(input, INPUT_SHOWN)}`)
  const tasks = lostTasks.slice(-CALLS_SHOWN).map((task) => `- ${shorten(task, INPUT_SHOWN)}`)
  return [
    tellCause(reason),
    ...(note === undefined ? [] : [note]),
    'The session continues here, in the same workspace. What was done before is done: do not repeat it.',
    ...(calls.length === 0
      ? []
      : ['These tool calls had begun, and how far they came is not known; look before you run one again:', ...calls]),
    ...(tasks.length === 0
      ? []
      : [
          'These background tasks had not finished and were ended; look how far they came before you start one again:',
          ...tasks,
        ]),
    'If you are not sure, look at the workspace first. Then continue the task until it is finished.',
  ].join('\n')
}
