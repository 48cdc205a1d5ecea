import type { RunRequest } from '../../claude/command/run-request.js'
import { answerSchemaOf, dialectOf, type AnswerSchema } from './answer-schema.js'
import { newBudget, type SchemaChecks } from './schema-checks.js'

/** What the CLI is given of the schema, and what the model is told of it besides. */
export interface CliSchema {
  readonly schema: AnswerSchema
  readonly instruction?: string
}

/**
 * Never with `$schema`: 2.1.332 refuses to start with another dialect than its own. The CLI holds answers against the
 * schema with Ajv as it comes: draft-07, strict, no formats; where that refuses a schema it drops its StructuredOutput
 * tool without a word (2.1.197, measured 2026-11-22). Such a schema is told to the model in words instead, and enforced
 * by the server alone; so is one that could not be tried.
 */
export async function toCliSchema(
  run: RunRequest,
  executionId: string,
  owner: string,
  schemas: SchemaChecks,
): Promise<CliSchema | undefined> {
  const whole = answerSchemaOf(run, executionId)
  if (whole === undefined) return undefined
  const { $schema: dialect, ...schema } = whole
  // The default one is known to be taken.
  if (run.outputSchema === undefined) return { schema }
  const tried = await schemas.compileAsCli(schema, owner, newBudget())
  if (tried.kind === 'checked') return { schema }
  return {
    schema: { type: 'object' },
    instruction:
      'The input of the StructuredOutput tool must match this JSON Schema ' +
      `(${dialectOf({ $schema: dialect })}), formats included:\n${JSON.stringify(schema)}`,
  }
}
