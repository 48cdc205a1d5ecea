import type { ApprovalQuestion, FollowingMode, QuestionAnswer } from '../../protocol/approvals.js'
import { APPROVAL_INPUT_SHOWN_BYTES } from '../../protocol/limits.js'
import { isShallow } from '../../protocol/nesting.js'
import { toRule, type PermissionUpdate } from '../command/approved-permissions.js'
import { shorten, toJson, toRecord, toRecords, toText } from '../json-shape.js'

/** What the CLI asks by `can_use_tool`, and waits for without a limit of its own. */
export interface PermissionRequest {
  readonly requestId: string
  readonly kind: 'tool' | 'question' | 'plan'
  readonly toolUseId: string
  readonly tool: string
  readonly isOfSubagent: boolean
  /** As it may be told: secrets are masked. */
  readonly input: Record<string, unknown>
  readonly inputShown: Record<string, unknown>
  readonly inputTruncated: true | undefined
  /** It can neither be shown nor answered. */
  readonly isTooDeep: boolean
  /** As the CLI will run it. */
  readonly ownInput: Record<string, unknown>
  readonly reason: string | undefined
  readonly updates: readonly PermissionUpdate[]
  readonly suggestions: readonly string[]
  readonly questions: ApprovalQuestion[] | undefined
}

/** What a person decided, for the CLI. */
export interface PermissionAnswer {
  readonly decision: 'allow' | 'deny' | 'answer'
  readonly isForExecution: boolean
  readonly input?: Record<string, unknown> | undefined
  readonly answers?: readonly QuestionAnswer[] | undefined
  readonly permissionMode?: FollowingMode | undefined
  readonly message?: string | undefined
}

const KINDS: Readonly<Record<string, PermissionRequest['kind']>> = {
  AskUserQuestion: 'question',
  ExitPlanMode: 'plan',
}
const REASON_SHOWN = 1_000
/** A text is cut to this where its input is longer than what is shown. */
const TEXT_SHOWN = 4_000
const SUGGESTIONS_SHOWN = 20

/** The same input with long texts cut, where the whole is longer than what is shown; how deep does not matter. */
function shortenTexts(value: unknown, length: number): unknown {
  if (typeof value === 'string') return value.length <= length ? value : shorten(value, length)
  if (Array.isArray(value)) return value.slice(0, length).map((item) => shortenTexts(item, length))
  const record = toRecord(value)
  return record === undefined
    ? value
    : Object.fromEntries(Object.entries(record).map(([name, member]) => [name, shortenTexts(member, length)]))
}

function toShown(input: Record<string, unknown>): Pick<PermissionRequest, 'inputShown' | 'inputTruncated'> {
  for (let length = Number.POSITIVE_INFINITY; length >= 1; length = Math.min(TEXT_SHOWN, Math.floor(length / 4))) {
    // Safe: a record stays one.
    const inputShown =
      length === Number.POSITIVE_INFINITY ? input : (shortenTexts(input, length) as Record<string, unknown>)
    if (Buffer.byteLength(JSON.stringify(inputShown)) <= APPROVAL_INPUT_SHOWN_BYTES)
      return { inputShown, inputTruncated: inputShown === input ? undefined : true }
  }
  return { inputShown: {}, inputTruncated: true }
}

/**
 * What the CLI suggests, as far as it allows more of the same for as long as this session: rules; where there are none,
 * the folders and the mode. Its own destination is often a file in the workspace (`localSettings`).
 */
function toUpdates(suggested: readonly Record<string, unknown>[]): PermissionUpdate[] {
  const rules = suggested.filter(({ type, behavior }) => type === 'addRules' && behavior === 'allow')
  const others = suggested.filter(
    ({ type, mode }) => type === 'addDirectories' || (type === 'setMode' && mode === 'acceptEdits'),
  )
  return (rules.length > 0 ? rules : others).map((update) => ({ ...update, destination: 'session' }))
}

function describeUpdate({ type, rules, directories, mode }: PermissionUpdate): string[] {
  if (type === 'addRules') return toRecords(rules).map(toRule)
  if (type === 'setMode') return [`permissionMode: ${toText(mode) ?? ''}`]
  return Array.isArray(directories) ? directories.map((directory) => `directory: ${String(directory)}`) : []
}

function toQuestions(input: Record<string, unknown>): ApprovalQuestion[] {
  return toRecords(input['questions']).map((question, index) => ({
    index,
    question: toText(question['question']) ?? '',
    header: toText(question['header']),
    options: toRecords(question['options']).map((option) => ({
      label: toText(option['label']) ?? '',
      description: toText(option['description']),
    })),
    multiSelect: question['multiSelect'] === true,
  }))
}

/** `own`: the same message before its secrets were masked. undefined: another request of the CLI. */
export function readPermissionRequest(
  message: Record<string, unknown>,
  own: Record<string, unknown> = message,
): PermissionRequest | undefined {
  const request = toRecord(message['request'])
  const requestId = toText(message['request_id'])
  if (message['type'] !== 'control_request' || request?.['subtype'] !== 'can_use_tool' || requestId === undefined)
    return undefined
  const tool = toText(request['tool_name']) ?? ''
  const asked = toRecord(request['input']) ?? {}
  const isTooDeep = !isShallow(asked)
  const input = isTooDeep ? {} : asked
  const kind = KINDS[tool] ?? 'tool'
  const reason = toText(request['decision_reason'])
  const updates = kind === 'tool' ? toUpdates(toRecords(request['permission_suggestions'])) : []
  return {
    requestId,
    kind,
    toolUseId: toText(request['tool_use_id']) ?? '',
    tool,
    isOfSubagent: toText(request['agent_id']) !== undefined,
    input,
    isTooDeep,
    ...toShown(input),
    ownInput: toRecord(toRecord(own['request'])?.['input']) ?? input,
    reason: reason === undefined ? undefined : shorten(reason, REASON_SHOWN),
    updates,
    suggestions: updates.flatMap(describeUpdate).slice(0, SUGGESTIONS_SHOWN),
    questions: kind === 'question' ? toQuestions(input) : undefined,
  }
}

/** The id of a question that the CLI takes back. */
export function readWithdrawal(message: Record<string, unknown>): string | undefined {
  return message['type'] === 'control_cancel_request' ? toText(message['request_id']) : undefined
}

/** By their text, as the tool wants them; two questions of one text have one answer. */
function toAnswers(
  { questions = [] }: PermissionRequest,
  answers: readonly QuestionAnswer[],
): { answers: Record<string, string>; annotations?: Record<string, { notes: string }> } {
  const given: Record<string, string> = {}
  const notes: Record<string, { notes: string }> = {}
  for (const { questionIndex, labels = [], text } of answers) {
    const question = questions[questionIndex]?.question ?? ''
    const answer = labels.length > 0 ? labels.join(', ') : (text ?? '')
    given[question] = given[question] === undefined ? answer : `${given[question]}; ${answer}`
    if (labels.length > 0 && text !== undefined && text !== '') notes[question] = { notes: text }
  }
  return Object.keys(notes).length > 0 ? { answers: given, annotations: notes } : { answers: given }
}

function toUpdatedInput(request: PermissionRequest, answer: PermissionAnswer): Record<string, unknown> {
  if (answer.decision !== 'answer') return answer.input ?? request.ownInput
  const { answers = [], message } = answer
  // A text without answers is read as the response to all of them.
  if (answers.length === 0) return { ...request.ownInput, response: message ?? '' }
  return { ...request.ownInput, ...toAnswers(request, answers) }
}

function toPermissions(request: PermissionRequest, { isForExecution, permissionMode }: PermissionAnswer) {
  const mode = permissionMode === 'manual' ? 'default' : permissionMode
  const updates: PermissionUpdate[] = [
    ...(isForExecution ? request.updates : []),
    ...(mode === undefined ? [] : [{ type: 'setMode', mode, destination: 'session' }]),
  ]
  return updates.length > 0 ? { updatedPermissions: updates } : {}
}

/** Allowing without `updatedInput` is refused by 2.1.197; a denial's text reaches the model as it is. */
export function toPermissionResponse(request: PermissionRequest, answer: PermissionAnswer): string {
  const response =
    answer.decision === 'deny'
      ? { behavior: 'deny', message: answer.message ?? '' }
      : { behavior: 'allow', updatedInput: toUpdatedInput(request, answer), ...toPermissions(request, answer) }
  const line = {
    type: 'control_response',
    response: { subtype: 'success', request_id: request.requestId, response },
  }
  return `${toJson(line)}\n`
}
