import { constants } from 'node:os'
import { runOf } from '../../claude/command/run-request.js'
import type { StoredEvent } from '../../events/stored-event.js'
import type { ExecutionServices } from '../../executions/services.js'
import type { Caller } from '../../protocol/caller.js'
import { submitExecution } from '../../executions/submit/submit-execution.js'
import type { EventData } from '../../protocol/events.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { Outcome } from '../../protocol/execution.js'
import { toRpcNotification } from '../../protocol/rpc.js'
import type { Frame, FrameWriter } from '../frame-writer.js'
import { ORIGINAL_ERRORS } from './original-errors.js'
import { createOriginalOutput, parseData, toChunks, type Output } from './original-output.js'
import type { Answer } from '../rpc-endpoint.js'

/** What coreutils' `timeout` exits with. */
const TIMED_OUT_EXIT_CODE = 124

export interface OriginalRun {
  /** The execution's id; rejects where the submission was refused. */
  readonly submitted: Promise<string>
  /** Resolves when the process has started, or never will; what follows is sent after this answer. */
  begin(): Promise<Answer>
  /** Holds back notifications until the returned function is called, so that a control's answer precedes them. */
  hold(): () => void
  /** Stops telling; the execution itself goes on. */
  leave(): void
}

interface OriginalRunOptions {
  readonly services: ExecutionServices
  readonly caller: Caller
  readonly request: ExecuteRequest
  readonly writer: FrameWriter
  /** Called once, before the last notification: the connection may start another process. */
  readonly onEnd: () => void
}

/** An execution as a client of the original sees it: one process, told from the event log. */
export function startOriginalRun({ services, caller, request, writer, onEnd }: OriginalRunOptions): OriginalRun {
  const run = runOf({ request })
  const output = createOriginalOutput(run)
  const left = new AbortController()
  const submitted = submitExecution(services, request, caller).then(({ execution }) => execution.id)
  let child: Child = { pid: null, pgid: null }
  let isCanceled = false
  let gate = Promise.resolve()

  async function begin(): Promise<Answer> {
    try {
      const executionId = await submitted
      const source = services.feed.follow(executionId, 0, left.signal)
      const seen: StoredEvent[] = []
      for (let page = await source.next(); page.done !== true; page = await source.next()) {
        seen.push(...page.value)
        const answer = decide(page.value, executionId)
        if (answer) return { ...answer, afterAnswer: () => void relay(seen, source) }
      }
      if (left.signal.aborted) return { result: null }
      throw new Error('the log ended before the process started')
    } catch (error) {
      onEnd()
      throw error
    }
  }

  /** Never rejects: an end without an outcome is told as `process.error`. */
  async function relay(
    seen: readonly StoredEvent[],
    source: AsyncGenerator<readonly StoredEvent[], void, undefined>,
  ): Promise<void> {
    const { figures } = services
    if (figures) figures.subscribers.websocket += 1
    try {
      await gate
      await writer.write(toFrames(seen))
      for await (const events of source) {
        await gate
        await writer.write(toFrames(events))
      }
    } catch (error) {
      services.logger.warn({ executionId: await submitted, err: error }, 'a run could not be followed to its end')
      onEnd()
      await writer.write([
        notification('process.error', {
          error: 'The execution can no longer be followed: its log was deleted or cannot be read.',
        }),
      ])
    } finally {
      if (figures) figures.subscribers.websocket -= 1
    }
  }

  function* toFrames(events: readonly StoredEvent[]): Generator<Frame, void, undefined> {
    for (const event of events) {
      if (left.signal.aborted) return
      yield* toFramesOf(event)
    }
  }

  function* toFramesOf(event: StoredEvent): Generator<Frame, void, undefined> {
    switch (event.type) {
      case 'execution.started': {
        const { pid, pgid } = parseData(event, 'execution.started')
        child = { pid, pgid }
        return yield toStatus('started')
      }
      case 'execution.paused':
        return yield toStatus('paused')
      case 'execution.resumed':
        return yield toStatus('resumed')
      case 'execution.cancel_requested':
        return yield* toCanceled()
      case 'execution.finished':
        return yield* toFinished(parseData(event, 'execution.finished'))
      default:
        return yield* toOutputFrames(output.take(event))
    }
  }

  function* toCanceled(): Generator<Frame, void, undefined> {
    if (isCanceled) return
    isCanceled = true
    yield toStatus('canceled')
  }

  function* toFinished({ outcome, usage }: EventData<'execution.finished'>): Generator<Frame, void, undefined> {
    yield* toOutputFrames(output.conclude(outcome))
    if (outcome.status === 'cancelled') yield* toCanceled()
    onEnd()
    // Whoever was told that it is cancelled hears no success, though the answer may have been there before.
    const reported: Outcome =
      isCanceled && outcome.status === 'succeeded'
        ? { status: 'cancelled', message: 'canceled after its answer was complete' }
        : outcome
    const status = reported.status === 'succeeded' ? 'completed' : 'failed'
    yield notification('process.completed', {
      status,
      ...child,
      exit_code: toExitCode(reported),
      error: toError(reported, run.timeoutSeconds),
      execution_time: usage.durationMs / 1_000,
    })
  }

  const toStatus = (status: string): string => notification(`process.${status}`, toStatusParams(status, child))

  return {
    submitted,
    begin,
    hold() {
      const { promise, resolve } = withResolvers()
      gate = Promise.all([gate, promise]).then(() => undefined)
      return resolve
    },
    leave: () => left.abort(),
  }
}

/** The answer to `execute`, once the log tells it. */
function decide(events: readonly StoredEvent[], executionId: string): Answer | undefined {
  for (const event of events) {
    if (event.type === 'execution.started') {
      const { pid, pgid } = parseData(event, 'execution.started')
      return { result: { status: 'started', pid, pgid, execution_id: executionId } }
    }
    if (event.type === 'execution.finished') {
      const { outcome } = parseData(event, 'execution.finished')
      const code = outcome.status === 'timed_out' ? ORIGINAL_ERRORS.timeout : ORIGINAL_ERRORS.internal
      return {
        error: {
          code,
          message: outcome.message ?? 'The process did not start.',
          data: { code: outcome.code, execution_id: executionId },
        },
      }
    }
  }
  return undefined
}

function* toOutputFrames(said: Output | undefined): Generator<Frame, void, undefined> {
  if (!said) return
  for (const chunk of toChunks(said.data))
    yield notification('process.output', { type: said.type, truncated: false, ...chunk })
}

export interface Child {
  readonly pid: number | null
  readonly pgid: number | null
}

export const toStatusParams = (status: string, { pid, pgid }: Child): Record<string, unknown> => ({
  status,
  pid,
  pgid,
  exit_code: null,
  error: null,
})

const notification = (method: string, params: Record<string, unknown>): string =>
  JSON.stringify(toRpcNotification(method, params))

/** Never 0 without success: clients of the original look at nothing else. */
function toExitCode({ status, exitCode, signal }: Outcome): number {
  if (status === 'succeeded') return 0
  if (exitCode !== undefined && exitCode !== 0) return exitCode
  if (status === 'timed_out') return TIMED_OUT_EXIT_CODE
  const signals: Readonly<Record<string, number>> = constants.signals
  const number = signal === undefined ? undefined : signals[signal]
  return number === undefined ? 1 : 128 + number
}

function toError({ status, code, message }: Outcome, timeoutSeconds: number): string | null {
  if (status === 'succeeded') return null
  if (code === 'TIMED_OUT') return `timed out after ${timeoutSeconds} s; what was produced until then is kept`
  return `${status === 'timed_out' ? 'timed out: ' : ''}${message ?? code ?? status}`
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  const opened: { resolve?: () => void } = {}
  const promise = new Promise<void>((resolve) => {
    opened.resolve = resolve
  })
  return { promise, resolve: () => opened.resolve?.() }
}
