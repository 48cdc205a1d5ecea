import { isNativeError } from 'node:util/types'
import { runInNewContext } from 'node:vm'
import addFormatsModule from 'ajv-formats'
import { Ajv } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020, type AnySchemaObject, type ValidateFunction } from 'ajv/dist/2020.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import { toInvalidRequest } from '../../protocol/errors.js'

/** The CLI takes the schema as one argument, or as a part of one, of which Linux allows 128 KiB. */
const SCHEMA_LIMIT_BYTES = 100 * 1024
/**
 * A caller's pattern may backtrack for ever; it must not hold up the process that tries it. Wall clock: a busy machine
 * needs more than a quiet one.
 */
const TRIAL_LIMIT_MS = 3_000
const SHOWN_ERRORS = 20

// Safe: ajv-formats is CommonJS, whose types promise a default that Node gives as the module itself.
const addFormats = addFormatsModule as unknown as (ajv: Ajv) => void

export type AnswerSchema = AnySchemaObject

/**
 * JSON mode's own schema: what the original's had, with the execution's id as the one value that `execution_uuid` may
 * have.
 */
function defaultSchema(executionId: string): AnswerSchema {
  const paths = (what: string) => ({
    type: 'array',
    items: { type: 'string' },
    description: `Paths relative to the working directory of the files that were ${what}; empty if none were.`,
  })
  return {
    type: 'object',
    properties: {
      result: { type: 'string', description: 'The answer to the task.' },
      files_created: paths('created'),
      files_modified: paths('modified'),
      summary: { type: 'string', description: 'What was done, in one or two sentences.' },
      execution_uuid: { const: executionId, description: `Always exactly "${executionId}".` },
    },
    required: ['result', 'files_created', 'files_modified', 'summary', 'execution_uuid'],
    additionalProperties: false,
  }
}

/** What the answer must be; undefined outside JSON mode. */
export function answerSchemaOf(run: RunRequest, executionId: string): AnswerSchema | undefined {
  return run.outputSchema ?? (run.json === true ? defaultSchema(executionId) : undefined)
}

/**
 * What the CLI is given of it, never with `$schema`: 2.1.332 refuses to start with another dialect than its own. The
 * CLI holds answers against the schema with Ajv as it comes: draft-07, strict, no formats;
 * where that refuses a schema it drops its StructuredOutput tool without a word (2.1.197, measured 2026-11-22). Such a
 * schema is told to the model in words instead, and enforced by the server alone.
 */
export function toCliSchema({ $schema: _dialect, ...schema }: AnswerSchema): {
  readonly schema: AnswerSchema
  readonly instruction?: string
} {
  const tried = withinLimit(() => new Ajv({ allErrors: true, logger: false }).compile(schema))
  if (tried.kind === 'done') return { schema }
  return {
    schema: { type: 'object' },
    instruction:
      'The input of the StructuredOutput tool must match this JSON Schema ' +
      `(${dialectOf({ $schema: _dialect })?.name}), formats included:\n${JSON.stringify(schema)}`,
  }
}

/**
 * Refuses, at submission, a schema that no answer could be held against. @throws INVALID_REQUEST naming `outputSchema`
 */
export function requireUsableSchema({ outputSchema, appendSystemPrompt = '' }: RunRequest): void {
  if (outputSchema === undefined) return
  const refuse = (message: string, code?: 'PAYLOAD_TOO_LARGE') =>
    toInvalidRequest([{ path: 'outputSchema', message }], code)
  const bytes = Buffer.byteLength(JSON.stringify(outputSchema)) + Buffer.byteLength(appendSystemPrompt)
  if (bytes > SCHEMA_LIMIT_BYTES)
    throw refuse(
      `must not be longer than ${SCHEMA_LIMIT_BYTES} bytes as JSON, together with appendSystemPrompt`,
      'PAYLOAD_TOO_LARGE',
    )
  // The model gives its answer as the input of a tool, which is always an object.
  if (outputSchema['type'] !== 'object')
    throw refuse('must have "type": "object" at its root: an answer in JSON mode is an object')
  if (!isKnownDialect(outputSchema))
    throw refuse(
      'has a "$schema" of another dialect than 2020-12, 2019-09 and draft-07: leave it out, or write ' +
        `the schema in 2020-12 (${DIALECTS[0]?.uri})`,
    )
  const compiled = withinLimit(() => compile(outputSchema))
  if (compiled.kind === 'late') throw refuse('takes too long to be compiled')
  if (compiled.kind === 'failed')
    throw refuse(`is no valid JSON Schema (${dialectOf(outputSchema)?.name}): ${compiled.message}`)
}

/** What is wrong with an answer, one sentence each with its place; empty when it is right. */
export function findAnswerFaults(schema: AnswerSchema, answer: unknown): string[] {
  const tried = withinLimit(() => {
    const validate = compile(schema)
    return validate(answer) ? [] : (validate.errors ?? [])
  })
  if (tried.kind === 'late') return ['the schema could not be checked against this answer in time']
  if (tried.kind === 'failed') return [tried.message]
  return tried.value.slice(0, SHOWN_ERRORS).map(({ instancePath, message = 'is not valid', params }) => {
    const named: unknown = params['additionalProperty'] ?? params['allowedValue'] ?? params['allowedValues']
    return `${instancePath === '' ? 'the answer' : instancePath} ${message}${named === undefined ? '' : ` (${JSON.stringify(named)})`}`
  })
}

/** Without `$schema` the first one. */
const DIALECTS = [
  { name: '2020-12', uri: 'https://json-schema.org/draft/2020-12/schema', Compiler: Ajv2020 },
  { name: '2019-09', uri: 'https://json-schema.org/draft/2019-09/schema', Compiler: Ajv2019 },
  { name: 'draft-07', uri: 'http://json-schema.org/draft-07/schema', Compiler: Ajv },
] as const

function dialectOf({ $schema }: AnswerSchema): (typeof DIALECTS)[number] | undefined {
  if ($schema === undefined) return DIALECTS[0]
  return typeof $schema === 'string' ? DIALECTS.find(({ uri }) => uri === $schema.replace(/#$/, '')) : undefined
}

const isKnownDialect = (schema: AnswerSchema): boolean => dialectOf(schema) !== undefined

/** A reference to another document is an error of compilation: nothing is ever fetched. */
function compile(schema: AnswerSchema): ValidateFunction {
  const { Compiler } = dialectOf(schema) ?? DIALECTS[0]
  const ajv = new Compiler({ allErrors: true, strict: false, logger: false, addUsedSchema: false })
  addFormats(ajv)
  return ajv.compile(schema)
}

type Tried<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'late' }

/** Runs something synchronous that may not end: the time limit of `vm` ends everything below it, patterns included. */
function withinLimit<Value>(run: () => Value): Tried<Value> {
  try {
    // Safe: the script is nothing but the call.
    return { kind: 'done', value: runInNewContext('run()', { run }, { timeout: TRIAL_LIMIT_MS }) as Value }
  } catch (error) {
    // That one comes from the script's own realm: it is no instance of our Error.
    if (!isNativeError(error)) throw error
    return 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
      ? { kind: 'late' }
      : { kind: 'failed', message: error.message }
  }
}
