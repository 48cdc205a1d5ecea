import * as z from 'zod'

/**
 * Every schema that has an id has a name in the documents. zod takes `id: undefined` as an id as well, and the
 * documents then fail at their first request.
 * Asked by the API alone, which makes both documents: MCP shows schemas without names, and worker and command line only
 * parse by them.
 * @throws Error naming the schema by its own description or fields
 */
export function requireSchemaIds(registry: Pick<typeof z.globalRegistry, '_idmap' | 'get'> = z.globalRegistry): void {
  for (const [id, schema] of registry._idmap as ReadonlyMap<unknown, z.core.$ZodType>) {
    if (typeof id === 'string' && id !== '') continue
    throw new Error(
      `A schema is registered with the id ${JSON.stringify(id) ?? 'undefined'}: give it a name, or no ` +
        `id at all (${describeSchema(schema, registry)}).`,
    )
  }
}

function describeSchema(schema: z.core.$ZodType, registry: Pick<typeof z.globalRegistry, 'get'>): string {
  const fields = schema instanceof z.ZodObject ? `{ ${Object.keys(schema.shape).join(', ')} }` : schema._zod.def.type
  const description = registry.get(schema)?.description
  return description === undefined ? fields : `${fields}, ${JSON.stringify(description)}`
}
