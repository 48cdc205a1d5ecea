import { serializeWithoutSeq } from '../../events/stored-event.js'
import { packJson } from '../../platform/packed-json.js'
import type { NewEvent } from '../../protocol/events.js'
import type { ClosingEvent, ConcludingArguments } from './record-scripts.js'
import type { ClosingApproval, Conclusion, Seal } from './transitions.js'

/** The last events of a log, in order, without their seqs. */
export function concludingEvents({ outcome, usage, finishedAt, attempt, cause, closing = [] }: Conclusion): string[] {
  const events: NewEvent[] = [
    ...closing.map(({ event }) => event),
    ...(cause ? [cause] : []),
    { type: 'execution.finished', data: { outcome, usage } },
  ]
  return events.map((event) => serializeWithoutSeq(event, finishedAt, attempt))
}

export const toClosingEvents = (closing: readonly ClosingApproval[], at: Date, attempt: number): ClosingEvent[] =>
  closing.map(({ id, event }) => ({ id, event: serializeWithoutSeq(event, at, attempt) }))

/** The result lies in a field of its own, so that lists need not load it. */
function concludingFields(
  { outcome: { result, ...outcome }, usage, finishedAt, durationSample, model }: Conclusion,
  seal: Seal | undefined,
): Record<string, string | undefined> {
  return {
    outcome: JSON.stringify(outcome),
    usage: JSON.stringify(usage),
    finishedAt: String(finishedAt.getTime()),
    result: typeof result === 'string' ? result : undefined,
    resultJson: typeof result === 'object' ? JSON.stringify(result) : undefined,
    paidBy: seal?.paidBy && JSON.stringify(seal.paidBy),
    model,
    activeMs: durationSample && String(Math.round(durationSample.activeMs)),
    // `lesson` is the name of the stored field, which workers of other versions read.
    lesson: durationSample && (durationSample.outcome === 'nothing' ? '' : durationSample.outcome),
  }
}

/** `which`: whose end it is, and by what right. */
export function concludingArguments<Which extends object>(
  which: Which,
  conclusion: Conclusion,
  seal: Seal | undefined,
  retentionMs: number,
): ConcludingArguments<Which> {
  const { closing = [], finishedAt, attempt } = conclusion
  const [event = '', cause] = concludingEvents({ ...conclusion, closing: [] }).toReversed()
  const args = {
    ...which,
    status: conclusion.outcome.status,
    fields: concludingFields(conclusion, seal),
    event,
    cause,
    closing: toClosingEvents(closing, finishedAt, attempt),
    retentionMs,
    figures: seal?.figures,
    seal: seal && { finishedSeq: seal.finishedSeq, keyId: seal.key.kid, jwk: JSON.stringify(seal.key) },
  }
  return [args, seal ? packJson(seal.receipt) : '', seal?.log ?? '']
}
