import * as z from 'zod'
import { ERROR_TABLE, Problem, type ErrorCode } from '../src/protocol/errors.js'
import type { Scope } from '../src/protocol/caller.js'
import { MERGE_PATCH } from '../src/protocol/rest-input.js'
import { OPERATIONS, type Operation, type OperationWith, type RestMapping } from '../src/protocol/operations.js'

type Operations = typeof OPERATIONS
type RestOperation = OperationWith<{ rest: RestMapping }>
type JsonOperation = OperationWith<{ rest: RestMapping; result: z.ZodType }>
type InputOf<Name extends RestOperation> = Operations[Name]['rest'] extends { input: infer Input } ? Input : unknown

/** What a reader is told beside the title of a code. */
const NOTES: { readonly [Code in ErrorCode]?: string } = {
  INVALID_REQUEST: '`errors` names the fields.',
  TOKEN_NOT_FOUND: 'Or it has been revoked.',
  EXECUTION_NOT_FOUND: 'Or it belongs to another token.',
  FORBIDDEN: 'The token’s scopes do not cover it, or the operator has not allowed it.',
  FILE_NOT_KEPT: '`detail` says why.',
  APPROVAL_CLOSED: '`approval` says how, by whom and when.',
  BUDGET_EXCEEDED: '`budget` has the details.',
}
/** What can be wrong with a body, before anybody looks at its fields. */
const BODY_ERRORS = ['PARSE_ERROR', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const

/** The errors that a route answers: what follows from its form, then the operation's own. */
function listErrors({ errors, rest }: Operation & { readonly rest: RestMapping }): Set<ErrorCode> {
  const { method, input = {}, media, open = false } = rest
  return new Set<ErrorCode>([
    ...(open ? [] : (['UNAUTHENTICATED', 'FORBIDDEN'] as const)),
    ...(input.body || input.querystring ? (['INVALID_REQUEST'] as const) : []),
    // A body of DELETE has no meaning, but one that cannot be read is refused like any other.
    ...(input.body || method === 'DELETE' ? BODY_ERRORS : []),
    ...(media ? (['NOT_ACCEPTABLE'] as const) : []),
    // A subscription is a WebSocket's.
    ...errors.filter((code) => code !== 'SUBSCRIPTION_LIMIT'),
  ])
}

/** Errors by status: each description lists the codes, and a test produces every one of them. */
function describeErrors(codes: Iterable<ErrorCode>): Record<number, object> {
  const sentences: Record<number, string[]> = {}
  for (const code of codes) {
    const { status, title } = ERROR_TABLE[code]
    const sentence = [`\`${code}\`: ${title}`, NOTES[code]].filter((part) => part !== undefined).join(' ')
    ;(sentences[status] ??= []).push(sentence)
  }
  return Object.fromEntries(
    Object.entries(sentences).map(([status, parts]) => [
      status,
      { description: parts.join(' '), content: { 'application/problem+json': { schema: Problem } } },
    ]),
  )
}

/** What the table does not say of a route: its texts, and how it answers when it succeeds. */
interface RouteTexts {
  readonly tags: readonly string[]
  readonly summary: string
  readonly description: string
  readonly response: object
  readonly security?: ReadonlyArray<Record<string, readonly string[]>>
}

/** What plugins/auth asks of a route. */
interface RouteConfig {
  readonly open?: true | 'recognised'
  readonly scope?: Scope
  readonly forOneExecution: boolean
  readonly ticket: boolean
}

/**
 * A route for `app.route` without its handler: method, path, scope, input and errors are those of the operations table.
 * `path` is for an operation that has several.
 */
export function routeOf<Name extends RestOperation, Texts extends RouteTexts>(
  name: Name,
  texts: Texts,
  path?: string,
): {
  method: RestMapping['method']
  url: string
  config: RouteConfig
  schema: InputOf<Name> & Texts
} {
  const operation: Operation & { readonly rest: RestMapping } = OPERATIONS[name]
  const { method, paths, input, open, ticket = false } = operation.rest
  const [url = '', operationId] = Object.entries(paths).find(([each]) => path === undefined || each === path) ?? []
  return {
    method,
    url,
    config: {
      open,
      scope: open ? undefined : operation.scope,
      forOneExecution: operation.forOneExecution ?? false,
      ticket,
    },
    // Safe: exactly the table's input; the response has the errors beside what the type lists.
    schema: {
      ...input,
      security: ticket ? [{ bearer: [] }, { ticket: [] }] : undefined,
      ...texts,
      consumes: method === 'PATCH' ? ['application/json', MERGE_PATCH] : undefined,
      operationId,
      response: { ...texts.response, ...describeErrors(listErrors(operation)) },
    } as unknown as InputOf<Name> & Texts,
  }
}

/** The media types that a route offers; more than one where `Accept` chooses. */
export function mediaOf(name: RestOperation): readonly string[] {
  const { media = ['application/json'] }: RestMapping = OPERATIONS[name].rest
  return media
}

/** The operation's answer as JSON, and as text of the other media types that it offers. */
export function answerOf<Name extends JsonOperation>(
  name: Name,
  description: string,
): { description: string; content: { 'application/json': { schema: Operations[Name]['result'] } } } {
  const texts = Object.fromEntries(mediaOf(name).map((type) => [type, { schema: z.string() }]))
  return { description, content: { ...texts, 'application/json': { schema: OPERATIONS[name].result } } }
}
