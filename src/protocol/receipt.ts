import * as z from 'zod'
import { SentAttachment } from './attachments.js'
import { Approval, AppliesTo } from './approvals.js'
import { OutcomeCode, Payment, TerminalStatus, Usage } from './execution.js'
import { ExecutionId, Timestamp } from './ids.js'
import { MessageDelivery, MessageReason } from './messages.js'
import { isShallow, TOO_DEEP } from './nesting.js'
import { RepositoryOutcome } from './repositories.js'
import { RunContainment } from './sandbox.js'
import { BudgetChange } from './usage.js'
import { Verification, VerificationCheck, WorkspaceEvidence } from './verification.js'

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in lower-case hex')

/** Everything is strict here: a field that nobody knows is a field that nobody has checked. */
const ReceiptSignature = z.strictObject({
  algorithm: z.literal('Ed25519'),
  keyId: z.string().meta({ description: 'RFC 7638 thumbprint of the public key.' }),
  publicKey: z
    .string()
    .meta({ description: 'The `x` of its JWK. GET /receipts/keys shows whether it belongs to the service.' }),
  value: z
    .string()
    .meta({ description: 'Base64url, over the canonical JSON (RFC 8785) of the receipt without this member.' }),
})

const ReceiptProcess = z.strictObject({
  workerId: z.string(),
  claudeVersion: z.string(),
  sessionId: z.string(),
  model: z.string().optional().meta({ description: 'The requested model; absent: the CLI’s default.' }),
  argv: z.array(z.string()).meta({ description: 'The command line, redacted.' }),
  containment: z.strictObject(RunContainment.shape).optional(),
})

/** The hash chain over the stored bytes of the events: `h[0]` is 32 zero bytes, `h[n] = SHA-256(h[n-1] ‖ event n)`. */
export const ReceiptEvents = z.strictObject({
  count: z.number().int().min(1),
  head: Sha256,
  markEvery: z.number().int().min(1),
  marks: z
    .array(z.string().regex(/^[0-9a-f]{8}$/))
    .meta({ description: 'The first 8 hex digits of every markEvery-th link, so that a change can be located.' }),
})

export const ReceiptTask = z.strictObject({
  index: z.number().int(),
  executionId: ExecutionId,
  status: TerminalStatus,
  receipt: z.strictObject({ sha256: Sha256 }).optional().meta({ description: 'Of the text of the task’s receipt.' }),
})
export type ReceiptTask = z.infer<typeof ReceiptTask>

const ReceiptAttachment = z.strictObject(SentAttachment.shape)

export const ReceiptMessage = z.strictObject({
  id: z.uuid(),
  delivery: MessageDelivery,
  by: z.string().meta({ description: 'The name of the token that sent it.' }),
  acceptedAt: Timestamp,
  sha256: Sha256.meta({ description: 'Of the text in UTF-8.' }),
  attachments: z.array(ReceiptAttachment).optional(),
  deliveredAt: Timestamp.optional(),
  dropped: MessageReason.optional(),
  followUpId: ExecutionId.optional(),
})
export type ReceiptMessage = z.infer<typeof ReceiptMessage>

export const ReceiptApproval = z.strictObject({
  id: Approval.shape.id,
  kind: Approval.shape.kind,
  tool: z.string(),
  toolUseId: z.string(),
  status: Approval.shape.status,
  requestedAt: Timestamp,
  decidedAt: Timestamp.optional(),
  decidedBy: z.string().optional().meta({ description: 'The name of the token that decided.' }),
  tokenId: z.string().optional().meta({ description: 'Its id.' }),
  appliesTo: AppliesTo.optional(),
  inputSha256: Sha256.meta({ description: 'Of the input that was decided on, as canonical JSON.' }),
  changedInputSha256: Sha256.optional().meta({ description: 'Of the input by which the decision replaced it.' }),
  answerSha256: Sha256.optional().meta({ description: 'Of the answers, the mode and the message of the decision.' }),
})
export type ReceiptApproval = z.infer<typeof ReceiptApproval>

const { url, baseCommit, headCommit, tree, branch, pushed } = RepositoryOutcome.shape
const ReceiptRepository = z.strictObject({ url, baseCommit, headCommit, tree, branch, pushed })

/** The signed record of a finished execution. It shows what this service recorded, not that the answer is right. */
export const Receipt = z
  .strictObject({
    type: z.literal('cc-executor.receipt'),
    version: z.literal(1),
    executionId: ExecutionId,
    requestDigest: Sha256,
    parentId: ExecutionId.optional().meta({ description: 'For a task: its list.' }),
    taskIndex: z.number().int().optional(),
    workspace: z.string(),
    attempt: z.number().int(),
    createdAt: Timestamp,
    startedAt: Timestamp.optional(),
    finishedAt: Timestamp,
    process: ReceiptProcess.optional().meta({ description: 'Absent if the CLI was never started.' }),
    standby: z.literal(true).optional().meta({
      description: 'The CLI of its last attempt was started before the execution came, and waited for it.',
    }),
    outcome: z.strictObject({
      status: TerminalStatus,
      code: OutcomeCode.optional(),
      exitCode: z.number().int().optional(),
      signal: z.string().optional(),
      isPartial: z.boolean().optional(),
      stopReason: z
        .string()
        .optional()
        .meta({ description: 'The last stop reason of the model, as reported by the CLI.' }),
      unfinished: z.number().int().optional().meta({
        description: 'Number of unfinished background tasks and tool calls; absent if there were none.',
      }),
      permissionDenials: z.number().int().meta({ description: 'Number of denied tool calls.' }),
    }),
    result: z
      .strictObject({ sha256: Sha256, bytes: z.number().int() })
      .optional()
      .meta({ description: 'Of the answer in UTF-8.' }),
    usage: z.strictObject(Usage.shape),
    paidBy: z
      .array(z.strictObject({ ...Payment.shape, usage: z.strictObject(Usage.shape) }))
      .optional()
      .meta({ description: 'The usage by the credential that paid for it; absent if the CLI was never started.' }),
    attachments: z
      .array(ReceiptAttachment)
      .optional()
      .meta({ description: 'What the CLI was handed with the prompt; absent if there was nothing.' }),
    messages: z
      .array(ReceiptMessage)
      .optional()
      .meta({ description: 'The messages sent to the execution, in order; absent if there were none.' }),
    budgetChanges: z
      .array(z.strictObject(BudgetChange.shape))
      .optional()
      .meta({ description: 'Who changed its budget, when and to what; absent if it was not changed.' }),
    tasks: z
      .array(ReceiptTask)
      .optional()
      .meta({ description: 'Of a task list: its tasks in order, each with its receipt.' }),
    approvals: z.array(ReceiptApproval).optional().meta({ description: 'Every approval, oldest first.' }),
    repository: ReceiptRepository.optional().meta({ description: 'Of a run on a repository.' }),
    files: WorkspaceEvidence.optional().meta({
      description: 'Absent if the CLI was never started or its worker was lost.',
    }),
    verification: z
      .strictObject({ ...Verification.shape, checks: z.array(z.strictObject(VerificationCheck.shape)) })
      .optional(),
    events: ReceiptEvents,
    simulated: z.boolean(),
    fields: z.record(z.string(), z.string()).meta({
      description:
        'The first 16 hex digits of the SHA-256 of every field’s canonical JSON, so that a changed field can ' +
        'be named; the proof is the signature.',
    }),
    signature: ReceiptSignature,
  })
  .meta({
    id: 'Receipt',
    description:
      'The signed record of a finished execution. It shows what this service recorded, not that the answer is right.',
  })
export type Receipt = z.infer<typeof Receipt>

/** What is signed later: everything that the service knows of an execution. */
export type ReceiptFacts = Omit<Receipt, 'type' | 'version' | 'fields' | 'signature'>

export const PublicJwk = z
  .object({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: z.string(),
    kid: z.string(),
    use: z.literal('sig'),
    alg: z.literal('EdDSA'),
  })
  .meta({ id: 'PublicJwk', description: 'RFC 8037.' })
export type PublicJwk = z.infer<typeof PublicJwk>

export const KeySet = z
  .object({ keys: z.array(PublicJwk) })
  .meta({ id: 'KeySet', description: 'JWKS: every key that has ever signed receipts here.' })
export type KeySet = z.infer<typeof KeySet>

export const ReceiptCheck = z.object({
  name: z.enum(['form', 'signature', 'key', 'events', 'result', 'files']),
  status: z.enum(['pass', 'fail', 'skip']),
  detail: z.string(),
})
export type ReceiptCheck = z.infer<typeof ReceiptCheck>

export const ReceiptReport = z
  .object({
    valid: z.boolean().meta({ description: 'True if no check failed.' }),
    executionId: z.string().optional(),
    checks: z.array(ReceiptCheck),
    mismatches: z
      .array(
        z.object({
          name: z.string().meta({ description: 'A field’s path, `events.<seq>`, `files.<path>` …' }),
          detail: z.string(),
        }),
      )
      .meta({ description: 'The first 20; `errorCount` counts all.' }),
    errorCount: z.number().int().optional().meta({ description: 'Number of mismatches, if any.' }),
  })
  .meta({ id: 'ReceiptReport' })
export type ReceiptReport = z.infer<typeof ReceiptReport>

export const VerifyRequest = z
  .strictObject({
    receipt: z
      .union(
        [z.string(), z.record(z.string(), z.unknown()).refine((value) => isShallow(value), TOO_DEEP)],
        'expected a receipt, as an object or as its text',
      )
      .meta({ description: 'The receipt as an object or as text; only text is checked byte for byte.' }),
    events: z.string().optional().meta({ description: 'The events as returned with `Accept: application/x-ndjson`.' }),
  })
  .meta({ id: 'VerifyRequest' })
export type VerifyRequest = z.infer<typeof VerifyRequest>
