import { setTimeout as wait } from 'node:timers/promises'
import type { NewEvent } from '../protocol/events.js'
import type { ExitReport, SupervisedProcess } from '../supervision/supervised-process.js'
import { createLineSplitter, type Line } from './line-splitter.js'
import { coalesceDeltas, type Translator } from './translate-message.js'

/** How long the CLI may take from its last result to its exit: background tasks get about five seconds of their own. */
const AFTER_RESULT_MS = 9_000
/** Each step of ending a run: control interrupt, then SIGTERM, then SIGKILL. */
const INTERRUPT_MS = 3_000
const TERMINATE_MS = 3_000
/** Once the last process is gone nothing holds the pipes; under weak containment something that escaped might. */
const END_OF_FILE_MS = 2_000
/** An uncaught error of the CLI dumps kilobytes of source: so much is kept as events, and so much of its end for the outcome. */
const STDERR_LIMIT_BYTES = 256 * 1024
const STDERR_TAIL_CHARACTERS = 2_000

export interface ClaudeRun {
  readonly process: SupervisedProcess
  /** The user message, one line of stream-json input. */
  readonly firstLine: string
  readonly translator: Translator
  /** What must have happened before the first line is written; a stop meanwhile leaves it unwritten. */
  readonly beforeFirstLine?: (() => Promise<void>) | undefined
  readonly lineLimitBytes: number
  /** Asked after each result while standard input is open: a further line for it, or undefined, which closes it. */
  readonly followUp?: (() => string | undefined) | undefined
  /** Takes what was said, in order. While it is pending nothing more is read: the CLI holds back what it has to say, as its stdin is open. */
  readonly emit: (events: readonly NewEvent[], rawBytes: number) => Promise<void>
  /** Ends the run; `reason` is `StopUrgency`: `gently` keeps the session resumable, `at_once` kills. */
  readonly stop: AbortSignal
}

export type StopUrgency = 'gently' | 'at_once'

export interface ClaudeRunReport {
  readonly exit: ExitReport
  readonly stderrTail: string
  /** It had given its result and was ended because it did not exit by itself. */
  readonly endedAfterResult: boolean
}

/**
 * Lets a prepared CLI go and listens until every one of its processes is gone.
 * stdin stays open until the result has been read: only so the CLI loses nothing of a long answer.
 *
 * States: running → (result) finishing → exited → swept; a stop leads from any of them through interrupt, TERM and KILL.
 */
export async function runClaude({ process, firstLine, beforeFirstLine, translator, lineLimitBytes, followUp, emit, stop }: ClaudeRun): Promise<ClaudeRunReport> {
  let endedAfterResult = false
  let stderrTail = ''
  let isExited = false
  let emitting = 0
  let told = 0
  let ending: Promise<void> | undefined
  let afterResult: NodeJS.Timeout | undefined
  const exited = process.exited.then((report) => {
    isExited = true
    return report
  })
  const exitedWithin = async (milliseconds: number): Promise<boolean> => {
    await Promise.race([exited, wait(milliseconds, undefined, { ref: false })])
    return isExited
  }

  async function end(urgency: StopUrgency): Promise<void> {
    if (urgency === 'gently') {
      // One that cannot be resumed hears no interrupt and no SIGTERM, but SIGKILL reaches it.
      await process.resume().catch(() => undefined)
      if (process.stdin.writable) {
        process.stdin.write(`${JSON.stringify({ type: 'control_request', request_id: 'stop', request: { subtype: 'interrupt' } })}\n`)
        if (await exitedWithin(INTERRUPT_MS)) return
      }
      process.terminate()
      if (await exitedWithin(TERMINATE_MS)) return
    }
    await process.killAll()
  }
  const startEnding = (urgency: StopUrgency): Promise<void> => (ending ??= end(urgency))
  // Safe: whoever aborts gives one of the two urgencies as the reason.
  const onStop = (): void => {
    startEnding(stop.reason as StopUrgency).catch(() => undefined)
  }

  /** A result that needs no follow-up closes stdin, which makes the CLI exit; a further turn may begin before it does. */
  function noteLine(resultsBefore: number): void {
    if (translator.observation.results > resultsBefore) {
      const next = process.stdin.writable && !ending ? followUp?.() : undefined
      if (next !== undefined) {
        process.stdin.write(next)
        return
      }
      process.stdin.end()
      clearTimeout(afterResult)
      afterResult = setTimeout(() => {
        endedAfterResult = true
        void process.killAll().catch(() => undefined)
      }, AFTER_RESULT_MS)
    } else if (translator.observation.turnActive) {
      clearTimeout(afterResult)
    }
  }

  function translate(lines: readonly Line[]): NewEvent[] {
    const events: NewEvent[] = []
    for (const line of lines) {
      const { results } = translator.observation
      for (const event of translator.translate(line)) events.push(event)
      noteLine(results)
    }
    return coalesceDeltas(events)
  }

  async function tell(events: readonly NewEvent[], rawBytes: number): Promise<void> {
    emitting += 1
    told += 1
    try {
      await emit(events, rawBytes)
    } finally {
      emitting -= 1
    }
  }

  async function readStdout(): Promise<void> {
    const splitter = createLineSplitter({ maxLineBytes: lineLimitBytes })
    for await (const chunk of process.stdout as AsyncIterable<Buffer>) await tell(translate(splitter.push(chunk)), chunk.length)
    await tell(translate(splitter.end()), 0)
  }

  async function readStderr(): Promise<void> {
    const splitter = createLineSplitter({ maxLineBytes: STDERR_LIMIT_BYTES })
    let budget = STDERR_LIMIT_BYTES
    const take = async (lines: readonly Line[], rawBytes: number): Promise<void> => {
      const events: NewEvent[] = []
      for (const line of lines) {
        const text = line.kind === 'line' ? line.bytes.toString() : `(${line.length} bytes on one line)`
        stderrTail = `${stderrTail}${text}\n`.slice(-STDERR_TAIL_CHARACTERS)
        budget -= text.length
        if (budget >= 0) events.push({ type: 'output', data: { stream: 'stderr', data: text } })
      }
      await tell(events, rawBytes)
    }
    for await (const chunk of process.stderr as AsyncIterable<Buffer>) await take(splitter.push(chunk), chunk.length)
    await take(splitter.end(), 0)
  }

  let isRead = false
  const reading = Promise.all([readStdout(), readStderr()]).finally(() => {
    isRead = true
  })
  // Awaited below; until then a failure must not count as unhandled.
  reading.catch(() => undefined)

  /** What lies in the pipes is read to its end, however long the store makes us wait for room. */
  async function untilRead(): Promise<void> {
    let before: number
    do {
      before = told
      await Promise.race([reading, wait(END_OF_FILE_MS, undefined, { ref: false })])
    } while (!isRead && (emitting > 0 || told > before))
  }

  stop.addEventListener('abort', onStop, { once: true })
  try {
    process.release()
    if (beforeFirstLine) {
      if (stop.aborted) onStop()
      await Promise.race([beforeFirstLine(), exited])
    }
    if (process.stdin.writable && !ending) process.stdin.write(firstLine)
    if (stop.aborted) onStop()
    const exit = await exited
    // The CLI is gone; what it left behind goes now, and the pipes reach their end.
    await process.killAll()
    await ending
    await untilRead()
    return { exit, stderrTail, endedAfterResult }
  } finally {
    clearTimeout(afterResult)
    stop.removeEventListener('abort', onStop)
    process.stdin.destroy()
    process.stdout.destroy()
    process.stderr.destroy()
    await reading.catch(() => undefined)
  }
}
