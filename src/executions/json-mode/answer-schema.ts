import type { AnySchemaObject } from 'ajv'
import type { RunRequest } from '../../claude/command/run-request.js'
import { withoutRootReference } from './root-reference.js'

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
  if (run.outputSchema !== undefined) return withoutRootReference(run.outputSchema) ?? run.outputSchema
  return run.json === true ? defaultSchema(executionId) : undefined
}

/** Without `$schema` the first one. */
export const DIALECTS = [
  { name: '2020-12', uri: 'https://json-schema.org/draft/2020-12/schema' },
  { name: '2019-09', uri: 'https://json-schema.org/draft/2019-09/schema' },
  { name: 'draft-07', uri: 'http://json-schema.org/draft-07/schema' },
  { name: 'draft-06', uri: 'http://json-schema.org/draft-06/schema' },
] as const

export type DialectName = (typeof DIALECTS)[number]['name']

export function dialectOf({ $schema }: AnswerSchema): DialectName | undefined {
  if ($schema === undefined) return DIALECTS[0].name
  return typeof $schema === 'string' ? DIALECTS.find(({ uri }) => uri === $schema.replace(/#$/, ''))?.name : undefined
}
