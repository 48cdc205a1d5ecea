import type { Approval } from '../protocol/approvals.js'
import { toRemedy } from '../protocol/denials.js'
import { isTerminal, type Execution } from '../protocol/execution.js'
import type { ExecutionReport } from '../protocol/tools.js'
import type { ToolAnswer } from './tool-result.js'

/** What a client's model is shown of a result at once. Claude Code takes answers of 25,000 tokens. */
const RESULT_LIMIT_CHARACTERS = 24_000
const DENIALS_LIMIT = 10

/** A part of a text, not within a surrogate pair at its end. */
function cut(text: string, offset: number): string {
  return text
    .slice(offset, offset + RESULT_LIMIT_CHARACTERS)
    .replace(offset + RESULT_LIMIT_CHARACTERS < text.length ? /[\uD800-\uDBFF]$/ : /(?!)/, '')
}

const HEADLINES = {
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  timed_out: 'Timed out',
  queued: 'Still queued',
  running: 'Still running',
  paused: 'Paused',
  waiting_approval: 'Parked: it waits for a decision',
  waiting_budget: 'Parked: its budget is used up',
} as const

function toHeadline({ status, outcome, usage, simulated, waitingFor, parkedUntil, position }: Execution): string {
  const code = outcome?.code === undefined ? '' : ` (${outcome.code})`
  const reason = outcome?.message === undefined ? '' : `: ${outcome.message}`
  const facts = isTerminal(status)
    ? [`${(usage.durationMs / 1_000).toFixed(1)} s`, `${usage.turns} turn${usage.turns === 1 ? '' : 's'}`]
    : [
        ...(waitingFor === undefined || parkedUntil !== undefined ? [] : [`waiting for its ${waitingFor}`]),
        ...(parkedUntil === undefined ? [] : [`it ends at ${parkedUntil} unless it continues before`]),
        ...(position === undefined ? [] : [`place ${position}`]),
      ]
  const sentence = `${HEADLINES[status]}${code}${reason}`
  return [
    sentence.endsWith('.') ? sentence : `${sentence}.`,
    ...(facts.length > 0 ? [`${facts.join(', ')}.`] : []),
    ...(simulated ? [`A scripted model ${isTerminal(status) ? 'answered' : 'answers'}, not Claude.`] : []),
  ].join(' ')
}

/** What somebody must do first. */
const toDecision = ({ id, status, notBefore }: Execution): string =>
  status === 'waiting_budget'
    ? `${notBefore === undefined ? 'To continue it' : `It continues by itself at ${notBefore}; to continue it before`}, ` +
      `raise its budget: cc-executor budget ${id} --max-budget-usd USD, or PUT /executions/${id}/budget. `
    : ''

interface ReportOptions {
  readonly resultOffset?: number | undefined
  /** A sentence on how the waiting went. */
  readonly note?: string | undefined
  /** Those that are pending. */
  readonly approvals?: readonly Approval[]
}

const INPUT_SHOWN = 1_000

/** What waits for a decision, in a line or two. */
export const describeApproval = ({ id, kind, status, tool, input, executionId }: Approval): string =>
  `Approval ${id} (${status}) of execution ${executionId}: ${kind === 'tool' ? `the call of ${tool}` : kind} ` +
  JSON.stringify(input).slice(0, INPUT_SHOWN)

/** An execution for a tool's caller: who reads the text alone knows what happened and what to call next. */
export function reportExecution(
  execution: Execution,
  { resultOffset = 0, note, approvals = [] }: ReportOptions = {},
): ToolAnswer {
  const { request: _request, outcome, ...rest } = execution
  const { result: answer = '' } = outcome ?? {}
  const whole = typeof answer === 'string' ? answer : JSON.stringify(answer, undefined, 2)
  const result = cut(whole, resultOffset)
  const end = resultOffset + result.length
  const isPart = whole !== '' && result.length < whole.length
  const isFinished = isTerminal(execution.status)
  const next = !isFinished
    ? approvals.length > 0
      ? `It waits for a decision: call decide_approval with approvalId ${approvals[0]?.id ?? ''}, as the person who is responsible says.`
      : `${toDecision(execution)}Call wait_for_execution with executionId ${execution.id} to wait for its end.`
    : end < whole.length
      ? `The result has ${whole.length} characters; these are ${resultOffset} to ${end}. Call ` +
        `get_execution with executionId ${execution.id} and resultOffset ${end} for the next ones; ` +
        `cc-executor show ${execution.id} prints it whole.`
      : undefined
  const report: ExecutionReport = {
    ...rest,
    isFinished,
    outcome: outcome && { ...outcome, result: isPart ? result : outcome.result },
    resultLength: isPart ? whole.length : undefined,
    resultOffset: isPart ? resultOffset : undefined,
    note,
    approvals: approvals.length > 0 ? [...approvals] : undefined,
    next,
  }
  const denials = (outcome?.permissionDenials ?? [])
    .slice(0, DENIALS_LIMIT)
    .map(({ tool, allowWith }) => `Denied: ${tool}; ${toRemedy(allowWith)}`)
  const parts = [
    toHeadline(execution),
    ...(note === undefined ? [] : [note]),
    ...denials,
    ...approvals.map(describeApproval),
    `Execution ${execution.id}, workspace ${execution.workspace}.`,
    ...(outcome?.result === undefined ? [] : [`\n${outcome.isPartial === true ? '(partial) ' : ''}${result}\n`]),
    ...(next === undefined ? [] : [next]),
  ]
  return { structured: report, text: parts.join('\n') }
}
