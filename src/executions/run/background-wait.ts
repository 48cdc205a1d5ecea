import { countTasks, TASKS_SHOWN } from '../../claude/stream/background-tasks.js'
import type { BackgroundWaits, Clock } from '../../claude/stream/result-phases.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { BackgroundTask, EventData } from '../../protocol/events.js'
import type { RunClocks } from './run-clocks.js'
import { stopCauses, type RunStopCause } from './stop-causes.js'

export interface BackgroundWaitOptions {
  readonly run: Pick<RunRequest, 'backgroundTimeoutSeconds' | 'timeoutSeconds'>
  readonly clocks: Pick<RunClocks, 'activeMs' | 'start'>
  readonly onLimit: (cause: RunStopCause) => void
}

/**
 * How long background tasks may outlive an interim result. Each task has `backgroundTimeoutSeconds` from the first
 * result
 * that it outlived; without that the run's own timeout is the only limit, and ends it as `timed_out`.
 */
export class BackgroundWait implements BackgroundWaits {
  readonly #options: BackgroundWaitOptions
  /** By task: when the first result came that it outlived, in the run's own time. */
  #awaitedSinceMs = new Map<string, number>()
  #clock: Clock | undefined

  constructor(options: BackgroundWaitOptions) {
    this.#options = options
  }

  readonly begin = (tasks: readonly BackgroundTask[]): EventData<'background.waiting'> | undefined => {
    const { run, clocks, onLimit } = this.#options
    const { backgroundTimeoutSeconds: limit, timeoutSeconds } = run
    if (limit === 0) return undefined
    const nowMs = clocks.activeMs
    this.#awaitedSinceMs = new Map(tasks.map(({ id }) => [id, this.#awaitedSinceMs.get(id) ?? nowMs]))
    const runsForMs = Math.max(0, timeoutSeconds * 1_000 - nowMs)
    const waitsForMs =
      limit === undefined ? runsForMs : Math.max(0, Math.min(...this.#awaitedSinceMs.values()) + limit * 1_000 - nowMs)
    this.#clock?.close()
    // The run's own timeout ends it as what it is.
    this.#clock =
      limit !== undefined && waitsForMs < runsForMs
        ? clocks.start(waitsForMs, () => onLimit(stopCauses.backgroundUnfinished(tasks.length, limit)))
        : undefined
    const until = new Date(Date.now() + Math.min(waitsForMs, runsForMs)).toISOString()
    const shown = tasks.slice(0, TASKS_SHOWN)
    const names = shown.map(({ description, kind }) => description || kind).join('; ')
    return {
      tasks: shown,
      until,
      message:
        `Claude has answered, and ${countTasks(tasks.length)} (${names}) ` +
        `${tasks.length === 1 ? 'is' : 'are'} awaited until ${until}. To end the wait, cancel the execution; ` +
        'to limit it next time, set backgroundTimeoutSeconds (0: background tasks are stopped at the answer).',
    }
  }

  readonly end = (): void => {
    this.#clock?.close()
    this.#clock = undefined
  }
}
