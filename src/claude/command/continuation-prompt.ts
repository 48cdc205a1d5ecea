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
/** Of a call that people were asked about: in full, within reason. */
const ASKED_SHOWN = 20_000

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

/** A call that the attempt before had asked people about, and what came of it. */
export interface AskedCall extends OpenToolCall {
  readonly fate: 'undecided' | 'allowed' | 'denied' | 'answered'
  /** What was said of it, word for word; of questions the answers. */
  readonly said?: string | undefined
}

/** What an attempt has left open. */
export interface LeftOpen {
  readonly openCalls?: readonly OpenToolCall[]
  readonly lostTasks?: readonly string[]
  readonly askedCalls?: readonly AskedCall[]
  /** What was decided while it was parked. */
  readonly note?: string | undefined
}

const FATES = {
  undecided:
    'These tool calls waited for a decision of a person when it happened: they were not run, and nobody has refused them. ' +
    'Make them again if they are still needed:',
  allowed:
    'These tool calls were allowed by a person, and whether they ran is not known; look before you run one again:',
  denied: 'These tool calls were denied by a person and were not run:',
  answered: 'These questions were answered by a person:',
} as const

function tellAsked(calls: readonly AskedCall[]): string[] {
  const fates = Object.keys(FATES) as Array<keyof typeof FATES>
  return fates.flatMap((fate) => {
    const those = calls.filter((call) => call.fate === fate)
    if (those.length === 0) return []
    const lines = those.map(
      ({ name, input, said }) => `- ${name} ${shorten(input, ASKED_SHOWN)}${said === undefined ? '' : `\n  ${said}`}`,
    )
    return [FATES[fate], ...lines]
  })
}

/** What Claude is told instead of the prompt, which its session holds already, when another attempt goes on with it. */
export function continuationPrompt(
  reason: RetryReason | ParkReason,
  { openCalls = [], lostTasks = [], askedCalls = [], note }: LeftOpen,
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
    ...tellAsked(askedCalls),
    ...(tasks.length === 0
      ? []
      : [
          'These background tasks had not finished and were ended; look how far they came before you start one again:',
          ...tasks,
        ]),
    'If you are not sure, look at the workspace first. Then continue the task until it is finished.',
  ].join('\n')
}
