// The thread that callers' schemas and patterns run on; started and killed by schema-checks.ts.
import { parentPort } from 'node:worker_threads'
import type { ValidateFunction } from 'ajv'
import type { AnswerSchema } from './answer-schema.js'
import { compileAsCli, compileSchema, describeFaults } from './schema-rules.js'

/** `schema` is JSON: the text is the key of what was compiled before. */
export type SchemaTask =
  | { readonly kind: 'compile' | 'compile_as_cli'; readonly schema: string }
  | { readonly kind: 'validate'; readonly schema: string; readonly answer: unknown }

/** What is wrong: with the answer, or, where nothing can be held against it, with the schema. */
export type SchemaReply = { readonly faults: readonly string[] } | { readonly unusable: string }

/** Compiled schemas that are kept, of at most 100 KiB each as text; past it the one used longest ago goes. */
const KEPT = 50
const compiled = new Map<string, ValidateFunction>()

function toValidate(text: string): ValidateFunction {
  const validate = compiled.get(text) ?? compileSchema(JSON.parse(text) as AnswerSchema)
  compiled.delete(text)
  compiled.set(text, validate)
  const [oldest] = compiled.keys()
  if (compiled.size > KEPT && oldest !== undefined) compiled.delete(oldest)
  return validate
}

function carryOut(task: SchemaTask): SchemaReply {
  try {
    if (task.kind === 'compile_as_cli') compileAsCli(JSON.parse(task.schema) as AnswerSchema)
    else {
      const validate = toValidate(task.schema)
      if (task.kind === 'validate') return { faults: describeFaults(validate, task.answer) }
    }
    return { faults: [] }
  } catch (error) {
    return { unusable: error instanceof Error ? error.message : String(error) }
  }
}

parentPort?.on('message', (task: SchemaTask) => parentPort?.postMessage(carryOut(task)))
parentPort?.postMessage('ready')
