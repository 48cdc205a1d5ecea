import { readTranscript, type Transcript, type TranscriptMark } from '../../claude/stream/transcript.js'
import type { ModelSums } from '../../claude/stream/usage-account.js'
import type { Outcome } from '../../protocol/execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'

/** The session that an execution goes on with, as it is found by the worker that is to begin. */
export type Source =
  | { readonly kind: 'found'; readonly sessionId: string; readonly mark: TranscriptMark; readonly sums?: ModelSums }
  | { readonly kind: 'missing'; readonly outcome: Outcome }

const MISSING: Outcome = {
  status: 'failed',
  code: 'SESSION_NOT_FOUND',
  message:
    'The session cannot continue: this worker has no transcript of it. Either Claude was stopped before ' +
    'it had written one, or the worker does not share the data folder of the one that ran it. Submit the ' +
    'whole task without session.',
}

const toMark = ({ answers, toolResults }: Transcript): TranscriptMark => ({
  answers: answers.size,
  toolResults: toolResults.size,
})

/** Looks for the session before the CLI does, which only says that it found none. */
export async function findSource(sessionId: string, configDir: string): Promise<Source> {
  const transcript = await readTranscript(configDir, sessionId)
  return transcript?.hasMessage === true
    ? { kind: 'found', sessionId, mark: toMark(transcript), sums: transcript.sums }
    : { kind: 'missing', outcome: MISSING }
}

const without = (all: ReadonlySet<string>, others: ReadonlySet<string>): Set<string> =>
  new Set([...all].filter((one) => !others.has(one)))
const after = (all: ReadonlySet<string>, count: number): Set<string> => new Set([...all].slice(count))

/**
 * What an execution itself has said and done in its session. The transcript holds what was before as well: a resumed
 * session's up to the mark that was kept when it began, a fork's as a copy of the session that it was forked from.
 */
export async function readOwnTranscript(
  { sessionId = '', source }: ExecutionRecord,
  configDir: string,
): Promise<Transcript | undefined> {
  const transcript = await readTranscript(configDir, sessionId)
  if (!transcript || !source) return transcript
  if (!source.isForked)
    return {
      ...transcript,
      answers: after(transcript.answers, source.mark?.answers ?? 0),
      toolResults: after(transcript.toolResults, source.mark?.toolResults ?? 0),
    }
  const origin = await readTranscript(configDir, source.sessionId)
  return origin
    ? {
        ...transcript,
        answers: without(transcript.answers, origin.answers),
        toolResults: without(transcript.toolResults, origin.toolResults),
      }
    : transcript
}
