import { isAbsolute, normalize, relative } from 'node:path'
import type { OutcomeCode } from '../protocol/execution.js'
import type { FileChange, Verification, VerificationCheck } from '../protocol/verification.js'
import type { Manifest } from './manifest.js'
import type { CheckCommandReport } from './run-check-command.js'

/** What the server saw of a run which has ended. */
export interface RunEvidence {
  readonly exitCode: number | undefined
  /** A `result` of success was seen. */
  readonly isSuccess: boolean
  readonly sessionId: string
  /** Every session id that stood in a message. */
  readonly sessionsSeen: readonly string[]
  /** Of what the settings deny; people's own denials are no fault of the run's. */
  readonly denials: number
  readonly deniedByPeople?: number
  /** Of the servers that the request named, as they were seen last. */
  readonly mcpServers: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly error?: string | undefined
  }>
  readonly toolResults: number
  /** Tool results whose call was not in the stream. */
  readonly unrecordedResults: number
  /** Lines that were too long to be read: a call may have been in one. */
  readonly unreadLines: number
  /** Calls without a result. */
  readonly unansweredCalls: readonly string[]
  /** Background tasks that ended by themselves. */
  readonly tasksEnded: number
  readonly unfinishedTasks: readonly string[]
  readonly stopReason: string | undefined
  /** Of the outcome; absent where the run succeeded. */
  readonly code: OutcomeCode | undefined
  /** The service had to end the CLI, which did not exit after its last result. */
  readonly wasForced: boolean
  /** It was ended after its answer before its own exit could be seen. */
  readonly endedAfterAnswer: boolean
  /** Results that were numbered and never came. */
  readonly lostResults: number
  readonly answer: string | Readonly<Record<string, unknown>> | undefined
  readonly isWhole: boolean
  readonly executionId: string
  /** JSON mode with the default schema: the answer names the execution. */
  readonly echoesId: boolean
  readonly hasSchema: boolean
  /** An earlier attempt has worked here: what it changed was there before this one. */
  readonly isContinued: boolean
  /** The workspace as the run knows it. */
  readonly workspace: string
  readonly before: Manifest
  readonly after: Manifest
  readonly changes: readonly FileChange[]
}

const SHOWN = 10
const listNames = (names: readonly string[]): string =>
  `${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''}`

const check = (name: VerificationCheck['name'], passes: boolean, detail: string): VerificationCheck => ({
  name,
  status: passes ? 'pass' : 'fail',
  detail,
})
const skip = (name: VerificationCheck['name'], detail: string): VerificationCheck => ({ name, status: 'skip', detail })

function checkExit({ exitCode, isSuccess }: RunEvidence): VerificationCheck {
  if (!isSuccess)
    return check(
      'process_exit',
      false,
      exitCode === undefined
        ? 'It did not produce a successful result.'
        : `Exit code ${exitCode}, and no successful result.`,
    )
  // The service ends a CLI that does not exit after its result, which then has no code.
  return check(
    'process_exit',
    exitCode === 0 || exitCode === undefined,
    `A successful result${exitCode === undefined ? '; it was ended after it' : ` and exit code ${exitCode}`}.`,
  )
}

function checkSession({ sessionId, sessionsSeen }: RunEvidence): VerificationCheck {
  if (sessionsSeen.length === 0) return skip('session', 'No message named a session.')
  const foreign = sessionsSeen.filter((seen) => seen !== sessionId)
  return check(
    'session',
    foreign.length === 0,
    foreign.length === 0
      ? 'Every message belongs to the requested session.'
      : `Messages of other sessions: ${listNames(foreign)}.`,
  )
}

function toObject(answer: RunEvidence['answer']): Readonly<Record<string, unknown>> | undefined {
  if (typeof answer === 'object') return answer
  try {
    const parsed: unknown = JSON.parse(answer ?? '')
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined
  } catch {
    return undefined
  }
}

/** Both hold already where the run succeeded: it would have failed with OUTPUT_INVALID else. */
function checkAnswer({ answer, isWhole, executionId, echoesId, hasSchema }: RunEvidence): VerificationCheck[] {
  if (!hasSchema) return []
  const echoed = toObject(answer)?.['execution_uuid']
  const matches = typeof answer === 'object' && isWhole
  return [
    ...(echoesId
      ? [
          check(
            'uuid_echo',
            echoed === executionId,
            echoed === executionId ? 'The answer names this execution.' : 'The answer does not name this execution.',
          ),
        ]
      : []),
    check('schema', matches, matches ? 'The answer matches its schema.' : 'The answer does not match its schema.'),
  ]
}

/** Files which the answer says were created or modified: an object with those lists says so, prose does not. */
function readClaims(answer: RunEvidence['answer']): string[] | undefined {
  const parsed = toObject(answer)
  if (parsed === undefined) return undefined
  const lists = ['files_created', 'files_modified'].flatMap((name) => {
    const list: unknown = Object.entries(parsed).find(([key]) => key === name)?.[1]
    return Array.isArray(list) ? [list.filter((path): path is string => typeof path === 'string')] : []
  })
  return lists.length === 0 ? undefined : lists.flat()
}

/** Relative to the workspace, as manifests name files. */
const toManifestPath = (path: string, workspace: string): string =>
  normalize(isAbsolute(path) ? relative(workspace, path) : path)

function checkClaims({ answer, isContinued, workspace, before, after, changes }: RunEvidence): VerificationCheck[] {
  const claims = readClaims(answer)
  if (claims === undefined)
    return [
      skip('claimed_files_exist', 'The answer names no files in a readable form.'),
      skip('unclaimed_changes', `${changes.length} files changed; nothing was claimed.`),
    ]
  const incomplete = before.incomplete ?? after.incomplete
  const present = new Set(after.entries.map(({ path }) => path))
  const changed = new Set(changes.map(({ path }) => path))
  const claimed = new Set(claims.map((path) => toManifestPath(path, workspace)))
  const absent = [...claimed].filter((path) => !present.has(path))
  const untouched = isContinued ? [] : [...claimed].filter((path) => present.has(path) && !changed.has(path))
  const unclaimed = [...changed].filter((path) => !claimed.has(path))
  const said = [
    absent.length > 0 ? `missing: ${listNames(absent)}` : '',
    untouched.length > 0 ? `present, but not changed by this run: ${listNames(untouched)}` : '',
  ].filter((part) => part !== '')
  const existence =
    said.length > 0 && incomplete !== undefined
      ? skip('claimed_files_exist', `The workspace was not examined completely (${incomplete}); ${said.join('; ')}.`)
      : check(
          'claimed_files_exist',
          said.length === 0,
          said.length === 0
            ? isContinued
              ? `All ${claimed.size} claimed files exist.`
              : `All ${claimed.size} claimed files exist and have changed.`
            : `Claimed, but ${said.join('; ')}.`,
        )
  return [
    existence,
    {
      name: 'unclaimed_changes',
      status: 'skip',
      detail:
        unclaimed.length === 0
          ? 'Nothing changed that was not claimed.'
          : `Changed without being claimed: ${listNames(unclaimed)}.`,
    },
  ]
}

function checkToolCalls({
  toolResults,
  unrecordedResults,
  unreadLines,
  unansweredCalls,
}: RunEvidence): VerificationCheck {
  if (unansweredCalls.length > 0) {
    if (unreadLines > 0)
      return skip(
        'tool_calls_recorded',
        `${unansweredCalls.length} calls without a result; ${unreadLines} lines were too long to be read.`,
      )
    return check('tool_calls_recorded', false, `Tool calls without a result: ${listNames(unansweredCalls)}.`)
  }
  if (toolResults === 0) return skip('tool_calls_recorded', 'No tool was called.')
  if (unrecordedResults > 0 && unreadLines > 0)
    return skip(
      'tool_calls_recorded',
      `${unrecordedResults} results without a call; ${unreadLines} lines were too long to be read.`,
    )
  return check(
    'tool_calls_recorded',
    unrecordedResults === 0,
    unrecordedResults === 0
      ? `All ${toolResults} tool results have their call.`
      : `${unrecordedResults} of ${toolResults} tool results have no call in the stream.`,
  )
}

function checkBackgroundTasks({ tasksEnded, unfinishedTasks }: RunEvidence): VerificationCheck {
  if (unfinishedTasks.length > 0)
    return check('background_tasks', false, `Not finished when the run ended: ${listNames(unfinishedTasks)}.`)
  return tasksEnded === 0
    ? skip('background_tasks', 'There was no background task.')
    : check(
        'background_tasks',
        true,
        `${tasksEnded === 1 ? 'The background task' : `All ${tasksEnded} background tasks`} had finished ` +
          'before the end of the run.',
      )
}

function checkFinished({
  isSuccess,
  code,
  stopReason,
  wasForced,
  endedAfterAnswer,
  lostResults,
}: RunEvidence): VerificationCheck {
  const reason = stopReason === undefined ? '' : ` (stop reason ${stopReason})`
  const lost =
    lostResults === 0
      ? ''
      : ` ${lostResults === 1 ? '1 result before the last one was' : `${lostResults} results before the last one were`} lost.`
  if (!isSuccess || code !== undefined) return check('finished', false, `The run did not end normally${reason}.${lost}`)
  if (wasForced)
    return check('finished', false, `The CLI did not exit after its last result${reason} and was stopped.${lost}`)
  if (endedAfterAnswer)
    return skip('finished', `It was stopped after its answer${reason}; its exit was not observed.${lost}`)
  return check('finished', true, `The CLI exited normally after the last result${reason}.${lost}`)
}

function checkMcpServers({ mcpServers }: RunEvidence): VerificationCheck[] {
  if (mcpServers.length === 0) return []
  const missing = mcpServers.filter(({ status }) => status !== 'connected')
  const shown = missing.map(
    ({ name, status, error }) => `${name}: ${status}${error === undefined ? '' : ` (${error})`}`,
  )
  return [
    check(
      'mcp_servers',
      missing.length === 0,
      missing.length === 0 ? `All ${mcpServers.length} were connected.` : `Not connected: ${listNames(shown)}.`,
    ),
  ]
}

/** Holds what a run says against what the server saw of it. */
export function checkRun(evidence: RunEvidence): VerificationCheck[] {
  const { denials } = evidence
  return [
    checkExit(evidence),
    checkSession(evidence),
    ...checkAnswer(evidence),
    ...checkClaims(evidence),
    check('permissions', denials === 0, tellDenials(denials, evidence.deniedByPeople ?? 0)),
    checkToolCalls(evidence),
    checkBackgroundTasks(evidence),
    checkFinished(evidence),
    ...checkMcpServers(evidence),
  ]
}

function tellDenials(denials: number, byPeople: number): string {
  const people = byPeople === 0 ? '' : ` ${byPeople === 1 ? 'One was' : `${byPeople} were`} denied by a person.`
  if (denials > 0) return `${denials} tool calls were denied.${people}`
  return people === '' ? 'No tool call was denied.' : `No tool call was denied by the settings.${people}`
}

/** `files` exist in the workspace after the run. */
export function checkRequiredFiles(files: readonly string[], missing: readonly string[]): VerificationCheck {
  return check(
    'required_files',
    missing.length === 0,
    missing.length === 0 ? `All ${files.length} exist.` : `Missing: ${listNames(missing)}.`,
  )
}

/** Every command exits with 0; after one that does not, none is run. */
export function checkCommands(
  commands: readonly (readonly string[])[],
  reports: readonly CheckCommandReport[],
): VerificationCheck {
  if (reports.length === 0) return skip('commands', 'The run did not succeed; they were not run.')
  const shown = reports.map(
    ({ ending, durationMs, outputBytes, outputSha256 }, index) =>
      `${commands[index]?.[0] ?? ''} ${ending} after ${durationMs} ms with ${outputBytes} bytes of ` +
      `output (SHA-256 ${outputSha256.slice(0, 16)}…)`,
  )
  return check(
    'commands',
    reports.length === commands.length && reports.every(({ passes }) => passes),
    `${shown.join('; ')}.`,
  )
}

/** A check that was skipped proves nothing: where all were, that is what is said. */
export function toVerification(checks: readonly VerificationCheck[]): Verification {
  const has = (status: VerificationCheck['status']): boolean => checks.some((one) => one.status === status)
  return { status: has('fail') ? 'failed' : has('pass') ? 'passed' : 'none', checks: [...checks] }
}
