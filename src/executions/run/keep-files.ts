import { collectFiles, type CollectOptions } from '../../files/collect-files.js'
import { within } from '../../platform/abort-signals.js'
import type { WorkspaceEvidence } from '../../protocol/verification.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { RunServices } from '../claim/run-services.js'

/** The end of an execution waits for its files no longer than this. */
const DEADLINE_MS = 15_000
/** After that nothing more is read, and what there is is written. */
const READING_MS = 10_000

export interface LeftBehind extends Pick<
  CollectOptions,
  'workspace' | 'before' | 'after' | 'changes' | 'contentsBefore'
> {
  readonly evidence: WorkspaceEvidence
}

/**
 * Keeps what a run changed in the store, where every API finds it: its host may be another one, and be gone tomorrow.
 * The end of the execution does not depend on it: what goes wrong is logged, and then nothing was kept.
 */
export async function keepFiles(
  { files, config, logger, mask }: RunServices,
  { id, workspace }: ExecutionRecord,
  claim: { fence: string; attempt: number },
  left: LeftBehind,
): Promise<void> {
  const writer = files.openWriter(id, claim.fence)
  const { created, modified, deleted, ignored } = left.evidence
  const incomplete = left.evidence.before.incomplete ?? left.evidence.after.incomplete
  const limitBytes = config.filesLimitBytes
  const keepChanged = async (): Promise<void> => {
    const {
      files: listed,
      notListed,
      unchanged,
      keptBytes,
    } = await collectFiles({
      ...left,
      limitBytes,
      holdsSecret: (bytes) => mask.holds(bytes.toString()),
      sink: writer,
      signal: AbortSignal.timeout(READING_MS),
    })
    await writer.finish({
      executionId: id,
      workspace,
      attempt: claim.attempt,
      created,
      modified,
      deleted,
      unchanged,
      files: [...listed],
      notListed,
      incomplete,
      ignored,
      keptBytes,
      limitBytes,
    })
  }
  try {
    await within(DEADLINE_MS, 'keeping the files', keepChanged())
  } catch (error) {
    logger.warn({ executionId: id, err: error }, 'the files that its run changed were not kept')
  }
}
