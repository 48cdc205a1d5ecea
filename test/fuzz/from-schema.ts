// Values by a JSON schema as the documents of the service have them: what is valid by its text.
import * as fc from 'fast-check'
import type { Arbitrary } from 'fast-check'

export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly propertyNames?: Schema
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
}

/** A schema within a schema is followed this far. */
const DEPTH = 5
const ITEMS = 3
const LENGTH = 12

/** What a reference of a document leads to. */
export function resolve(document: object, { $ref }: { readonly $ref?: string }): Schema | undefined {
  if ($ref === undefined) return undefined
  let at: unknown = document
  for (const part of $ref.replace(/^#\//, '').split('/')) at = (at as Record<string, unknown>)[part]
  // Safe: a reference of a document leads to a schema of it.
  return at as Schema
}

/** Lookarounds and properties of characters are beyond fast-check: short strings are tried then. */
function toMatching(pattern: string): Arbitrary<string> {
  if (!/\(\?<?[!=]|\\p\{/.test(pattern)) return fc.stringMatching(new RegExp(pattern), { size: '-1' })
  const expression = new RegExp(pattern, 'u')
  return fc.string({ minLength: 1, maxLength: 8 }).filter((text) => expression.test(text))
}

function toStrings({ minLength = 0, maxLength = Infinity, pattern, format }: Schema): Arbitrary<string> {
  const whole = (text: string): boolean => text.length >= minLength && text.length <= maxLength
  if (format === 'date-time') return fc.date({ noInvalidDate: true }).map((date) => date.toISOString())
  if (format === 'date')
    return fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('2099-01-01') })
      .map((date) => date.toISOString().slice(0, 10))
  if (format === 'uuid') return fc.uuid()
  if (format === 'uri') return fc.webUrl()
  if (pattern !== undefined) return toMatching(pattern).filter(whole)
  const bounds = { minLength, maxLength: Math.min(maxLength, minLength + LENGTH) }
  return fc.oneof({ arbitrary: fc.string(bounds), weight: 3 }, fc.string({ ...bounds, unit: 'grapheme' })).filter(whole)
}

function toNumbers({ type, minimum, maximum, exclusiveMinimum }: Schema): Arbitrary<number> {
  const min = minimum ?? exclusiveMinimum ?? -1e6
  const max = maximum ?? 1e6
  if (type === 'integer') {
    const first = Math.ceil(exclusiveMinimum === undefined ? min : exclusiveMinimum + 1)
    return fc.oneof(fc.integer({ min: first, max: Math.floor(max) }), fc.constantFrom(first, Math.floor(max)))
  }
  return fc.double({ min, max, minExcluded: exclusiveMinimum !== undefined, noNaN: true })
}

/** Each property that is not required is there in one of `sparse` values. */
export function toObjects(document: object, schema: Schema, sparse = 3, depth = 0): Arbitrary<Record<string, unknown>> {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema
  const named = fc.record(
    Object.fromEntries(
      Object.entries(properties).map(([name, property]) => {
        const value = toValues(document, property, depth + 1)
        const absent = { arbitrary: fc.constant(undefined), weight: sparse - 1 }
        return [name, required.includes(name) ? value : fc.oneof(absent, { arbitrary: value, weight: 1 })]
      }),
    ),
  )
  if (typeof additionalProperties !== 'object') return named
  const names = propertyNames ? toStrings(resolve(document, propertyNames) ?? propertyNames) : fc.string()
  const others = fc.dictionary(names, toValues(document, additionalProperties, depth + 1), { maxKeys: ITEMS })
  return fc.tuple(named, others).map(([some, more]) => ({ ...more, ...some }))
}

export function toValues(document: object, schema: Schema, depth = 0): Arbitrary<unknown> {
  const target = resolve(document, schema)
  if (target !== undefined) return toValues(document, target, depth)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? (schema.properties === undefined ? schema.oneOf : undefined)
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => toValues(document, choice, depth)))
  switch (schema.type) {
    case 'string':
      return toStrings(schema)
    case 'integer':
    case 'number':
      return toNumbers(schema)
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array': {
      const { items = {}, minItems = 0, maxItems = ITEMS } = schema
      if (depth >= DEPTH) return fc.constant([])
      return fc.array(toValues(document, items, depth + 1), {
        minLength: minItems,
        maxLength: Math.min(maxItems, minItems + ITEMS),
      })
    }
    case 'object':
      return depth >= DEPTH ? fc.constant({}) : toObjects(document, schema, 3, depth)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}
