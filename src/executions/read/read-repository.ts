import { fromStore } from '../../platform/redis.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError } from '../../protocol/errors.js'
import { isTerminal } from '../../protocol/execution.js'
import { toStatus } from '../records/execution-state.js'
import type { ReadServices } from '../services.js'
import type { ArtifactName } from '../store/file-store.js'
import { requireExecution } from './find-execution.js'

const REASONS = {
  too_large: 'it is larger than what is kept of an execution (CC_EXECUTOR_FILES_LIMIT_BYTES)',
  withheld: 'it contains a secret of the operator',
} as const

/** What is handed out of a run's commits. */
export interface Handed {
  readonly bytes: number
  readonly sha256: string
  /** A piece at a time. */
  readonly content: () => AsyncGenerator<Buffer>
}

/** @throws ExecutorError NOT_FINISHED, FILE_NOT_FOUND, FILE_NOT_KEPT */
export async function readArtifact(
  services: ReadServices,
  id: string,
  name: ArtifactName,
  caller: Caller,
): Promise<Handed> {
  const { state, outcome } = await requireExecution(services, id, caller)
  if (!isTerminal(state))
    throw new ExecutorError('NOT_FINISHED', {
      detail: `The execution is ${toStatus(state)}; its ${name} is available when it has ended.`,
    })
  if (!outcome?.repository)
    throw new ExecutorError('FILE_NOT_FOUND', {
      detail: `There is no ${name}: the execution ran on no repository, or was not committed.`,
    })
  const artifact = await fromStore(services.files.readArtifact(id, name))
  if (!artifact)
    throw new ExecutorError('FILE_NOT_KEPT', {
      detail:
        outcome.repository.commits === 0
          ? `There is no ${name}: nothing was committed.`
          : `The ${name} was not kept: the store did not accept it.`,
    })
  if ('notKept' in artifact)
    throw new ExecutorError('FILE_NOT_KEPT', {
      detail: `The ${name} was not kept: ${REASONS[artifact.notKept]}.`,
    })
  const { bytes, sha256 } = artifact
  return { bytes, sha256, content: () => services.files.readContent(id, { sha256, start: 0, end: bytes }) }
}
