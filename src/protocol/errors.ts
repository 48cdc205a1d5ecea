import * as z from 'zod'
import { ClosedApproval } from './approvals.js'
import { areTooMany, findCrowded, findUnknownFields } from './crowded.js'
import { ERROR_TABLE, type ErrorCode } from './error-table.js'
import { ERROR_PATH_LIMIT_CHARACTERS, ERRORS_LIMIT } from './limits.js'
import { BudgetRefusal } from './usage.js'

export { ERROR_TABLE, RESERVED_CODES, type ErrorCode } from './error-table.js'

/**
 * One field at fault: `path` in dots and brackets (`metadata.team`, `tasks[3].prompt`), empty for the request as a
 * whole.
 */
export const FieldError = z.object({ path: z.string(), message: z.string() }).meta({
  id: 'FieldError',
  description: 'One invalid field. The path uses dots, and brackets for array items: `tasks[3].prompt`.',
})
export type FieldError = z.infer<typeof FieldError>

const FieldErrors = z.array(FieldError).meta({ description: `The first ${ERRORS_LIMIT}; \`errorCount\` counts all.` })
const ErrorCount = z.number().int().meta({ description: 'Total number of invalid fields; `errors` may list fewer.' })

/** REST's error body, RFC 9457. */
export const Problem = z
  .object({
    type: z.string().meta({ description: 'A URI reference that names the code.' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().meta({ description: 'Stable; branch on this, never on text.' }),
    retryable: z.boolean(),
    requestId: z.string(),
    errors: FieldErrors.optional(),
    errorCount: ErrorCount.optional(),
    budget: BudgetRefusal.optional(),
    approval: ClosedApproval.optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' })
export type Problem = z.infer<typeof Problem>

/** `error.data` of a JSON-RPC error. */
export const RpcErrorData = z
  .object({
    code: z.string(),
    retryable: z.boolean(),
    requestId: z.string(),
    errors: FieldErrors.optional(),
    errorCount: ErrorCount.optional(),
    budget: BudgetRefusal.optional(),
    approval: ClosedApproval.optional(),
    retryAfterSeconds: z.number().optional().meta({ description: 'Present if a later retry may succeed.' }),
  })
  .meta({ id: 'RpcErrorData' })

export interface ErrorDetails {
  /** What happened this time, for people. Never a stack, a host path or a secret. */
  readonly detail?: string
  readonly errors?: readonly FieldError[]
  /** Where `errors` holds only the first of them. */
  readonly errorCount?: number
  /** With BUDGET_EXCEEDED. */
  readonly budget?: BudgetRefusal
  /** With APPROVAL_CLOSED. */
  readonly approval?: ClosedApproval
  /** Seconds after which a retry makes sense; becomes `Retry-After`. */
  readonly retryAfterSeconds?: number
}

/** The only error that domain code throws. Three edges translate it: REST, JSON-RPC, MCP. */
export class ExecutorError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(details.detail ?? ERROR_TABLE[code].title, options)
    this.name = 'ExecutorError'
    this.code = code
    this.details = details
  }
}

export interface WireError {
  readonly code: ErrorCode
  readonly status: number
  readonly rpc: number
  readonly retryable: boolean
  readonly title: string
  readonly detail: string
  readonly errors?: readonly FieldError[]
  readonly errorCount?: number
  readonly budget?: BudgetRefusal
  readonly approval?: ClosedApproval
  readonly retryAfterSeconds?: number
}

/** How long a client is asked to wait where nothing better is known. */
const DEFAULT_RETRY_AFTER_SECONDS = 2

/** What may be told of an error; whatever is not an ExecutorError is INTERNAL and keeps its text to itself. */
export function toWireError(error: unknown): WireError {
  const known = error instanceof ExecutorError ? error : new ExecutorError('INTERNAL')
  const row = ERROR_TABLE[known.code]
  const { errors } = known.details
  const mustWait = row.status === 429 || row.status === 503
  const retryAfterSeconds = known.details.retryAfterSeconds ?? (mustWait ? DEFAULT_RETRY_AFTER_SECONDS : undefined)
  return {
    code: known.code,
    ...row,
    detail: known.details.detail ?? row.title,
    errors: errors?.slice(0, ERRORS_LIMIT),
    errorCount: errors && (known.details.errorCount ?? errors.length),
    budget: known.details.budget,
    approval: known.details.approval,
    retryAfterSeconds,
  }
}

export function toProblem(error: unknown, requestId: string): Problem {
  const { code, status, title, detail, retryable, errors, errorCount, budget, approval } = toWireError(error)
  return {
    type: `urn:cc-executor:error:${code}`,
    title,
    status,
    detail,
    code,
    retryable,
    requestId,
    errors: errors && [...errors],
    errorCount,
    budget,
    approval,
  }
}

type Issue = z.ZodError['issues'][number]

/** `tasks[3].prompt` */
function toPath(path: readonly PropertyKey[]): string {
  const whole = path.reduce<string>(
    (before, part) =>
      typeof part === 'number' ? `${before}[${part}]` : `${before}${before === '' ? '' : '.'}${String(part)}`,
    '',
  )
  return whole.length <= ERROR_PATH_LIMIT_CHARACTERS
    ? whole
    : `${whole.slice(0, ERROR_PATH_LIMIT_CHARACTERS).toWellFormed()}…`
}

/** Of a value that may be one thing or another: what is wrong with the only one of them whose kind it has. */
function findMeant(branches: readonly Issue[][]): Issue[] | undefined {
  const meant = branches.filter(
    (issues) =>
      !issues.some(({ code, path }) => (code === 'invalid_type' || code === 'invalid_value') && path.length === 0),
  )
  return meant.length === 1 ? meant[0] : undefined
}

function toErrors(issues: readonly Issue[], before: readonly PropertyKey[]): FieldError[] {
  return issues.flatMap((issue) => {
    const path = [...before, ...issue.path]
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: toPath([...path, key]), message: 'unknown field' }))
    // What is wrong with a key says more than that it is wrong.
    if (issue.code === 'invalid_key' && issue.issues[0])
      return [{ path: toPath(path), message: issue.issues[0].message }]
    const meant = issue.code === 'invalid_union' ? findMeant(issue.errors) : undefined
    return meant ? toErrors(meant, path) : [{ path: toPath(path), message: issue.message }]
  })
}

/** Zod's issues as field errors: an unknown field is named by its own path, not by its parent's. */
export const toFieldErrors = (error: z.ZodError): FieldError[] => toErrors(error.issues, [])

const isTooLarge = (issue: Issue): boolean =>
  issue.code === 'custom'
    ? issue.params?.['tooLarge'] === true
    : issue.code === 'invalid_union' && (findMeant(issue.errors)?.some(isTooLarge) ?? false)

/** Whether a text is longer than what is taken, wherever it stands. */
export const saysTooLarge = (error: z.ZodError): boolean => error.issues.some(isTooLarge)

/** The one sentence of a validation error, so that `detail` alone tells which field is wrong. */
export function toInvalidRequest(
  errors: readonly FieldError[],
  code: ErrorCode = 'INVALID_REQUEST',
  errorCount = errors.length,
): ExecutorError {
  const named = errors.slice(0, ERRORS_LIMIT)
  const sentences = named.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  if (errorCount > named.length) sentences.push(`and ${errorCount - named.length} more`)
  return new ExecutorError(code, { detail: sentences.join('; '), errors: named, errorCount })
}

/** In a client's words: what is not there is missing, and neither `undefined` nor `null` where the whole body is. */
function sayMissing({
  code,
  input,
  path = [],
}: Pick<z.core.$ZodRawIssue, 'code' | 'input' | 'path'>): string | undefined {
  if (code !== 'invalid_type' || (input ?? undefined) !== undefined) return undefined
  if (path.length === 0) return 'a JSON object is required'
  return input === undefined ? 'is required' : undefined
}

/** Parses input from outside; a field that is too large in bytes is PAYLOAD_TOO_LARGE, all else INVALID_REQUEST. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  refuseCrowded(schema, input)
  const parsed = schema.safeParse(input, { error: sayMissing })
  if (parsed.success) return parsed.data
  throw toInvalidRequest(
    toFieldErrors(parsed.error),
    saysTooLarge(parsed.error) ? 'PAYLOAD_TOO_LARGE' : 'INVALID_REQUEST',
  )
}

/** Before each of its members is looked at: that many would take seconds. */
function refuseCrowded(schema: z.ZodType, input: unknown): void {
  const unknown = findUnknownFields(schema, input, ERRORS_LIMIT)
  if (unknown && areTooMany(unknown))
    throw toInvalidRequest(
      unknown.names.map((name) => ({ path: toPath([name]), message: 'unknown field' })),
      'INVALID_REQUEST',
      unknown.count,
    )
  const crowded = findCrowded(input)
  if (crowded) throw toInvalidRequest([{ path: toPath(crowded.path), message: crowded.message }])
}
