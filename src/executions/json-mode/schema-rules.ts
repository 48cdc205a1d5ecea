import { createRequire } from 'node:module'
import addFormatsModule from 'ajv-formats'
import { Ajv } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { shorten } from '../../claude/json-shape.js'
import { dialectOf, type AnswerSchema, type DialectName } from './answer-schema.js'

/** Faults that are named; a wrong list of a million items has a million. */
const SHOWN_FAULTS = 20

// Safe: ajv-formats is CommonJS, whose types promise a default that Node gives as the module itself.
const addFormats = addFormatsModule as unknown as (ajv: Ajv) => void

// Safe: a JSON Schema. Node 20 warns where JSON is imported.
const draft06 = createRequire(import.meta.url)('ajv/dist/refs/json-schema-draft-06.json') as AnswerSchema

type Options = NonNullable<ConstructorParameters<typeof Ajv>[0]>

const OURS: Options = { allErrors: true, strict: false, logger: false, addUsedSchema: false }
const THE_CLIS: Options = { allErrors: true, logger: false }

interface Rules {
  readonly open: (more?: Options) => Ajv
  /** Holds schemas against the dialect's own schema, whose compilation costs ten times as much as most schemas'. */
  meta?: Ajv
}

const ours = (Compiler: typeof Ajv, metaSchemas: readonly AnswerSchema[] = []): Rules => ({
  open: (more) => {
    const ajv = new Compiler({ ...OURS, ...more })
    addFormats(ajv)
    if (more?.meta !== false) ajv.addMetaSchema([...metaSchemas])
    return ajv
  },
})
const OUR_RULES: Readonly<Record<DialectName, Rules>> = {
  '2020-12': ours(Ajv2020),
  '2019-09': ours(Ajv2019),
  'draft-07': ours(Ajv),
  // Draft-07 added words and changed none.
  'draft-06': ours(Ajv, [draft06]),
}
const CLI_RULES: Rules = { open: (more) => new Ajv({ ...THE_CLIS, ...more }) }

/**
 * A compiler for each schema: in a shared one an `$id` of one caller's would be there for the next. It knows the
 * dialect's own schema only where this one may refer to it.
 */
function compile(rules: Rules, schema: AnswerSchema): ValidateFunction {
  const { $schema: _dialect, ...rest } = schema
  if (JSON.stringify(rest).includes('json-schema.org/')) return rules.open().compile(schema)
  rules.meta ??= rules.open()
  void rules.meta.validateSchema(schema, true)
  return rules.open({ meta: false, validateSchema: false }).compile(schema)
}

/** How the server holds answers against a schema. A reference to another document is an error: nothing is fetched. */
export const compileSchema = (schema: AnswerSchema): ValidateFunction =>
  compile(OUR_RULES[dialectOf(schema) ?? '2020-12'], schema)

/** How the CLI does: draft-07, strict, no formats. */
export const compileAsCli = (schema: AnswerSchema): ValidateFunction => compile(CLI_RULES, schema)

const SHOWN_VALUE = 100

/** What stands at a JSON pointer of the answer. (Ajv's own `verbose` keeps three references a fault.) */
const valueAt = (answer: unknown, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>(
      (value, key) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, key)
          ? (value as Record<string, unknown>)[key]
          : undefined,
      answer,
    )

/** What was there instead: a simple value as it is, of others only the kind, and only where the kind is the fault. */
function describeValue(value: unknown, keyword: string): string {
  if (Array.isArray(value)) return keyword === 'type' ? ', was an array' : ''
  if (typeof value === 'object' && value !== null) return keyword === 'type' ? ', was an object' : ''
  if (value === undefined) return ''
  const shown = JSON.stringify(value)
  return `, was ${shown.length > SHOWN_VALUE ? `${shorten(shown, SHOWN_VALUE)}…` : shown}`
}

/** What is wrong with an answer, one sentence each with its place; empty when it is right. */
export function describeFaults(validate: ValidateFunction, answer: unknown): string[] {
  if (validate(answer)) return []
  return (validate.errors ?? [])
    .slice(0, SHOWN_FAULTS)
    .map(({ instancePath, keyword, message = 'is not valid', params }) => {
      const named: unknown = params['additionalProperty'] ?? params['allowedValue'] ?? params['allowedValues']
      const place = instancePath === '' ? 'the answer' : instancePath
      const wanted = named === undefined ? '' : ` (${JSON.stringify(named)})`
      return `${place} ${message}${wanted}${describeValue(valueAt(answer, instancePath), keyword)}`
    })
}
