import * as z from 'zod'
import { ExecutionId, ExecutionReference, Timestamp } from './ids.js'
import {
  ANSWERS_LIMIT,
  APPROVAL_INPUT_LIMIT_BYTES,
  APPROVAL_INPUT_SHOWN_BYTES,
  APPROVAL_TEXT_LIMIT_BYTES,
  LIST_LIMIT,
  NAMES_LIMIT,
} from './limits.js'
import { isShallow, TOO_DEEP } from './nesting.js'

export const ApprovalId = z.uuid().meta({ id: 'ApprovalId', description: 'The id of an approval.' })
/** Of any length: what is no id of ours is not found, and never a wrong request. */
export const ApprovalReference = z.string().max(200).meta({ description: 'The id of an approval.' })

export const ApprovalStatus = z.enum(['pending', 'allowed', 'denied', 'answered', 'expired', 'withdrawn']).meta({
  id: 'ApprovalStatus',
  description:
    '`expired`: not decided within approvalTimeoutSeconds; `withdrawn`: the call is no longer waiting, because its run ' +
    'ended, was interrupted or lost its worker.',
})
export type ApprovalStatus = z.infer<typeof ApprovalStatus>

export const AppliesTo = z.enum(['call', 'execution'])

/** What a decision may do to the permission mode: never into one that asks nobody. */
export const FollowingMode = z.enum(['default', 'manual', 'acceptEdits', 'auto'])
export type FollowingMode = z.infer<typeof FollowingMode>

export const ApprovalQuestion = z
  .object({
    index: z.int(),
    question: z.string(),
    header: z.string().optional(),
    options: z.array(z.object({ label: z.string(), description: z.string().optional() })),
    multiSelect: z.boolean(),
  })
  .meta({ id: 'ApprovalQuestion' })
export type ApprovalQuestion = z.infer<typeof ApprovalQuestion>

const Input = z.record(z.string(), z.unknown())

/** A tool call, questions or a plan that a run waits with for a person's decision. */
export const Approval = z
  .object({
    id: ApprovalId,
    executionId: ExecutionId,
    kind: z.enum(['tool', 'question', 'plan']),
    status: ApprovalStatus,
    toolUseId: z.string(),
    tool: z.string(),
    input: Input.meta({ description: 'Of the call, with absolute paths and defaults filled in.' }),
    inputTruncated: z
      .boolean()
      .optional()
      .meta({
        description: `true: long texts of the input are shortened here, to about ${APPROVAL_INPUT_SHOWN_BYTES} bytes.`,
      }),
    inputSha256: z.string().meta({ description: 'SHA-256 of the whole input as canonical JSON (RFC 8785).' }),
    reason: z.string().optional().meta({ description: 'Why the CLI asks, in its own words.' }),
    heldBecause: z.string().optional().meta({
      description: 'Its hold is over, and a worker still waits: why it cannot be parked.',
    }),
    suggestions: z.array(z.string()).meta({
      description: 'What `appliesTo: "execution"` allows for the rest of the execution; empty: only this call.',
    }),
    questions: z.array(ApprovalQuestion).optional(),
    requestedAt: Timestamp,
    expiresAt: Timestamp,
    decidedAt: Timestamp.optional(),
    decidedBy: z.string().optional().meta({ description: 'The name of the token that decided.' }),
    appliesTo: AppliesTo.optional(),
    changedInput: Input.optional().meta({ description: 'The input by which the decision replaced `input`.' }),
    message: z.string().optional(),
  })
  .meta({ id: 'Approval', description: 'A tool call, a plan or questions that wait for a decision.' })
export type Approval = z.infer<typeof Approval>

const text = z
  .string()
  .max(APPROVAL_TEXT_LIMIT_BYTES)
  .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must not contain NUL or lone surrogates')

export const QuestionAnswer = z
  .strictObject({
    questionIndex: z.int().min(0),
    labels: z
      .array(z.string().max(APPROVAL_TEXT_LIMIT_BYTES))
      .max(NAMES_LIMIT)
      .optional()
      .meta({ description: 'Labels of offered options; several only with multiSelect.' }),
    text: text.optional().meta({ description: 'Instead of an option, or as a note to it.' }),
  })
  .meta({ id: 'QuestionAnswer' })
export type QuestionAnswer = z.infer<typeof QuestionAnswer>

const decisionFields = {
  decision: z.enum(['allow', 'deny', 'answer']).meta({
    description: '`answer` is for questions; a plan or a tool call is allowed or denied.',
  }),
  appliesTo: AppliesTo.optional().meta({
    description: '`execution`: with `allow`, also adds what `suggestions` names for the rest of this execution.',
  }),
  input: Input.refine((value) => isShallow(value), TOO_DEEP)
    .refine(
      (value) => Buffer.byteLength(JSON.stringify(value)) <= APPROVAL_INPUT_LIMIT_BYTES,
      `must not be longer than ${APPROVAL_INPUT_LIMIT_BYTES} bytes as JSON`,
    )
    .optional()
    .meta({ description: 'With `allow` of a tool call: replaces its input as a whole.' }),
  answers: z.array(QuestionAnswer).max(ANSWERS_LIMIT).optional().meta({
    description: 'With `answer`: questions that are left out count as not answered.',
  }),
  permissionMode: FollowingMode.optional().meta({
    description: 'With `allow` of a plan: the permission mode that follows; default: the CLI’s own choice.',
  }),
  message: text.optional().meta({
    description:
      'With `deny` the model reads it word for word, with `answer` as the answer to questions that have none; with ' +
      '`allow` it is only recorded.',
  }),
}

interface Decided {
  readonly decision?: unknown
  readonly appliesTo?: unknown
  readonly input?: unknown
  readonly answers?: readonly unknown[] | undefined
  readonly permissionMode?: unknown
  readonly message?: unknown
}

/** What can be said of a decision without its approval. */
function requireConsistent(decided: Decided, context: z.RefinementCtx): void {
  const addIssue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const { decision } = decided
  for (const field of ['input', 'permissionMode'] as const)
    if (decided[field] !== undefined && decision !== 'allow') addIssue(field, 'is accepted only with allow')
  if (decided.appliesTo === 'execution' && decision !== 'allow') addIssue('appliesTo', 'is accepted only with allow')
  if (decided.appliesTo === 'execution' && decided.input !== undefined)
    addIssue('appliesTo', 'a changed input is for this call only')
  if (decided.answers !== undefined && decision !== 'answer') addIssue('answers', 'is accepted only with answer')
  if (decision === 'answer' && (decided.answers ?? []).length === 0 && decided.message === undefined)
    addIssue('answers', 'give at least one answer, or a message')
}

export const ApprovalDecision = z.strictObject(decisionFields).superRefine(requireConsistent).meta({
  id: 'ApprovalDecision',
})
export type ApprovalDecision = z.infer<typeof ApprovalDecision>

/** The params of `approval.decide` and the input of the tool `decide_approval`. */
export const DecideParams = z
  .strictObject({ approvalId: ApprovalReference, ...decisionFields })
  .superRefine(requireConsistent)
  .meta({ id: 'DecideParams' })
export type DecideParams = z.infer<typeof DecideParams>

export const ApprovalFilters = z
  .strictObject({
    status: z.array(ApprovalStatus).min(1).optional().meta({ description: 'Default: pending.' }),
    executionId: ExecutionReference.optional().meta({ description: 'Of this execution; of a list, of its tasks.' }),
    limit: z.int().min(1).max(LIST_LIMIT).optional().meta({ description: 'Default 50.' }),
    cursor: ApprovalId.optional().meta({ description: '`nextCursor` of the previous page.' }),
  })
  .meta({ id: 'ApprovalFilters' })
export type ApprovalFilters = z.infer<typeof ApprovalFilters>

export const ApprovalPage = z
  .object({ approvals: z.array(Approval), nextCursor: ApprovalId.nullable() })
  .meta({ id: 'ApprovalPage', description: 'Newest first. With the admin scope: of all tokens.' })
export type ApprovalPage = z.infer<typeof ApprovalPage>

/** With APPROVAL_CLOSED: how it was closed, by whom and when. */
export const ClosedApproval = z
  .object({ id: ApprovalId, status: ApprovalStatus, decidedBy: z.string().optional(), decidedAt: Timestamp.optional() })
  .meta({ id: 'ClosedApproval' })
export type ClosedApproval = z.infer<typeof ClosedApproval>
