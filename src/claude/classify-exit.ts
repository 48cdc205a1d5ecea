import type { Outcome, OutcomeCode, TerminalStatus, Unfinished } from '../protocol/execution.js'
import type { BackgroundTask } from '../protocol/events.js'
import { shorten } from './json-shape.js'
import type { ClaudeResult, Observation } from './observation.js'
import type { RunRequest } from './run-request.js'
import { GET_NEWER, readVersionRefusal } from './supported-versions.js'
import { findNoEnd } from './stop-reasons.js'

/** Why the run was ended from our side: the first cause, recorded once. */
export interface StopCause {
  readonly code: OutcomeCode
  readonly status: TerminalStatus
  readonly message: string
}

/** Of an answer in JSON mode. */
export type Judgement =
  | { readonly kind: 'valid'; readonly value: Record<string, unknown> }
  /** `raw` is the answer as it was given. */
  | { readonly kind: 'invalid'; readonly faults: readonly string[]; readonly raw: string }

export interface ClaudeExit {
  readonly observation: Observation
  /** Without code and signal where the service ended it after its answer. */
  readonly exit: { readonly exitCode?: number | null | undefined; readonly signal?: string | null | undefined }
  readonly stopCause?: StopCause | undefined
  /** Background tasks that lived at the end. */
  readonly unfinishedTasks?: readonly BackgroundTask[]
  /** They were ended with the answer, as the request says. */
  readonly endedWithTasks?: boolean
  readonly stderrTail: string
  readonly run: RunRequest
  /** JSON mode: what an answer is worth. */
  readonly judge?: ((result: ClaudeResult) => Judgement) | undefined
  /** What else there is to say of it, whatever the outcome. */
  readonly notes?: readonly string[]
  /** Paths of the host which a message must not show, and what stands for them. */
  readonly paths?: { readonly workspace?: string; readonly home?: string; readonly tmpDir?: string }
}

interface Failure {
  readonly code: OutcomeCode
  readonly requiredVersion?: string
  readonly message: string
}

const STDERR_SHOWN = 2_000

/**
 * What happened, from everything that is known of a run which has ended. The order decides: the first cause from our
 * side, then the CLI's last `result`, then its exit. Success is a `result` that says `is_error: false` and nothing
 * else: the CLI exits 0 without having done anything, and calls an API error "success" (shared/facts/claude-cli.md).
 */
export function classifyExit(input: ClaudeExit): Outcome {
  const outcome = classify(input)
  const notes = [...(input.notes ?? []), ...input.observation.notices.sentences]
  return notes.length === 0 ? outcome : { ...outcome, message: [...(outcome.message === undefined ? [] : [outcome.message]), ...notes].join(' ') }
}

function classify(input: ClaudeExit): Outcome {
  const { observation, exit, stopCause, run } = input
  const common = {
    ...(typeof exit.exitCode === 'number' && { exitCode: exit.exitCode }),
    ...(typeof exit.signal === 'string' && { signal: exit.signal }),
    ...(observation.stopReason !== undefined && { stopReason: observation.stopReason }),
    ...toUnfinished(input),
    ...(observation.denials.length > 0 && { permissionDenials: [...observation.denials] }),
  }
  const result = observation.lastResult
  const answer = result?.isError === false ? (result.text ?? observation.partialText) : observation.partialText
  const partial = answer === '' ? {} : { result: answer, isPartial: true }

  if (stopCause !== undefined) return { status: stopCause.status, code: stopCause.code, message: stopCause.message, ...common, ...partial }

  if (result?.isError === false) {
    const hasAnswer = (result.text ?? '') !== '' || result.structuredOutput !== undefined
    const unfinished = classifyDeath(input) ?? findNoEnd(observation, hasAnswer) ?? describeLostTasks(input)
    if (unfinished !== undefined) return { status: 'failed', ...unfinished, ...common, ...partial }
    if (run.onPermissionDenied === 'fail' && observation.denials.length > 0) return { status: 'failed', ...describeDenials(observation), ...common, result: answer }
    const judgement = input.judge?.(result)
    if (judgement?.kind === 'invalid') return { status: 'failed', ...describeFaults(judgement.faults), ...common, ...(judgement.raw !== '' && { result: judgement.raw, isPartial: true }) }
    const remark = result.isCut === true ? describeCut(answer) : answer === '' && judgement === undefined ? 'Claude finished, and its answer is empty.' : undefined
    if (judgement?.kind === 'valid') return { status: 'succeeded', ...describeSuccess(input, remark), ...common, result: judgement.value }
    return { status: 'succeeded', ...describeSuccess(input, remark), ...common, result: answer, ...(result.isCut === true && { isPartial: true }) }
  }

  const apiStatus = result === undefined ? undefined : apiStatusOf(result)
  const noEnd: Failure | undefined = result?.subtype === 'success' ? findNoEnd(observation, true) : undefined
  const failure = noEnd ?? (result === undefined ? classifySilentExit(input) : classifyResult(result, apiStatus, observation))
  if (result?.isWholeAtLimit === true && input.judge === undefined) return { status: 'failed', code: failure.code, message: `${failure.message} The answer had been given by then: it is whole.`, ...common, result: answer }
  const kept = failure.code === 'OUTPUT_INVALID' && observation.structuredAttempt !== undefined ? { result: JSON.stringify(observation.structuredAttempt), isPartial: true } : partial
  return { status: 'failed', code: failure.code, message: hidePaths(failure.message, input.paths), ...(apiStatus !== undefined && { apiStatus }), ...(failure.requiredVersion !== undefined && { requiredVersion: failure.requiredVersion }), ...common, ...kept }
}

function describeCut(answer: string): string {
  const kept = answer === '' ? 'none of it was streamed, so nothing of it is kept' : `the first ${answer.length} characters are kept`
  return `Claude finished, and its answer is longer than a line of the CLI may be here (CC_EXECUTOR_LINE_LIMIT_BYTES): ${kept}.`
}

const UNFINISHED_SHOWN = 50

function toUnfinished({ unfinishedTasks = [], observation }: ClaudeExit): { unfinished?: Unfinished[] } {
  const tasks = unfinishedTasks.map(({ id, description, kind }): Unfinished => ({ kind: 'task', id, description: description || kind }))
  const calls = observation.unansweredCalls.map(({ id, description }): Unfinished => ({ kind: 'tool_call', id, description }))
  const unfinished = [...tasks, ...calls].slice(0, UNFINISHED_SHOWN)
  return unfinished.length === 0 ? {} : { unfinished }
}

/**
 * The CLI was gone by a signal or an error after a `result` of success, and not by our doing. A process of the run can write
 * such a line and end the CLI; whoever wrote it, the run did not come to its end.
 */
function classifyDeath({ exit: { exitCode, signal: killedBy }, stderrTail }: ClaudeExit): Failure | undefined {
  const signal = killedBy ?? SIGNALS[exitCode ?? 0]
  const after = 'after it had given a result, which may not be its last one. Its effects so far are kept; look at them before you run it again.'
  if (typeof signal === 'string') return { code: 'CLAUDE_SIGNALLED', message: `Claude was ended from outside by ${signal} ${after}${tellStderr(stderrTail)}` }
  if (typeof exitCode !== 'number' || exitCode === 0) return undefined
  return { code: 'CLAUDE_EXITED', message: `Claude exited with code ${exitCode} ${after}${tellStderr(stderrTail)}` }
}

const countTasks = (count: number): string => (count === 1 ? '1 background task' : `${count} background tasks`)

function describeLostTasks({ unfinishedTasks = [], endedWithTasks }: ClaudeExit): Failure | undefined {
  if (unfinishedTasks.length === 0 || endedWithTasks) return undefined
  return { code: 'BACKGROUND_UNFINISHED', message: `Claude exited while ${countTasks(unfinishedTasks.length)} had not finished; what was done until then is kept.` }
}

function describeSuccess({ observation: { lostResults }, unfinishedTasks = [] }: ClaudeExit, remark: string | undefined): { message?: string } {
  const said = [
    ...(remark === undefined ? [] : [remark]),
    ...(unfinishedTasks.length > 0 ? [`${countTasks(unfinishedTasks.length)} had not finished and ended with the answer (backgroundTimeoutSeconds: 0).`] : []),
    ...(lostResults > 0 ? [`${lostResults} results of turns before the last one were lost; usage may be incomplete.`] : []),
  ]
  return said.length === 0 ? {} : { message: said.join(' ') }
}

function describeFaults(faults: readonly string[]): Failure {
  return { code: 'OUTPUT_INVALID', message: `Claude's answer does not match the schema that was asked for: ${shorten(faults.join('; '), 1_000)}. The answer is kept as it was given.` }
}

function describeDenials({ denials }: Observation): Failure {
  const settings = [...new Set(denials.map(({ tool, allowWith }) => `${tool}: ${allowWith}`))]
  return {
    code: 'PERMISSION_DENIED',
    message: `Claude was refused ${denials.length === 1 ? 'a tool call' : `${denials.length} tool calls`}, and the request says that this is a failure. To allow: ${shorten(settings.join('; '), 1_000)}.`,
  }
}

/** The CLI names no status for some errors (529 among them in places) but writes it into the text. */
function apiStatusOf({ apiStatus, text = '' }: ClaudeResult): number | undefined {
  if (typeof apiStatus === 'number') return apiStatus
  const written = /API Error: (?:Request rejected \()?([45]\d\d)\b/.exec(text)?.[1]
  return written === undefined ? undefined : Number(written)
}

function classifyResult(result: ClaudeResult, apiStatus: number | undefined, observation: Observation): Failure {
  const said = result.text ?? result.errors?.join('; ') ?? ''
  switch (result.subtype) {
    case 'error_max_turns':
      return { code: 'MAX_TURNS', message: `Claude needed more turns than allowed (${said || 'maxTurns'}). Raise maxTurns, or ask for less at once.` }
    case 'error_max_budget_usd':
      return { code: 'BUDGET_EXCEEDED', message: `Claude reached the budget of this run (${said || 'maxBudgetUsd'}). Raise maxBudgetUsd, or ask for less at once.` }
    case 'error_max_structured_output_retries':
      return describeFaults([said || 'it was refused five times'])
    case 'error_during_execution':
      if (result.startupFailure !== undefined) return describeStartupFailure(result.startupFailure, said)
      return { code: 'CLAUDE_EXITED', message: `Claude ended before it had finished${result.terminalReason === undefined ? '' : ` (${result.terminalReason})`}${said === '' ? '' : `: ${said}`}. Try again; what it did before is kept.` }
    default:
      return classifyApiError(said, apiStatus, result, observation)
  }
}

/** Reasons that are about the account or its organisation: another credential is needed. */
const SIGN_IN = /^(?:org_(?!config_required)|gateway_)/

/** `startup_failure_reason` of 2.1.332 and its like: the CLI refused to start, and no call was made. */
function describeStartupFailure(reason: string, said: string): Failure {
  const message = `Claude refused to start (${shorten(reason, 100)})${said === '' ? '' : `: ${shorten(said, 1_000)}`}.`
  return SIGN_IN.test(reason)
    ? { code: 'CLAUDE_NOT_AUTHENTICATED', message: `${message} The operator signs in again, or sets another credential.` }
    : { code: 'CLAUDE_EXITED', message: `${message} The operator repairs that on the worker's host; \`cc-executor doctor\` checks the installation.` }
}

function classifyApiError(said: string, apiStatus: number | undefined, { terminalReason }: ClaudeResult, observation: Observation): Failure {
  const { apiError, rateLimit } = observation
  const quoted = said === '' ? '' : `: ${shorten(said, 1_000)}`
  const refusal = readVersionRefusal(said)
  if (refusal !== undefined) {
    const needed = refusal.requiredVersion === undefined ? 'a newer one' : `version ${refusal.requiredVersion} or newer`
    return { code: 'CLAUDE_TOO_OLD', ...refusal, message: `The worker's Claude CLI is too old for this model, which wants ${needed}${quoted} To get one: ${GET_NEWER}; then restart the worker. Or ask for another model.` }
  }
  if (apiError === 'authentication_failed' || apiStatus === 401 || isAboutLogin(said)) {
    return { code: 'CLAUDE_NOT_AUTHENTICATED', message: `Claude did not accept the worker's credentials${quoted}. The operator sets ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN (\`claude setup-token\`), or logs in again.` }
  }
  if (apiError === 'rate_limit' || apiStatus === 429 || rateLimit !== undefined) {
    const until = rateLimit?.resetsAt === undefined ? 'later' : `after ${new Date(rateLimit.resetsAt * 1000).toISOString()}`
    return { code: 'CLAUDE_RATE_LIMITED', message: `Claude's rate limit was reached${quoted}. Try again ${until}.` }
  }
  if (apiStatus === 529 || /\boverloaded\b/i.test(said)) {
    return { code: 'CLAUDE_OVERLOADED', message: `Claude is overloaded${quoted}. Try again later, or set fallbackModel.` }
  }
  if (terminalReason === 'prompt_too_long' || apiStatus === 413 || /prompt is too long|request too large/i.test(said)) {
    return { code: 'CONTEXT_TOO_LONG', message: `The conversation is longer than the model takes${quoted}. Give less at once, or a model with a larger context.` }
  }
  if (apiError === 'model_not_found') return { code: 'CLAUDE_EXITED', message: `Claude does not know this model, or the account may not use it${quoted} Choose another model.` }
  if (apiError === 'billing_error') return { code: 'CLAUDE_EXITED', message: `Claude refused for reasons of billing${quoted}. The operator checks the account's credit.` }
  const advice = apiStatus !== undefined && apiStatus >= 500 ? ' Try again later.' : ' See the events of the execution for what came before.'
  return { code: 'CLAUDE_EXITED', message: `Claude reported an error${quoted || '.'}${advice}` }
}

function isAboutLogin(text: string): boolean {
  return /^(?:Not logged in|Invalid API key|Failed to authenticate|OAuth token (?:has expired|revoked))|Please run \/login/m.test(text)
}

/** The numbers by which shells and wrappers tell of a signal. */
const SIGNALS: Readonly<Record<number, string>> = { 129: 'SIGHUP', 130: 'SIGINT', 131: 'SIGQUIT', 134: 'SIGABRT', 137: 'SIGKILL', 139: 'SIGSEGV', 143: 'SIGTERM' }

function classifySilentExit({ exit, stderrTail, observation }: ClaudeExit): Failure {
  const errors = tellStderr(stderrTail)
  const signal = exit.signal ?? SIGNALS[exit.exitCode ?? 0]
  if (typeof signal === 'string') {
    const hint = signal === 'SIGKILL' ? ' The host may have run out of memory.' : ''
    return { code: 'CLAUDE_SIGNALLED', message: `Claude was ended from outside by ${signal} before it gave a result.${hint} Its effects so far are kept; try again.${errors}` }
  }
  if (isAboutLogin(stderrTail)) {
    return { code: 'CLAUDE_NOT_AUTHENTICATED', message: `Claude has no valid credentials. The operator sets ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN (\`claude setup-token\`), or logs in.${errors}` }
  }
  if (exit.exitCode === 0) {
    const cause = observation.turnActive || observation.results > 0 ? '' : ' It does so when its temporary folder cannot be used; the operator checks the data folder.'
    return { code: 'CLAUDE_EXITED', message: `Claude exited with code 0 but gave no result, so it is not known to have done anything.${cause}${errors}` }
  }
  const code = typeof exit.exitCode === 'number' ? ` with code ${exit.exitCode}` : ''
  return { code: 'CLAUDE_EXITED', message: `Claude exited${code} before it gave a result.${errors || ' It wrote nothing on standard error; `cc-executor doctor` checks the installation.'}` }
}

/** The end of standard error without keys: the CLI may print parts of its environment or of its own source there. */
function tellStderr(stderrTail: string): string {
  const text = stderrTail.trim().slice(-STDERR_SHOWN).replaceAll(/\bsk-[\w-]{8,}/g, 'sk-…')
  return text === '' ? '' : ` Standard error ended with: ${text.isWellFormed() ? text : text.slice(1)}`
}

function hidePaths(message: string, paths: ClaudeExit['paths']): string {
  const names = [
    [paths?.workspace, '<workspace>'],
    [paths?.tmpDir, '<tmp>'],
    [paths?.home, '<home>'],
  ] as const
  // The longest first: a workspace may lie inside another of these folders.
  const known = names.flatMap(([path, name]) => (path === undefined || path.length < 2 ? [] : [{ path, name }])).sort((left, right) => right.path.length - left.path.length)
  return known.reduce((text, { path, name }) => text.replaceAll(path, name), message)
}
