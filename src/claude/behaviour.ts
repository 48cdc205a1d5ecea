/**
 * What differs between the versions of the CLI that are in use, and cannot be seen in the stream of the run that it
 * matters to.
 * Whatever the stream tells is decided there, whatever the version is.
 */
export interface ClaudeBehaviour {
  /**
   * It knows `--system-prompt-snapshot`; by default it then sends the system prompt of a session's first request again.
   */
  readonly knowsPromptSnapshot: boolean
  /**
   * Of what a `result` tells the cost after `--resume` and `--fork-session`: of this run, or of the whole conversation.
   */
  readonly costAfterResume: 'own' | 'conversation'
  /** The model of a run that names none, with an API key; an account or a setting may have another. */
  readonly defaultModel?: string
  /** It tells the whole set of background tasks by `background_tasks_changed`, besides each one's own messages. */
  readonly tellsBackgroundTasks: boolean
}

/** A CLI that can be started, and how it behaves. */
export interface InstalledClaude {
  readonly binary: string
  readonly version: string
  readonly behaviour: ClaudeBehaviour
  /** Why it starts on the host and in no sandbox: a wrapper leads to files that runs do not see. */
  readonly unseen?: string
}

/**
 * The versions at which something changed, found by trying those between (2026-11-29); later ones follow until the
 * next. Oldest first.
 */
const MEASURED: ReadonlyArray<{ readonly from: string; readonly behaviour: ClaudeBehaviour }> = [
  {
    from: '2.1.197',
    behaviour: {
      knowsPromptSnapshot: false,
      costAfterResume: 'own',
      tellsBackgroundTasks: false,
      defaultModel: 'claude-opus-4-8[1m]',
    },
  },
  {
    from: '2.1.203',
    behaviour: {
      knowsPromptSnapshot: false,
      costAfterResume: 'own',
      tellsBackgroundTasks: true,
      defaultModel: 'claude-opus-4-8[1m]',
    },
  },
  {
    from: '2.1.257',
    behaviour: {
      knowsPromptSnapshot: true,
      costAfterResume: 'own',
      tellsBackgroundTasks: true,
      defaultModel: 'claude-opus-5[1m]',
    },
  },
  {
    from: '2.1.277',
    behaviour: {
      knowsPromptSnapshot: true,
      costAfterResume: 'conversation',
      tellsBackgroundTasks: true,
      defaultModel: 'claude-opus-5[1m]',
    },
  },
  {
    from: '2.1.332',
    behaviour: {
      knowsPromptSnapshot: true,
      costAfterResume: 'conversation',
      tellsBackgroundTasks: true,
      defaultModel: 'claude-opus-5-5',
    },
  },
]

/** Whether this very version was measured: then nothing is left to find out about it. */
export const isMeasured = (version: string): boolean => MEASURED.some(({ from }) => from === version)

/**
 * By its version alone: of what is measured, the newest that is not newer than it; without a version the newest of all.
 */
export function behaviourOf(version: string | undefined): ClaudeBehaviour {
  const known =
    MEASURED.filter(({ from }) => version === undefined || compareVersions(from, version) <= 0).at(-1) ?? MEASURED[0]
  if (!known) throw new Error('no version was ever measured')
  if (version === undefined || isMeasured(version)) return known.behaviour
  // Each version has a default of its own.
  const { defaultModel: _other, ...behaviour } = known.behaviour
  return behaviour
}

export function compareVersions(left: string, right: string): number {
  return left.localeCompare(right, 'en', { numeric: true })
}
