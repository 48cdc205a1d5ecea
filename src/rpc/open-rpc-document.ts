import * as z from 'zod'
import { ERROR_TABLE, RpcErrorData, type ErrorCode } from '../protocol/errors.js'
import { OPERATIONS, RPC_METHODS, type RpcMapping } from '../protocol/operations.js'
import { NOTIFICATIONS } from '../protocol/subscription.js'

type Json = string | number | boolean | null | undefined | Json[] | { [key: string]: Json }
type JsonObject = { [key: string]: Json }

/** What every method can answer besides its own errors. */
const COMMON_ERRORS: readonly ErrorCode[] = ['INVALID_REQUEST', 'FORBIDDEN']
/** What is answered before a method is known, and INTERNAL: a fault of ours, which belongs to no method. */
const ENVELOPE_ERRORS: readonly ErrorCode[] = ['PARSE_ERROR', 'INVALID_ENVELOPE', 'METHOD_NOT_FOUND', 'INTERNAL']

/** `/ws` as an OpenRPC 1.3 document, derived from the operations table; the same input gives the same text. */
export function buildOpenRpcDocument(version: string): Record<string, unknown> {
  const schemas: JsonObject = {}
  const toSchema = (schema: z.ZodType): JsonObject => hoistDefinitions(schema, schemas)
  const methods = RPC_METHODS.map((name) => {
    const { errors, rpc, result: answer } = OPERATIONS[name]
    const { summary, params, result = answer }: RpcMapping = rpc
    const whole = toSchema(params)
    return {
      name,
      summary,
      paramStructure: 'by-name',
      params: toContentDescriptors(resolve(whole, schemas)),
      // All params together, with what holds between them.
      'x-params': whole,
      result: { name: 'result', schema: toSchema(result) },
      errors: [...new Set([...errors, ...COMMON_ERRORS])].map((code) => ({ $ref: `#/components/errors/${code}` })),
    }
  })
  const notifications = Object.entries(NOTIFICATIONS).map(([name, { summary, params }]) => ({
    name,
    summary,
    params: toSchema(params),
  }))
  const errorData = toSchema(RpcErrorData)
  const used = new Set<ErrorCode>([
    ...ENVELOPE_ERRORS,
    ...COMMON_ERRORS,
    ...RPC_METHODS.flatMap((name) => OPERATIONS[name].errors),
  ])
  return {
    openrpc: '1.3.2',
    info: {
      title: 'CC Executor',
      version,
      description:
        'JSON-RPC 2.0 over the WebSocket /ws: text frames, batches, params by name. Clients branch on error.data.code.',
    },
    methods,
    'x-notifications': notifications,
    'x-error-data': errorData,
    components: {
      schemas: sortKeys(schemas),
      errors: Object.fromEntries(
        Object.keys(ERROR_TABLE).flatMap((code) =>
          used.has(code as ErrorCode) ? [[code, describeError(code as ErrorCode)]] : [],
        ),
      ),
    },
  }
}

function describeError(code: ErrorCode): JsonObject {
  const { rpc, title, retryable } = ERROR_TABLE[code]
  return { code: rpc, message: title, data: { code, retryable } }
}

/**
 * The schema with its definitions moved into the document's components. Everything as input: clients may see more
 * fields than are listed.
 */
function hoistDefinitions(schema: z.ZodType, components: JsonObject): JsonObject {
  // zod's own type of a JSON Schema is wider than JSON; what it makes is JSON.
  const {
    $schema: _dialect,
    definitions = {},
    ...own
  } = tidy(z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }) as Json) as JsonObject
  Object.assign(components, definitions)
  return own
}

/** References lead to the components; a pattern that repeats what a date's format says is only long. */
function tidy(value: Json): Json {
  if (Array.isArray(value)) return value.map(tidy)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => {
      if (key === '$ref' && typeof member === 'string')
        return [[key, member.replace('#/definitions/', '#/components/schemas/')]]
      if (key === 'pattern' && value['format'] === 'date-time') return []
      return [[key, tidy(member)]]
    }),
  )
}

function resolve(schema: JsonObject, components: JsonObject): JsonObject {
  const name = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined
  // A reference of ours always leads to an object schema.
  return name === undefined ? schema : (components[name] as JsonObject)
}

function toContentDescriptors(params: JsonObject): JsonObject[] {
  const required = Array.isArray(params['required']) ? params['required'] : []
  const properties = (params['properties'] ?? {}) as { [name: string]: JsonObject }
  return Object.entries(properties).map(([name, schema]) => ({ name, required: required.includes(name), schema }))
}

function sortKeys(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}
