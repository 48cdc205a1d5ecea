import type { Outcome } from '../../protocol/execution.js'
import type { Progress } from './progress-meter.js'

/** What the process around a run tells it and hears of it. */
export interface RunContext {
  /** Aborted when the worker must let go of its runs at once; the reason is a sentence. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** What became of a job. */
export type RunReport =
  /** It ended, and this worker wrote its end. */
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  /**
   * Nothing to do here: already taken, cancelled, waiting for its workspace or its next attempt, or taken over by
   * others.
   */
  | { readonly kind: 'passed_over'; readonly why: string }
  /** Not for this worker for so long: its credential's limit is reached. */
  | { readonly kind: 'blocked'; readonly waitMs: number }
  /** Not for this worker: it wants a sandbox that is not here. */
  | { readonly kind: 'unsuited' }
