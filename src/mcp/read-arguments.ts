/**
 * A tool's arguments as clients really send them, made into what the schema means. Only for this room: REST stays
 * strict.
 * What the schema does not decide is left as it came, so that the parsing names it.
 */
type Json = Record<string, unknown>

/**
 * Parameters that clients add to every tool and take no notice of: Gemini CLI (0.61) lets its model say whether a call
 * waits for the one before.
 */
const OF_CLIENTS = new Set(['wait_for_previous'])
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The schemas of which a value may meet any. */
function alternatives(schema: unknown): Json[] {
  if (!isObject(schema)) return []
  const { anyOf } = schema
  return Array.isArray(anyOf) ? anyOf.flatMap(alternatives) : [schema]
}

/** Whether it takes this text as a text; a schema that names no type takes everything. */
function takesText({ type, const: only, enum: some }: Json, text: string): boolean {
  if (only !== undefined) return only === text
  if (Array.isArray(some)) return some.includes(text)
  return type === undefined || type === 'string'
}

const READERS: Record<string, (text: string) => unknown> = {
  number: (text) => (NUMBER.test(text) ? Number(text) : undefined),
  integer: (text) => (NUMBER.test(text) ? Number(text) : undefined),
  boolean: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  array: (text) => parseAs(text, Array.isArray),
  object: (text) => parseAs(text, isObject),
}

function parseAs(text: string, isWanted: (value: unknown) => boolean): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return isWanted(value) ? value : undefined
  } catch {
    return undefined // no JSON: it stays the text that it is
  }
}

/** What a text stands for where no text is taken; itself where that is not clear. */
function readText(text: string, schemas: readonly Json[]): unknown {
  if (schemas.length === 0 || schemas.some((schema) => takesText(schema, text))) return text
  const readings = schemas
    .map(({ type }) => (typeof type === 'string' ? READERS[type]?.(text) : undefined))
    .filter((value) => value !== undefined)
  return readings[0] ?? text
}

function readValue(given: unknown, schema: unknown): unknown {
  const schemas = alternatives(schema)
  const value = typeof given === 'string' ? readText(given, schemas) : given
  // Within a list or an object only where one alternative can be meant.
  const [list, ...otherLists] = schemas.filter(({ type }) => type === 'array')
  if (Array.isArray(value))
    return list && otherLists.length === 0 ? value.map((item) => readValue(item, list['items'])) : value
  const [object, ...otherObjects] = schemas.filter(({ type }) => type === 'object')
  return isObject(value) && object && otherObjects.length === 0 ? readFields(value, object) : value
}

function readFields(given: Json, { properties, required, additionalProperties }: Json): Json {
  const known = isObject(properties) ? properties : {}
  const needed = Array.isArray(required) ? required : []
  // Every key becomes a field of its own, `__proto__` as well.
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => {
      if (!Object.hasOwn(known, name)) return [[name, readValue(value, additionalProperties)]]
      const isLeftOut = value === null && !needed.includes(name)
      return isLeftOut ? [] : [[name, readValue(value, known[name])]]
    }),
  )
}

/**
 * `schema` is the JSON schema of the tool's input. No optional field of ours takes null: it means that the field is
 * absent.
 */
export function readArguments(given: unknown, schema: Json): unknown {
  if (given === undefined || given === null) return {}
  if (!isObject(given)) return given
  const known = isObject(schema['properties']) ? schema['properties'] : {}
  return readFields(
    Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(known, name) || !OF_CLIENTS.has(name))),
    schema,
  )
}
