/**
 * A value that fits a JSON Schema, for an answer in JSON mode that nobody has scripted. Of what a schema can say, it
 * follows types, const, enum, bounds, required properties, arrays, references, combinations, formats and patterns;
 * `not`, `if` and the like are left to luck.
 */
import { isRecord, type Json } from './json.js'
import { sampleText } from './sample-text.js'

type Schema = Record<string, unknown>

interface Context {
  readonly root: Schema
  /** What a text says where the schema leaves it open. */
  readonly words: string
  readonly depth: number
}

// A schema may refer to itself without end; what is deeper has only what it requires, and then nothing.
const MAX_DEPTH = 24
const MAX_ITEMS = 1_000

/** @param words what a text says where the schema leaves it open */
export function sampleObject(schema: Schema, words: string): Record<string, Json> {
  const sampled = sample(schema, { root: schema, words, depth: 0 })
  return isRecord(sampled) ? sampled : {}
}

function sample(given: unknown, context: Context): Json {
  if (!isRecord(given)) return context.words
  if (context.depth > MAX_DEPTH) return null
  const schema = merge(given, context)
  const inner = { ...context, depth: context.depth + 1 }
  // JSON, as the whole schema is.
  if (Object.hasOwn(schema, 'const')) return schema['const'] as Json
  if (Array.isArray(schema['enum'])) return (schema['enum'] as Json[])[0] ?? null
  switch (typeOf(schema)) {
    case 'object':
      return sampleProperties(schema, inner)
    case 'array':
      return sampleItems(schema, inner)
    case 'number':
    case 'integer':
      return sampleNumber(schema)
    case 'boolean':
      return true
    case 'null':
      return null
    default:
      return sampleText(schema, context.words)
  }
}

/** The schema with what it refers to, and with all of `allOf` and the first of `anyOf` and `oneOf`, in one. */
function merge(schema: Schema, context: Context, depth = 0): Schema {
  const { $ref, allOf, anyOf, oneOf, ...own } = schema
  const parts = [
    ...(typeof $ref === 'string' ? [resolve($ref, context.root)] : []),
    ...(Array.isArray(allOf) ? (allOf as unknown[]) : []),
    ...(Array.isArray(anyOf) ? [(anyOf as unknown[])[0]] : []),
    ...(Array.isArray(oneOf) ? [(oneOf as unknown[])[0]] : []),
  ].filter(isRecord)
  if (depth > MAX_DEPTH) return own
  return parts.reduce<Schema>((merged, part) => join(merged, merge(part, context, depth + 1)), own)
}

/** Both must hold. */
function join(one: Schema, other: Schema): Schema {
  const joined: Schema = { ...other, ...one }
  for (const name of ['properties', '$defs', 'definitions']) {
    const [a, b] = [one[name], other[name]]
    if (isRecord(a) && isRecord(b)) {
      joined[name] = { ...b, ...a }
      for (const key of Object.keys(a))
        if (Object.hasOwn(b, key)) (joined[name] as Schema)[key] = { allOf: [a[key], b[key]] }
    }
  }
  if (Array.isArray(one['required']) && Array.isArray(other['required']))
    joined['required'] = [...new Set<unknown>([...(one['required'] as unknown[]), ...(other['required'] as unknown[])])]
  for (const name of ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties']) {
    const bounds = [one[name], other[name]].filter((value) => typeof value === 'number')
    if (bounds.length === 2) joined[name] = Math.max(...bounds)
  }
  for (const name of ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties']) {
    const bounds = [one[name], other[name]].filter((value) => typeof value === 'number')
    if (bounds.length === 2) joined[name] = Math.min(...bounds)
  }
  return joined
}

/** Within the schema only: `#`, `#/…` by names, `#anchor`, or the whole `$id` of a part. */
function resolve(reference: string, root: Schema): unknown {
  if (reference === '#') return root
  if (reference.startsWith('#/')) {
    let found: unknown = root
    for (const part of reference.slice(2).split('/')) {
      const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      found = isRecord(found) || Array.isArray(found) ? (found as Schema)[name] : undefined
    }
    return found
  }
  const definitions = { ...toSchema(root['definitions']), ...toSchema(root['$defs']) }
  return Object.values(definitions)
    .filter(isRecord)
    .find((part) => part['$id'] === reference || `#${String(part['$anchor'])}` === reference)
}

const toSchema = (value: unknown): Schema => (isRecord(value) ? value : {})

/** The first type that is named; else the one that the other words are about. */
function typeOf(schema: Schema): string {
  const { type } = schema
  const named: unknown = Array.isArray(type) ? (type as unknown[])[0] : type
  if (typeof named === 'string') return named
  const has = (...names: string[]): boolean => names.some((name) => Object.hasOwn(schema, name))
  if (has('properties', 'required', 'additionalProperties', 'patternProperties', 'minProperties')) return 'object'
  if (has('items', 'prefixItems', 'minItems', 'contains', 'uniqueItems')) return 'array'
  if (has('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf')) return 'number'
  return 'string'
}

const count = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise)

function sampleProperties(schema: Schema, context: Context): Json {
  const properties = toSchema(schema['properties'])
  const required = Array.isArray(schema['required']) ? (schema['required'] as unknown[]).map(String) : []
  const limit = count(schema['maxProperties'], Number.MAX_SAFE_INTEGER)
  // Deep within, only what must be: that is where a schema refers to itself.
  const optional = context.depth > 3 ? [] : Object.keys(properties).filter((name) => properties[name] !== false)
  const names = [...new Set([...required, ...optional])].slice(0, Math.max(limit, required.length))
  const patterns = Object.entries(toSchema(schema['patternProperties']))
  const others = isRecord(schema['additionalProperties']) ? schema['additionalProperties'] : {}
  const schemaOf = (name: string): unknown =>
    properties[name] ?? patterns.find(([pattern]) => matches(pattern, name))?.[1] ?? others
  const wanted = Math.min(count(schema['minProperties'], 0), MAX_ITEMS)
  for (let number = 1; names.length < wanted; number += 1) {
    const [pattern] = patterns[0] ?? []
    const name = pattern === undefined ? `property${number}` : sampleText({ pattern }, `${number}`)
    if (names.includes(name)) break
    names.push(name)
  }
  return Object.fromEntries(names.map((name) => [name, sample(schemaOf(name), context)]))
}

function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(name)
  } catch {
    return false
  }
}

function sampleItems(schema: Schema, context: Context): Json {
  // Of draft-07, `items` may be the list; `prefixItems` of 2020-12.
  const first: unknown[] = [schema['prefixItems'], schema['items']].find(Array.isArray) ?? []
  const rest = Array.isArray(schema['items']) ? (schema['additionalItems'] ?? {}) : (schema['items'] ?? {})
  const contained = schema['contains']
  const least = Math.min(Math.max(count(schema['minItems'], 0), contained === undefined ? 0 : 1), MAX_ITEMS)
  const most = Math.min(count(schema['maxItems'], MAX_ITEMS), rest === false ? first.length : MAX_ITEMS)
  const usual = context.depth > 3 ? 0 : Math.max(first.length, 1)
  const length = Math.min(Math.max(least, usual), most)
  const unique = schema['uniqueItems'] === true
  return Array.from({ length }, (_, index) => {
    const item = first[index] ?? (index === first.length && contained !== undefined ? contained : rest)
    return unique && index > 0 ? sampleAnother(item, index, context) : sample(item, context)
  })
}

/** Another one for each index, where the schema leaves a choice. */
function sampleAnother(schema: unknown, index: number, context: Context): Json {
  if (isRecord(schema)) {
    const merged = merge(schema, context)
    if (Array.isArray(merged['enum'])) return (merged['enum'] as Json[])[index] ?? null
    if (['number', 'integer'].includes(typeOf(merged))) {
      const step = count(merged['multipleOf'], 1)
      return sampleNumber(merged) + index * step
    }
  }
  return sample(schema, { ...context, words: `${context.words} ${index + 1}` })
}

function sampleNumber(schema: Schema): number {
  const isWhole = typeOf(schema) === 'integer'
  const step = count(schema['multipleOf'], 0)
  const above = typeof schema['exclusiveMinimum'] === 'number' ? schema['exclusiveMinimum'] : undefined
  const below = typeof schema['exclusiveMaximum'] === 'number' ? schema['exclusiveMaximum'] : undefined
  const least = Math.max(count(schema['minimum'], Number.NEGATIVE_INFINITY), above ?? Number.NEGATIVE_INFINITY)
  const most = Math.min(count(schema['maximum'], Number.POSITIVE_INFINITY), below ?? Number.POSITIVE_INFINITY)
  const fits = (value: number): boolean =>
    value >= least && value <= most && value !== above && value !== below && (!isWhole || Number.isInteger(value))
  const unit = step > 0 ? step : 1
  const nearLeast = Number.isFinite(least) ? Math.ceil(least / unit) * unit : unit
  const nearMost = Number.isFinite(most) ? Math.floor(most / unit) * unit : unit
  const tried = [unit, nearLeast, nearLeast + unit, nearMost, nearMost - unit, 0, least, most, (least + most) / 2]
  return tried.find((value) => Number.isFinite(value) && fits(value)) ?? 1
}
