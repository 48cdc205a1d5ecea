import type { Outcome } from '../../protocol/execution.js'
import type { PreparedRun } from './prepared-run.js'
import type { AttemptReport } from './attempt-options.js'
import type { DurationSample } from '../store/transitions.js'

/**
 * What an attempt says of how long such a run takes: a success what it took, a timeout that it takes longer. How soon
 * something
 * fails, is cancelled or falls silent says nothing of it, and neither does an attempt that goes on where another one
 * was cut off.
 */
export function toDurationSample(
  { record, run, beginning }: Pick<PreparedRun, 'record' | 'run' | 'beginning'>,
  { activeMs }: Pick<AttemptReport, 'activeMs'>,
  { status, code }: Outcome,
): DurationSample {
  if (record.attempt > 0 && beginning.kind === 'resume') return { activeMs, outcome: 'nothing' }
  if (status === 'succeeded') return { activeMs, outcome: 'success' }
  return code === 'TIMED_OUT'
    ? { activeMs: run.timeoutSeconds * 1_000, outcome: 'bound' }
    : { activeMs, outcome: 'nothing' }
}
