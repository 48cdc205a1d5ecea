import { NO_USAGE } from '../../protocol/execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { ConcludeAnswer, Conclusion, Ending, Seal } from '../store/transitions.js'
import type { LogReading } from './log-reading.js'
import type { SeenWaiting } from '../store/end-commands.js'
import { sealExecution, type Known, type Sealed } from './seal-execution.js'
import type { DomainServices } from '../services.js'

/**
 * By what right somebody concludes: as the holder of the fence, for one that nobody claimed or that is parked, for a
 * holder that died, or for a task list that is over, which its holder may conclude, if it has one. `holdListMs`: if
 * this is the end of a list's last task, the list is held for so long before its own end is written. `written`: the
 * log, where the holder has made all of it. `record`: of a queued one as it was read, which with its claim and log is
 * as it still is.
 */
export type ConcludeAs =
  | {
      readonly kind: 'holder'
      readonly fence: string
      readonly holdListMs?: number
      readonly written?: LogReading | undefined
    }
  | ({ readonly kind: 'queued'; readonly record?: ExecutionRecord } & SeenWaiting)
  | { readonly kind: 'abandoned' }
  | { readonly kind: 'list'; readonly fence?: string }

/**
 * `hasDropped`: messages were dropped, of which some may become follow-ups. `written`: what was stored where it was
 * concluded.
 */
type WrittenEnd = ConcludeAnswer & { readonly hasDropped: boolean; readonly written?: Sealed }

/** A log seldom moves between its reading and its end: only while nobody holds its fence. */
const TRIES = 5

/**
 * The only writer of a terminal state: status, outcome, receipt and `execution.finished` in one atomic step, which also
 * revokes the fence. A second one is refused.
 */
export async function writeEnd(
  services: DomainServices,
  id: string,
  concludeAs: ConcludeAs,
  ending: Ending,
): Promise<WrittenEnd> {
  const conclusion: Conclusion = {
    ...ending,
    usage: ending.usage ?? NO_USAGE,
    finishedAt: new Date(await services.store.now()),
  }
  const begunAt = Date.now()
  const answer = await sealAndStore(services, id, concludeAs, conclusion)
  if (answer.kind !== 'concluded') return answer
  const trace = answer.written?.trace
  const { status, code, exitCode } = ending.outcome
  if (trace) {
    const attributes = { 'cc_executor.execution.id': id, 'cc_executor.execution.status': status }
    const error = status === 'succeeded' ? undefined : (code ?? status)
    services.tracing?.begin({ name: 'conclusion', parent: trace, at: begunAt, attributes }).end({ error })
  }
  services.logger.info(
    { executionId: id, attempt: ending.attempt, status, code, exitCode, durationMs: conclusion.usage.durationMs },
    'execution finished',
  )
  return answer
}

async function sealAndStore(
  services: DomainServices,
  id: string,
  concludeAs: ConcludeAs,
  conclusion: Conclusion,
): Promise<WrittenEnd> {
  let hasDropped = false
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const sealed = await sealExecution(services, id, conclusion, attempt === 0 ? knownOf(concludeAs) : {})
    if (!sealed) return { kind: 'refused', state: 'missing', hasDropped }
    const answer = await store(services, id, concludeAs, sealed.conclusion, sealed.seal)
    if (answer.kind !== 'moved') return { ...answer, hasDropped, written: sealed }
    // Perhaps because of messages that nobody has read.
    await dropMessages(services, id, concludeAs, conclusion)
    hasDropped = true
  }
  throw new Error(`The log of ${id} kept changing; its end could not be stored.`)
}

const knownOf = (concludeAs: ConcludeAs): Known =>
  concludeAs.kind === 'holder'
    ? { written: concludeAs.written }
    : { record: concludeAs.kind === 'queued' ? concludeAs.record : undefined }

/** Before the last event the log tells of each message that it was not delivered. */
async function dropMessages(
  { store }: DomainServices,
  id: string,
  concludeAs: ConcludeAs,
  { attempt, finishedAt, outcome }: Conclusion,
): Promise<void> {
  const { kind } = concludeAs
  // A task list takes none.
  if (kind === 'list') return
  const fence = kind === 'holder' ? concludeAs.fence : undefined
  const seen = kind === 'queued' ? { state: concludeAs.state, claim: concludeAs.claim?.toString() } : {}
  const reason = outcome.status === 'succeeded' ? 'ended' : outcome.status
  await store.dropMessages({ id, right: kind, fence, ...seen, at: finishedAt, attempt, reason })
}

function store(
  { store }: DomainServices,
  id: string,
  concludeAs: ConcludeAs,
  conclusion: Conclusion,
  seal: Seal,
): Promise<ConcludeAnswer> {
  switch (concludeAs.kind) {
    case 'holder':
      return store.conclude(id, concludeAs.fence, conclusion, seal)
    case 'queued':
      return store.concludeQueued(id, conclusion, seal, concludeAs)
    case 'abandoned':
      return store.concludeAbandoned(id, conclusion, seal)
    case 'list':
      return store.concludeList(id, concludeAs.fence, conclusion, seal)
  }
}
