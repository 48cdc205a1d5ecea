type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const COMPONENT = '#/components/schemas/'
/** zod writes these out for every date and integer; they tell a reader nothing. */
const LARGEST_INTEGER = Number.MAX_SAFE_INTEGER

function tidySchema(value: Json, rename: (name: string) => string): Json {
  if (Array.isArray(value)) return value.map((item) => tidySchema(item, rename))
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).filter(([key, member]) => {
    if (
      key === 'pattern' &&
      (value['format'] === 'date-time' || value['format'] === 'uuid' || value['format'] === 'uri')
    )
      return false
    return !((key === 'maximum' && member === LARGEST_INTEGER) || (key === 'minimum' && member === -LARGEST_INTEGER))
  })
  return Object.fromEntries(
    entries.map(([key, member]) => {
      if (key === '$ref' && typeof member === 'string' && member.startsWith(COMPONENT))
        return [key, COMPONENT + rename(member.slice(COMPONENT.length))]
      return [key, tidySchema(member, rename)]
    }),
  )
}

function collectReferences(value: Json, found: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectReferences(item, found)
  else if (value !== null && typeof value === 'object') {
    for (const [key, member] of Object.entries(value)) {
      if (key === '$ref' && typeof member === 'string' && member.startsWith(COMPONENT))
        found.add(member.slice(COMPONENT.length))
      else collectReferences(member, found)
    }
  }
}

/** Only schemas that something refers to, reached from the paths. */
function prune(schemas: Record<string, Json>, paths: Json): Record<string, Json> {
  const reached = new Set<string>()
  collectReferences(paths, reached)
  for (const name of reached) collectReferences(schemas[name] ?? null, reached)
  return Object.fromEntries(
    Object.entries(schemas)
      .filter(([name]) => reached.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

/** Fastify calls a path's open end `*`; OpenAPI has no such thing, and readers want a name. */
function nameOpenEnds(paths: Json): Json {
  return JSON.parse(
    JSON.stringify(paths)
      .replaceAll('/{*}"', '/{path}"')
      .replaceAll('"in":"path","name":"*"', '"in":"path","name":"path"'),
  ) as Json // safe: a copy of JSON
}

/** The generator calls every body required; one that demands nothing may be left out, and our routes take that. */
function freeBodies(value: Json): Json {
  if (Array.isArray(value)) return value.map(freeBodies)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      key === 'requestBody' && demandsNothing(member)
        ? { ...(member as { [key: string]: Json }), required: false }
        : freeBodies(member ?? null),
    ]),
  )
}

function demandsNothing(body: Json | undefined): boolean {
  // Safe: a request body as the generator has just written it.
  const { content = {} } = body as { content?: Record<string, { schema?: Record<string, Json> }> }
  return Object.values(content).every(({ schema = {} }) => schema['type'] === 'object' && !('required' in schema))
}

/**
 * "Exactly one of these members" is said by branches that only require one. Generators of clients make a type of each
 * branch by itself, and of one without properties a type that demands nothing: then `{}` is a request. So a branch
 * names the members that it requires.
 */
function nameRequired(value: Json): Json {
  if (Array.isArray(value)) return value.map(nameRequired)
  if (value === null || typeof value !== 'object') return value
  const schema = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, nameRequired(member)]))
  const { properties, oneOf } = schema
  if (!Array.isArray(oneOf) || properties === null || typeof properties !== 'object' || Array.isArray(properties))
    return schema
  const branches = oneOf.map((branch): Json => {
    if (branch === null || typeof branch !== 'object' || Array.isArray(branch)) return branch
    const { required, ...more } = branch
    if (!Array.isArray(required) || Object.keys(more).length > 0) return branch
    const named = required.flatMap((name) => (typeof name === 'string' ? [[name, properties[name] ?? {}]] : []))
    return { type: 'object', properties: Object.fromEntries(named) as { [key: string]: Json }, required }
  })
  return { ...schema, oneOf: branches }
}

/**
 * The generator emits every schema twice, for input and output (`X`, `XInput`), used or not. Here what nothing refers
 * to
 * goes, and an input schema whose plain name is free, or says the same, takes that name.
 */
export function tidyOpenApi<Document extends object>(document: Document): Document {
  // Safe: an OpenAPI document is JSON; the copy makes it plain.
  const plain = JSON.parse(JSON.stringify(document)) as {
    paths?: Json
    components?: { schemas?: Record<string, Json> }
  }
  let schemas = prune(plain.components?.schemas ?? {}, plain.paths ?? {})
  const normalize = (schema: Json | undefined): string | undefined =>
    JSON.stringify(schema)?.replaceAll(/(#\/components\/schemas\/\w+?)Input"/g, '$1"')
  const rename = (name: string): string => {
    const base = name.replace(/Input$/, '')
    if (base === name) return name
    return !(base in schemas) || normalize(schemas[base]) === normalize(schemas[name]) ? base : name
  }
  const renamed = new Map(
    Object.entries(schemas).map(([name, schema]) => [rename(name), nameRequired(tidySchema(schema, rename))]),
  )
  const paths = freeBodies(nameOpenEnds(tidySchema(plain.paths ?? {}, rename)))
  schemas = prune(Object.fromEntries(renamed), paths)
  // Safe: the same document with the same members, fewer and renamed schemas.
  return { ...plain, paths, components: { ...plain.components, schemas } } as Document
}
