import { setTimeout as wait } from 'node:timers/promises'
import type { BackgroundTask, NewEvent } from '../../protocol/events.js'
import type { ExitReport, SupervisedProcess } from '../../supervision/supervised-process.js'
import { createLineSplitter, type Line } from './line-splitter.js'
import {
  ResultPhases,
  startTimer,
  type BackgroundWaits,
  type Clock,
  type FollowUp,
  type Phase,
} from './result-phases.js'
import { coalesceDeltas, type Observation, type Translator } from './translate-message.js'

/** Each step of ending a run: control interrupt, then SIGTERM, then SIGKILL. */
const INTERRUPT_MS = 3_000
const TERMINATE_MS = 3_000
/** Once the last process is gone nothing holds the pipes; under weak containment something that escaped might. */
const END_OF_FILE_MS = 2_000
/**
 * An uncaught error of the CLI dumps kilobytes of source: so much is kept as events, and so much of its end for the
 * outcome.
 */
const STDERR_LIMIT_BYTES = 256 * 1024
const STDERR_TAIL_CHARACTERS = 2_000

export interface ClaudeRun {
  readonly child: SupervisedProcess
  /** The user message, one line of stream-json input. */
  readonly firstLine: string
  /** Written first of all. */
  readonly setUpLine?: string | undefined
  readonly translator: Translator
  /**
   * What must have happened before the first line is written; a stop meanwhile leaves it unwritten. `over` aborts with
   * that, and when the CLI is gone.
   */
  readonly beforeFirstLine?: ((over: AbortSignal) => Promise<void>) | undefined
  readonly lineLimitBytes: number
  readonly followUp?: FollowUp | undefined
  /** Decides how long background tasks may outlive an interim result; without it they are awaited. */
  readonly background?: BackgroundWaits
  /** Starts a clock that stands still while the run is paused. */
  readonly startClock?: (milliseconds: number, onFire: () => void) => Clock
  readonly onPhase?: (phase: Phase) => void
  /**
   * Takes what was said, in order. While it is pending nothing more is read: the CLI holds back what it has to say, as
   * its stdin is open.
   */
  readonly emit: (events: readonly NewEvent[], rawBytes: number) => Promise<void>
  /** Ends the run; `reason` is `StopUrgency`: `gently` keeps the session resumable, `at_once` kills. */
  readonly stop: AbortSignal
}

export type StopUrgency = 'gently' | 'at_once'

export interface ClaudeRunReport {
  readonly exit: ExitReport
  readonly stderrTail: string
  /**
   * It had given its result and was ended: it did not exit by itself, or its background tasks were to end with the
   * result.
   */
  readonly endedAfterResult: 'hung' | 'with_tasks' | undefined
  /** Background tasks that lived when the run was ended, or when the CLI was gone. */
  readonly unfinishedTasks: readonly BackgroundTask[]
}

const EVERY_TASK_IS_AWAITED: BackgroundWaits = {
  begin: (tasks) => ({
    tasks: [...tasks],
    until: new Date(8.64e15).toISOString(),
    message: 'Background tasks are awaited.',
  }),
  end: () => undefined,
}

/** What a further turn may change of an answer. */
const answerOf = ({ lastResult, partialText, stopReason }: Observation): Partial<Observation> => ({
  partialText,
  ...(lastResult && { lastResult }),
  ...(stopReason !== undefined && { stopReason }),
})

/**
 * Lets a prepared CLI go and listens until every one of its processes is gone.
 * stdin stays open until the final result has been read: only so the CLI loses nothing of a long answer, and only so
 * its
 * background tasks are not cut off.
 *
 * States: running (its phases: result-phases.ts) → exited → swept; a stop leads from any of them through interrupt,
 * TERM and KILL.
 */
export async function runClaude(run: ClaudeRun): Promise<ClaudeRunReport> {
  const { child, firstLine, beforeFirstLine, translator, lineLimitBytes, emit, stop } = run
  const { observation } = translator
  let endedAfterResult: ClaudeRunReport['endedAfterResult']
  let unfinishedTasks: readonly BackgroundTask[] | undefined
  /** The answer that stood when the run was ended between two turns. */
  let answer: Partial<Observation> | undefined
  let stderrTail = ''
  let isExited = false
  let emitting = 0
  let emitCount = 0
  let ending: Promise<void> | undefined
  const over = new AbortController()
  const exited = child.exited.then((report) => {
    isExited = true
    over.abort()
    return report
  })
  const exitedWithin = async (milliseconds: number): Promise<boolean> => {
    await Promise.race([exited, wait(milliseconds, undefined, { ref: false })])
    return isExited
  }

  async function end(urgency: StopUrgency): Promise<void> {
    // Between turns there is nothing to interrupt. SIGTERM ends background tasks as well, but an older CLI tells the
    // model of their end before it exits: what comes of that turn is no answer to what was asked.
    const isBetweenTurns = observation.lastResult !== undefined && !observation.turnActive
    if (isBetweenTurns) answer = answerOf(observation)
    unfinishedTasks ??= observation.liveTasks
    phases.enterEnding()
    if (urgency === 'gently') {
      // One that cannot be resumed hears no interrupt and no SIGTERM, but SIGKILL reaches it.
      await child.resume().catch(() => undefined)
      if (child.stdin.writable && !isBetweenTurns) {
        child.stdin.write(
          `${JSON.stringify({ type: 'control_request', request_id: 'stop', request: { subtype: 'interrupt' } })}\n`,
        )
        if (await exitedWithin(INTERRUPT_MS)) return
      }
      child.terminate()
      if (await exitedWithin(TERMINATE_MS)) return
    }
    await child.killAll()
  }
  const startEnding = (urgency: StopUrgency): Promise<void> => (ending ??= end(urgency))
  function endAfterResult(why: 'hung' | 'with_tasks'): void {
    endedAfterResult ??= why
    startEnding(why === 'hung' ? 'at_once' : 'gently').catch(() => undefined)
  }
  // Safe: whoever aborts gives one of the two urgencies as the reason.
  const onStop = (): void => {
    over.abort()
    startEnding(stop.reason as StopUrgency).catch(() => undefined)
  }
  const phases = new ResultPhases({
    observation,
    stdin: child.stdin,
    followUp: run.followUp,
    background: run.background ?? EVERY_TASK_IS_AWAITED,
    startClock: run.startClock ?? startTimer,
    onPhase: run.onPhase,
    endTasks: () => endAfterResult('with_tasks'),
    force: () => endAfterResult('hung'),
  })

  function translate(lines: readonly Line[]): NewEvent[] {
    const events: NewEvent[] = []
    for (const line of lines) {
      for (const event of translator.translate(line)) events.push(event)
      for (const event of phases.noteLine()) events.push(event)
    }
    return coalesceDeltas(events)
  }

  async function emitEvents(events: readonly NewEvent[], rawBytes: number): Promise<void> {
    emitting += 1
    emitCount += 1
    try {
      await emit(events, rawBytes)
    } finally {
      emitting -= 1
    }
  }

  async function readStdout(): Promise<void> {
    const splitter = createLineSplitter({ maxLineBytes: lineLimitBytes })
    for await (const chunk of child.stdout as AsyncIterable<Buffer>)
      await emitEvents(translate(splitter.push(chunk)), chunk.length)
    await emitEvents(coalesceDeltas([...translate(splitter.end()), ...translator.end()]), 0)
  }

  async function readStderr(): Promise<void> {
    const splitter = createLineSplitter({ maxLineBytes: STDERR_LIMIT_BYTES })
    let budget = STDERR_LIMIT_BYTES
    const emitLines = async (lines: readonly Line[], rawBytes: number): Promise<void> => {
      const events: NewEvent[] = []
      for (const line of lines) {
        const text =
          line.kind === 'line' ? translator.mask.line(line.bytes.toString()) : `(${line.length} bytes on one line)`
        stderrTail = `${stderrTail}${text}\n`.slice(-STDERR_TAIL_CHARACTERS)
        budget -= text.length
        if (budget >= 0) events.push({ type: 'output', data: { stream: 'stderr', data: text } })
      }
      await emitEvents(events, rawBytes)
    }
    for await (const chunk of child.stderr as AsyncIterable<Buffer>) await emitLines(splitter.push(chunk), chunk.length)
    await emitLines(splitter.end(), 0)
  }

  let isRead = false
  const reading = Promise.all([readStdout(), readStderr()]).finally(() => {
    isRead = true
  })
  // Awaited below, where a failure is thrown. Nobody would hear the CLI any more: it must not go on until its timeout.
  reading.catch(() => startEnding('at_once')).catch(() => undefined)

  /** What lies in the pipes is read to its end, however long the store makes us wait for room. */
  async function untilRead(): Promise<void> {
    let before: number
    do {
      before = emitCount
      await Promise.race([reading, wait(END_OF_FILE_MS, undefined, { ref: false })])
    } while (!isRead && (emitting > 0 || emitCount > before))
  }

  stop.addEventListener('abort', onStop, { once: true })
  try {
    child.release()
    if (run.setUpLine !== undefined && child.stdin.writable) child.stdin.write(run.setUpLine)
    if (beforeFirstLine) {
      if (stop.aborted) onStop()
      await Promise.race([beforeFirstLine(over.signal), exited])
    }
    if (child.stdin.writable && !ending) child.stdin.write(firstLine)
    if (stop.aborted) onStop()
    const exit = await exited
    // The CLI is gone; what it left behind goes now, and the pipes reach their end.
    await child.killAll()
    await ending
    await untilRead()
    if (answer) Object.assign(observation, answer)
    return { exit, stderrTail, endedAfterResult, unfinishedTasks: unfinishedTasks ?? observation.liveTasks }
  } finally {
    phases.close()
    stop.removeEventListener('abort', onStop)
    child.stdin.destroy()
    child.stdout.destroy()
    child.stderr.destroy()
    await reading.catch(() => undefined)
  }
}
