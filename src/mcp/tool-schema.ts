import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { ToolError } from '../protocol/tools.js'

/**
 * What a schema says of itself, without its name and without what holds between fields: the Messages API takes no
 * `oneOf` at the root of a tool's schema, and clients of MCP follow no `$ref`.
 */
const DESCRIPTIONS = {
  get(schema: z.core.$ZodType) {
    const { id: _id, oneOf: _oneOf, ...rest } = z.globalRegistry.get(schema) ?? {}
    return rest
  },
  has: () => true,
}

/** What clients are shown of a schema. */
export function toJsonSchema(schema: z.ZodType): Record<string, unknown> {
  // Safe: the conversion only looks descriptions up. `input`: answers are not closed, so that they may grow.
  return z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    metadata: DESCRIPTIONS as unknown as typeof z.globalRegistry,
  })
}

/** Also of an error: there are clients that hold the structured content of a failed call against the schema as well. */
export const toAnswerSchema = (schema: z.ZodType): Record<string, unknown> => ({
  type: 'object',
  ...toJsonSchema(z.union([schema, ToolError])),
})

/**
 * A schema that is shown and lets everything pass: inputs are parsed by us, so that an error has its code and names its
 * fields; answers are the service's own.
 */
export function toShown(json: Record<string, unknown>): StandardSchemaWithJSON<unknown, unknown> {
  return {
    '~standard': {
      version: 1,
      vendor: 'cc-executor',
      validate: (value) => ({ value }),
      jsonSchema: { input: () => json, output: () => json },
    },
  }
}
