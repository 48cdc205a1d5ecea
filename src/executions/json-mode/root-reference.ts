import type { AnySchemaObject as AnswerSchema } from 'ajv'

/** Keywords that say nothing of a value: beside a reference they change nothing. */
const SILENT = new Set([
  '$schema',
  '$id',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
])

const isObject = (value: unknown): value is AnswerSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a JSON pointer within the schema leads to, through members of objects; undefined where that is no object. */
function follow(schema: AnswerSchema, reference: string): AnswerSchema | undefined {
  let found: unknown = schema
  try {
    for (const part of decodeURIComponent(reference).slice(2).split('/')) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
      if (!isObject(found) || !Object.hasOwn(found, name)) return undefined
      found = found[name]
    }
  } catch {
    return undefined
  }
  return isObject(found) ? found : undefined
}

/**
 * The same schema without a reference at its root, as generators write it (zod-to-json-schema for a named schema):
 * what it refers to stands there instead, since the API takes only an object's own keywords at the root of a tool's
 * input. undefined where that cannot be said: another document, an anchor, a circle, or something beside the reference
 * that counts.
 */
export function withoutRootReference(schema: AnswerSchema): AnswerSchema | undefined {
  let root = schema
  const seen = new Set<unknown>()
  while (Object.hasOwn(root, '$ref')) {
    const { $ref, ...beside } = root
    if (typeof $ref !== 'string' || !$ref.startsWith('#/') || seen.has($ref)) return undefined
    // Up to draft-07 whatever stands beside a reference is ignored.
    if (!Object.keys(beside).every((name) => SILENT.has(name))) return undefined
    seen.add($ref)
    const target = follow(schema, $ref)
    // An id would give other references in it another meaning than at the root.
    if (target === undefined || (target !== schema && '$id' in target)) return undefined
    const own = Object.fromEntries(Object.entries(schema).filter(([name]) => SILENT.has(name)))
    root = { ...own, ...target, ...pick(schema, '$defs', 'definitions') }
  }
  return root
}

const pick = (schema: AnswerSchema, ...names: string[]): AnswerSchema =>
  Object.fromEntries(Object.entries(schema).filter(([name]) => names.includes(name)))
