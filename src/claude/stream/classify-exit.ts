import { toRemedy } from '../../protocol/denials.js'
import type { Outcome, OutcomeCode, TerminalStatus, Unfinished } from '../../protocol/execution.js'
import type { BackgroundTask } from '../../protocol/events.js'
import { shorten } from '../json-shape.js'
import { countTasks } from './background-tasks.js'
import type { ClaudeResult, Earlier, Observation } from './observation.js'
import type { RunRequest } from '../command/run-request.js'
import { classifyDeath, classifySilentExit, type Death } from './classify-death.js'
import { apiStatusOf, classifyResult, describeFaults, GAVE_UP, type Failure } from './classify-result.js'
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
  /** `raw` is the answer as it was given; `isUnchecked`: the faults say why nobody knows whether it is right. */
  | {
      readonly kind: 'invalid'
      readonly faults: readonly string[]
      readonly isUnchecked?: boolean
      readonly raw: string
    }

/** `exit` is without code and signal where the service ended it after its answer. */
export interface ClaudeExit extends Death {
  readonly stopCause?: StopCause | undefined
  /** Background tasks that lived at the end. */
  readonly unfinishedTasks?: readonly BackgroundTask[]
  /** They were ended with the answer, as the request says. */
  readonly endedWithTasks?: boolean
  readonly run: RunRequest
  /** JSON mode: what an answer is worth. */
  readonly judge?: ((result: ClaudeResult) => Judgement) | undefined
  /** What else there is to say of it, whatever the outcome. */
  readonly notes?: readonly string[]
  /** Paths of the host which a message must not show, and what stands for them. */
  readonly paths?: {
    readonly workspace?: string
    readonly home?: string
    readonly tmpDir?: string
    readonly input?: string
  }
}

/**
 * What happened, from everything that is known of a run which has ended. The order decides: the first cause from our
 * side, then the CLI's last `result`, then its exit. Success is a `result` that says `is_error: false` and nothing
 * else: the CLI exits 0 without having done anything, and calls an API error "success" (shared/facts/claude-cli.md).
 */
export function classifyExit(input: ClaudeExit): Outcome {
  const outcome = classify(input)
  const notes = [...(input.notes ?? []), ...input.observation.notices.sentences]
  return notes.length === 0
    ? outcome
    : { ...outcome, message: [...(outcome.message === undefined ? [] : [outcome.message]), ...notes].join(' ') }
}

/** An answer that is not the whole one; without a text none. */
const toPartial = (text: string): Pick<Outcome, 'result' | 'isPartial'> =>
  text === '' ? {} : { result: text, isPartial: true }

function classify(input: ClaudeExit): Outcome {
  const { observation, exit, stopCause, run } = input
  const common = {
    exitCode: exit.exitCode ?? undefined,
    signal: exit.signal ?? undefined,
    stopReason: observation.stopReason,
    ...toUnfinished(input),
    ...toDenials(observation),
  }
  const result = observation.lastResult
  const answer = result?.isError === false ? (result.text ?? observation.partialText) : observation.partialText
  const partial = toPartial(answer)

  if (stopCause !== undefined)
    return { status: stopCause.status, code: stopCause.code, message: stopCause.message, ...common, ...partial }

  if (result?.isError === false) {
    const hasAnswer = (result.text ?? '') !== '' || result.structuredOutput !== undefined || result.isCut === true
    const unfinished = classifyDeath(input) ?? findNoEnd(observation, hasAnswer) ?? describeLostTasks(input)
    if (unfinished !== undefined)
      return {
        status: 'failed',
        ...unfinished,
        ...common,
        ...toPartial(unfinished.code === 'HOOK_VETOED' ? '' : answer),
      }
    if (run.onPermissionDenied === 'fail' && observation.denialCount > 0)
      return { status: 'failed', ...describeDenials(observation), ...common, result: answer }
    const judgement = input.judge?.(result)
    if (judgement?.kind === 'invalid')
      return {
        status: 'failed',
        ...describeFaults(judgement.faults, judgement.isUnchecked),
        ...common,
        ...toPartial(judgement.raw),
      }
    const remark =
      result.isCut === true
        ? describeCut(answer)
        : answer === '' && judgement === undefined
          ? 'Claude finished, but its answer is empty.'
          : undefined
    if (judgement?.kind === 'valid')
      return { status: 'succeeded', ...describeSuccess(input, remark), ...common, result: judgement.value }
    return {
      status: 'succeeded',
      ...describeSuccess(input, remark),
      ...common,
      result: answer,
      isPartial: result.isCut === true || undefined,
    }
  }

  const apiStatus = result === undefined ? undefined : apiStatusOf(result)
  const noEnd: Failure | undefined = result?.subtype === 'success' ? findNoEnd(observation, true) : undefined
  const failure =
    noEnd ??
    (result === undefined
      ? classifySilentExit(input)
      : (classifyRefused(input, result) ?? classifyResult(result, apiStatus, observation)))
  if (result?.isWholeAtLimit === true && input.judge === undefined)
    return {
      status: 'failed',
      code: failure.code,
      message: `${failure.message} The answer was complete by then.`,
      ...common,
      result: answer,
    }
  const kept =
    failure.code === 'OUTPUT_INVALID' && observation.structuredAttempt !== undefined
      ? { result: JSON.stringify(observation.structuredAttempt), isPartial: true }
      : partial
  return {
    status: 'failed',
    code: failure.code,
    message: hidePaths(failure.message, input.paths),
    apiStatus,
    requiredVersion: failure.requiredVersion,
    ...common,
    ...kept,
  }
}

/** The faults of the call that the CLI refused last. Where the CLI sees one that we do not, its own words stand. */
function classifyRefused({ judge }: ClaudeExit, result: ClaudeResult): Failure | undefined {
  if (result.subtype !== GAVE_UP) return undefined
  const judgement = judge?.(result)
  if (judgement?.kind !== 'invalid' || judgement.isUnchecked === true) return undefined
  return describeFaults([...judgement.faults, 'the CLI refused it five times'])
}

function describeCut(answer: string): string {
  const kept =
    answer === '' ? 'none of it was streamed, so nothing is kept' : `the first ${answer.length} characters are kept`
  return (
    'Claude finished, but its answer exceeds the maximum length of a line of the CLI ' +
    `(CC_EXECUTOR_LINE_LIMIT_BYTES): ${kept}.`
  )
}

/** As an outcome tells them: the first ones, and how many there were where that is more. */
export function toDenials({
  denials,
  denialCount,
}: Pick<Earlier, 'denials' | 'denialCount'>): Pick<Outcome, 'permissionDenials' | 'permissionDenialCount'> {
  if (denialCount === 0) return {}
  return {
    permissionDenials: [...denials],
    permissionDenialCount: denialCount > denials.length ? denialCount : undefined,
  }
}

const UNFINISHED_SHOWN = 50

function toUnfinished({ unfinishedTasks = [], observation }: ClaudeExit): { unfinished?: Unfinished[] } {
  const tasks = unfinishedTasks.map(({ id, description, kind }): Unfinished => ({
    kind: 'task',
    id,
    description: description || kind,
  }))
  const calls = observation.unansweredCalls.map(({ id, description }): Unfinished => ({
    kind: 'tool_call',
    id,
    description,
  }))
  const unfinished = [...tasks, ...calls].slice(0, UNFINISHED_SHOWN)
  return unfinished.length === 0 ? {} : { unfinished }
}

function describeLostTasks({ unfinishedTasks = [], endedWithTasks }: ClaudeExit): Failure | undefined {
  if (unfinishedTasks.length === 0 || endedWithTasks) return undefined
  return {
    code: 'BACKGROUND_UNFINISHED',
    message: `Claude exited while ${countTasks(unfinishedTasks.length)} had not finished; what was done until then is kept.`,
  }
}

function describeSuccess(
  { observation: { lostResults }, unfinishedTasks = [] }: ClaudeExit,
  remark: string | undefined,
): { message?: string } {
  const said = [
    ...(remark === undefined ? [] : [remark]),
    ...(unfinishedTasks.length > 0
      ? [
          `${countTasks(unfinishedTasks.length)} had not finished and ended with the answer (backgroundTimeoutSeconds: 0).`,
        ]
      : []),
    ...(lostResults > 0
      ? [
          `${lostResults === 1 ? '1 result of a turn' : `${lostResults} results of turns`} before the last one ` +
            `${lostResults === 1 ? 'was' : 'were'} lost; usage may be incomplete.`,
        ]
      : []),
  ]
  return said.length === 0 ? {} : { message: said.join(' ') }
}

function describeDenials({ denials, denialCount }: Observation): Failure {
  const remedies = [...new Set(denials.map(({ tool, allowWith }) => `${tool}: ${toRemedy(allowWith)}`))]
  return {
    code: 'PERMISSION_DENIED',
    message:
      `Claude was refused ${denialCount === 1 ? 'a tool call' : `${denialCount} tool calls`}, and the ` +
      `request treats this as a failure. ${shorten(remedies.join('. '), 1_000)}.`,
  }
}

function hidePaths(message: string, paths: ClaudeExit['paths']): string {
  const names = [
    [paths?.workspace, '<workspace>'],
    [paths?.tmpDir, '<tmp>'],
    [paths?.input, '<input>'],
    [paths?.home, '<home>'],
  ] as const
  // The longest first: a workspace may lie inside another of these folders.
  const known = names
    .flatMap(([path, name]) => (path === undefined || path.length < 2 ? [] : [{ path, name }]))
    .sort((left, right) => right.path.length - left.path.length)
  return known.reduce((text, { path, name }) => text.replaceAll(path, name), message)
}
