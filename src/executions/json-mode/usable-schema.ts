import type { RunRequest } from '../../claude/command/run-request.js'
import { ExecutorError, toInvalidRequest, type ErrorCode } from '../../protocol/errors.js'
import { DIALECTS, dialectOf, type AnswerSchema } from './answer-schema.js'
import { withoutRootReference } from './root-reference.js'
import type { SchemaAnswer } from './schema-checks.js'

/** The CLI takes the schema as one argument, or as a part of one, of which Linux allows 128 KiB. */
const SCHEMA_LIMIT_BYTES = 100 * 1024

const refuseSchema = (message: string, code?: ErrorCode): ExecutorError =>
  toInvalidRequest([{ path: 'outputSchema', message }], code)

/**
 * Refuses, at submission, a schema whose shape alone says that no answer could be held against it; its rules are
 * compiled after that. @throws INVALID_REQUEST or PAYLOAD_TOO_LARGE naming `outputSchema`
 */
export function requireSchemaShape({ outputSchema, appendSystemPrompt = '' }: RunRequest): void {
  if (outputSchema === undefined) return
  const bytes = Buffer.byteLength(JSON.stringify(outputSchema)) + Buffer.byteLength(appendSystemPrompt)
  if (bytes > SCHEMA_LIMIT_BYTES)
    throw refuseSchema(
      `must not be longer than ${SCHEMA_LIMIT_BYTES} bytes as JSON, together with appendSystemPrompt`,
      'PAYLOAD_TOO_LARGE',
    )
  if (dialectOf(outputSchema) === undefined)
    throw refuseSchema(
      'has a "$schema" other than 2020-12, 2019-09, draft-07 and draft-06: omit it, or write the schema in ' +
        `2020-12 (${DIALECTS[0].uri})`,
    )
  const rooted = withoutRootReference(outputSchema)
  if (rooted === undefined)
    throw refuseSchema(
      'has a "$ref" at its root that cannot be replaced by what it refers to: write that schema at the ' +
        'root itself, or refer to one below "$defs" or "definitions" of the same document, without other ' +
        'constraints next to it',
    )
  // The model gives its answer as the input of a tool, which is always an object.
  if (rooted['type'] !== 'object')
    throw refuseSchema('must have "type": "object" at its root: an answer in JSON mode is an object')
}

/** Why a schema is refused that was to be compiled; undefined where it can be used. */
export function toSchemaRefusal(
  schema: AnswerSchema,
  compiled: SchemaAnswer | { readonly kind: 'crowded' },
): ExecutorError | undefined {
  switch (compiled.kind) {
    case 'checked':
      return undefined
    case 'unusable':
      return refuseSchema(`is not a valid JSON Schema (${dialectOf(schema)}): ${compiled.message}`)
    case 'late':
      return refuseSchema('takes too long to be compiled, with those before it in this request')
    case 'failed':
      return refuseSchema(`could not be compiled: ${compiled.message}`)
    case 'crowded':
      return new ExecutorError('QUEUE_FULL', {
        detail: 'Too many schemas of this token are waiting for compilation; try again later.',
        retryAfterSeconds: 5,
      })
  }
}
