import type { StopUrgency } from '../../claude/stream/claude-ending.js'
import { countTasks } from '../../claude/stream/background-tasks.js'
import type { StopCause } from '../../claude/stream/classify-exit.js'
import { tellTimeout } from '../conclude/settle-parked.js'
import type { PendingRequests } from '../store/transitions.js'

export interface RunStopCause extends StopCause {
  readonly urgency: StopUrgency
  /** It is about time and not about what the run did: an answer that is whole by then stands. */
  readonly yieldsToAnswer: boolean
}

const inTime = (cause: StopCause): RunStopCause => ({ ...cause, urgency: 'gently', yieldsToAnswer: true })
const gently = (cause: StopCause): RunStopCause => ({ ...cause, urgency: 'gently', yieldsToAnswer: false })
const atOnce = (cause: StopCause): RunStopCause => ({ ...cause, urgency: 'at_once', yieldsToAnswer: false })

/** Everything that ends a run from our side, with the words of its outcome. */
export const stopCauses = {
  cancelled: ({ by, reason }: NonNullable<PendingRequests['cancel']>) =>
    inTime({
      code: 'CANCELLED',
      status: 'cancelled',
      message: `Cancelled by ${by}${reason === undefined ? '' : `: ${reason}`}.`,
    }),
  pausedTooLong: () => inTime({ code: 'CANCELLED', status: 'cancelled', message: 'It was paused for 24 hours.' }),
  timedOut: (seconds: number) =>
    inTime({
      code: 'TIMED_OUT',
      status: 'timed_out',
      message:
        `The run was stopped at its timeout of ${seconds} s (timeoutSeconds); what was produced until then ` +
        'is kept.',
    }),
  idle: (seconds: number) =>
    inTime({
      code: 'IDLE_TIMEOUT',
      status: 'timed_out',
      message:
        `The run was stopped after a time without output of ${seconds} s (idleTimeoutSeconds); what was ` +
        'produced until then is kept.',
    }),
  workerStopped: (reason: string) => inTime({ code: 'WORKER_LOST', status: 'failed', message: reason }),
  claimLost: () =>
    atOnce({
      code: 'WORKER_LOST',
      status: 'failed',
      message: 'The worker lost its connection to the store for longer than its lease; the run was stopped.',
    }),
  approvalTimedOut: (tool: string, seconds: number) => gently(tellTimeout(tool, seconds)),
  /** Another attempt takes up the call that it ends with. */
  parkedForApproval: (tool: string) => ({
    ...gently({
      code: 'TOOL_DEFERRED',
      status: 'failed',
      message: `A call of ${tool} waits for a decision.`,
    }),
    urgency: 'keeping_the_call' as const,
  }),
  outputLimit: (bytes: number) =>
    atOnce({
      code: 'OUTPUT_LIMIT',
      status: 'failed',
      message: `The CLI wrote more than ${bytes} bytes; the run was stopped.`,
    }),
  /** @param crossed what TokenLimit says of it */
  budgetExceeded: (crossed: string) =>
    gently({
      code: 'BUDGET_EXCEEDED',
      status: 'failed',
      message: `The run has ${crossed}; what was produced until then is kept.`,
    }),
  backgroundUnfinished: (tasks: number, seconds: number) =>
    gently({
      code: 'BACKGROUND_UNFINISHED',
      status: 'failed',
      message:
        `${countTasks(tasks)} had not finished ${seconds} s after Claude had answered ` +
        `(backgroundTimeoutSeconds) and ${tasks === 1 ? 'was' : 'were'} stopped; the ` +
        'last answer is kept. Raise the limit, or set it to 0 if background tasks may be stopped at the ' +
        'answer.',
    }),
  /** @param unmet each server with its state or error */
  serversMissing: (unmet: readonly string[]) =>
    atOnce({
      code: 'MCP_UNAVAILABLE',
      status: 'failed',
      message:
        `The MCP servers that mcpRequired names are not all connected: ${unmet.join('; ')}. No prompt was ` +
        'sent to Claude.',
    }),
} satisfies Record<string, (...details: never[]) => RunStopCause>
