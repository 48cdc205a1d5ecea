import { isDeepStrictEqual } from 'node:util'
import { listUpTo } from '../client/list-up-to.js'
import { toCheckedExecution } from '../protocol/checked-execution.js'
import type { Event } from '../protocol/events.js'
import { isTerminal, type Execution } from '../protocol/execution.js'
import type { VerificationReport } from '../protocol/tools.js'
import type { Verification } from '../protocol/verification.js'
import type { ToolService } from './service-access.js'
import type { ToolAnswer } from './tool-result.js'

const NOT_CHECKED = [
  'Whether the answer is right: no test was run and no file was examined beyond the checks named here.',
  'Whether the log is what was first written: that is what its signed receipt shows (cc-executor ' +
    'receipt, cc-executor verify), which this call does not check.',
]

const toChecks = ({ status, checks }: Verification = { status: 'none', checks: [] }): string =>
  checks.length === 0
    ? `${status}.`
    : `${status} ` +
      `(${checks.map((check) => `${check.name} ${check.status}${check.status === 'fail' ? `: ${check.detail}` : ''}`).join('; ')}).`

const toEnding = (outcome: Execution['outcome']): string =>
  [
    outcome?.code === undefined ? '' : ` (${outcome.code}: ${outcome.message ?? ''})`,
    outcome?.exitCode === undefined ? '' : `, exit code ${outcome.exitCode}`,
    outcome?.signal === undefined ? '' : `, signal ${outcome.signal}`,
  ].join('')

/** The newest executions, each with what was checked of it. @throws ClientError */
export async function verifyLast(client: ToolService, count: number, signal: AbortSignal): Promise<ToolAnswer> {
  const { executions } = await listUpTo(client, count, {}, signal)
  const checked = executions.map(toCheckedExecution)
  const lines = checked.map(
    ({ executionId, status, code, finishedAt, verification, simulated }) =>
      `${executionId} ${finishedAt ?? '(not ended)'} ` +
      `${status}${code === undefined ? '' : ` (${code})`}. Checks: ` +
      `${toChecks(verification)}${simulated ? ' A scripted model answered.' : ''}`,
  )
  return {
    structured: { executions: checked },
    text: lines.length === 0 ? 'There are no executions yet.' : lines.join('\n'),
  }
}

type LogReport = VerificationReport['log']

/** Reads the log from its beginning up to the seq that the execution names. */
async function readLog(
  client: ToolService,
  { id, lastSeq, status, outcome, usage }: Execution,
  signal: AbortSignal,
): Promise<LogReport> {
  let eventsRead = 0
  let previous = 0
  let hasGap = false
  let truncatedBytes = 0
  let last: Event | undefined
  if (lastSeq > 0) {
    for await (const event of client.follow(id, { signal })) {
      eventsRead += 1
      hasGap ||= event.seq !== previous + 1
      previous = event.seq
      last = event
      if (event.type === 'log.truncated') truncatedBytes += (event as Event<'log.truncated'>).data.droppedBytes
      if (event.seq >= lastSeq) break
    }
  }
  const isRead = previous >= lastSeq
  const isFinished = isTerminal(status)
  const isEnded = last?.type === 'execution.finished'
  // Safe: its type has just been looked at.
  const isSameOutcome = isEnded
    ? isDeepStrictEqual((last as Event<'execution.finished'>).data, { outcome, usage })
    : undefined
  const isWhole = isRead && !hasGap && isEnded && isSameOutcome === true
  const counted = `${eventsRead} of ${lastSeq} events were read`
  const message = !isRead
    ? `${counted} in the time of one call, ${hasGap ? 'with a gap' : 'without a gap so far'}; the rest was ` +
      'not checked.'
    : hasGap
      ? `${counted}, and there is a gap between them.`
      : !isFinished
        ? `${counted}, without a gap; the execution has not ended.`
        : !isEnded
          ? `${counted}, without a gap, but the last one is not execution.finished.`
          : isSameOutcome !== true
            ? `${counted}, without a gap, but the last one has another outcome than the execution.`
            : `${counted}, 1 to ${lastSeq} without a gap; the last one is execution.finished and has the same ` +
              'outcome and usage as the execution.'
  return {
    isWhole,
    lastSeq,
    eventsRead,
    hasGap,
    isEnded,
    isSameOutcome,
    truncatedBytes,
    message,
  }
}

/** What is known by other ways than the model's own words, and what is not. @throws ClientError */
export async function verifyExecution(
  client: ToolService,
  executionId: string,
  signal: AbortSignal,
): Promise<ToolAnswer> {
  const execution = await client.get(executionId)
  const { id, status, outcome, usage, simulated } = execution
  const log = await readLog(client, execution, signal)
  const { result: _result, ...summary } = outcome ?? {}
  const isFinished = isTerminal(status)
  const report: VerificationReport = {
    executionId: id,
    status,
    isFinished,
    simulated,
    // Safe: what is left of the outcome without its result.
    outcome: outcome && (summary as VerificationReport['outcome']),
    usage,
    log,
    notChecked: NOT_CHECKED,
  }
  const denials = outcome?.permissionDenials ?? []
  const lines = [
    isFinished ? `Outcome: ${status}${toEnding(outcome)}.` : `It has not ended: ${status}.`,
    ...(isFinished ? [`Checks: ${toChecks(outcome?.verification)}`] : []),
    ...(isFinished
      ? [
          denials.length === 0
            ? 'No tool call was denied.'
            : `Denied tool calls: ${denials.map(({ tool }) => tool).join(', ')}.`,
        ]
      : []),
    `Usage: ${usage.inputTokens} tokens in, ${usage.outputTokens} out, ${usage.turns} turns, ` +
      `${(usage.durationMs / 1_000).toFixed(1)} s, $${usage.costUsd.toFixed(4)} by the CLI's ` +
      `estimate${simulated ? ' (simulated: a scripted model answered)' : ''}.`,
    `Log: ${log.isWhole ? 'whole. ' : ''}${log.message}` +
      (log.truncatedBytes > 0 ? ` According to the log, ${log.truncatedBytes} bytes of output were dropped.` : ''),
    ...NOT_CHECKED.map((sentence) => `Not checked: ${sentence}`),
  ]
  return { structured: report, text: lines.join('\n') }
}
