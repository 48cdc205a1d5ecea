import type { BackgroundTask, NewEvent } from '../../protocol/events.js'
import type { ExitReport, SupervisedProcess } from '../../supervision/supervised-process.js'
import { ClaudeEnding, type EndAfterResult, type StopUrgency } from './claude-ending.js'
import { NO_INBOX, type Inbox } from './inbox.js'
import { OutputReader } from './output-reader.js'
import {
  ResultPhases,
  startTimer,
  type BackgroundWaits,
  type Clock,
  type FollowUp,
  type Phase,
} from './result-phases.js'
import type { Translator } from './translate-message.js'

export interface ClaudeRun {
  readonly child: SupervisedProcess
  /** The user message, one line of stream-json input. */
  readonly firstLine: string
  /**
   * Of a session that holds a call to be taken up: whether the CLI does so by itself. Then the first line is not
   * written.
   */
  readonly takesUp?: ((over: AbortSignal) => Promise<boolean>) | undefined
  /** Written first of all. */
  readonly setUpLine?: string | undefined
  readonly translator: Translator
  /**
   * What must have happened before the first line is written; a stop meanwhile leaves it unwritten. `over` aborts with
   * that, and when the CLI is gone.
   */
  readonly beforeFirstLine?: ((over: AbortSignal) => Promise<void>) | undefined
  readonly lineLimitBytes: number
  /** What people say to it while it goes on. */
  readonly inbox?: Inbox | undefined
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

export interface ClaudeRunReport {
  readonly exit: ExitReport
  readonly stderrTail: string
  /**
   * It had given its result and was ended: it did not exit by itself, or its background tasks were to end with the
   * result.
   */
  readonly endedAfterResult: EndAfterResult | undefined
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

/**
 * Lets a prepared CLI go and reads its output until every one of its processes is gone. stdin stays open until the
 * final result has been read: otherwise the CLI loses the end of a long answer, and cuts off its background tasks.
 *
 *     running → exited   by itself (after a result: result-phases.ts), or ended from our side (claude-ending.ts)
 *     exited  → swept    the processes that it left behind are killed
 *     swept   → read     the pipes have reached their end
 */
export async function runClaude(run: ClaudeRun): Promise<ClaudeRunReport> {
  const { child, translator, stop, inbox = NO_INBOX } = run
  const { observation } = translator
  const { stdin } = child
  const over = new AbortController()
  const ending = new ClaudeEnding({
    child,
    observation,
    inbox,
    onBegin: () => {
      over.abort()
      phases.enterEnding()
    },
  })
  const phases = new ResultPhases({
    observation,
    stdin,
    inbox,
    followUp: run.followUp,
    background: run.background ?? EVERY_TASK_IS_AWAITED,
    startClock: run.startClock ?? startTimer,
    onPhase: run.onPhase,
    endTasks: () => ending.beginAfterResult('with_tasks'),
    force: () => ending.beginAfterResult('hung'),
  })
  const reader = new OutputReader(
    {
      child,
      translator,
      lineLimitBytes: run.lineLimitBytes,
      noteLine: () => phases.noteLine(),
      emit: run.emit,
    },
    // Nobody reads the CLI any more: it must not run until its timeout.
    () => ending.begin('at_once'),
  )
  // Safe: `stop` is aborted with one of the two urgencies as its reason.
  const onStop = (): void => ending.begin(stop.reason as StopUrgency)
  stop.addEventListener('abort', onStop, { once: true })
  try {
    const exited = child.exited.finally(() => over.abort())
    child.release()
    if (run.setUpLine !== undefined && stdin.writable) stdin.write(run.setUpLine)
    if (run.beforeFirstLine) {
      if (stop.aborted) onStop()
      await Promise.race([run.beforeFirstLine(over.signal), exited])
    }
    const isTakenUp = run.takesUp ? await Promise.race([run.takesUp(over.signal), exited.then(() => true)]) : false
    if (stdin.writable && !ending.hasBegun) {
      if (!isTakenUp) stdin.write(run.firstLine)
      inbox.open((line) => phases.sendFurther(line))
    }
    if (stop.aborted) onStop()
    const exit = await exited
    await child.killAll()
    await ending.settled()
    await reader.drained()
    ending.restoreAnswer()
    const { stderrTail } = reader
    return { exit, stderrTail, endedAfterResult: ending.afterResult, unfinishedTasks: ending.unfinishedTasks }
  } finally {
    inbox.close()
    phases.close()
    stop.removeEventListener('abort', onStop)
    stdin.destroy()
    await reader.close()
  }
}
