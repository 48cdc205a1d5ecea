// Requests by openapi.json, each operation with what it takes, near to what is valid.
import * as fc from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { TOKENS } from '../started/started-service.js'
import { resolve, toObjects, toValues, type Schema } from './from-schema.js'
import { bodyTexts, oddTexts } from './mutations.js'
import type { FuzzScene } from './scene.js'

export interface Parameter {
  readonly name: string
  readonly in: string
  readonly schema: Schema
}
export interface Operation {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: object }>>
}
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

export interface RestRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string
}

/** Of the properties of a body one in this many is there. */
const SPARSE = 14
/** These would free the only slot, or take away what the others read. */
const ENDS = new Set(['post /executions/{id}/cancel', 'delete /executions/{id}'])

const MEDIA = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=latin1',
  'APPLICATION/JSON',
  'application/json, text/plain',
  'application/merge-patch+json',
  'application/problem+json',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'text/plain',
  'text/event-stream',
  'text/markdown',
  'text/csv',
  'application/x-ndjson',
  'image/png',
  '*/*',
  '*/*;q=0',
  'application/json;q=0, */*;q=0.1',
  'application/json;q=2',
  ';;;',
  '/',
  'a/b/c',
  '',
]
/** Node reads a head of 16 KiB. */
const PARSED_CHARACTERS = 12_000

const HEADERS: Readonly<Record<string, readonly string[]>> = {
  accept: MEDIA,
  'accept-encoding': ['gzip', 'identity;q=0', '*;q=0', 'br, x'],
  'content-encoding': ['gzip', 'identity', 'x', ''],
  prefer: ['wait=0', 'wait=-1', 'wait=1e3', 'wait=x', 'wait', 'wait="0"', 'respond-async', 'wait=0, wait=0', ';', ''],
  'idempotency-key': ['k', 'a b', '"k"', 'k'.repeat(255), 'k'.repeat(256), 'k'.repeat(5_000), 'é', ''],
  'last-event-id': ['0', '1', '-1', '999999', '1.5', 'x', '9'.repeat(40), ''],
  range: [
    'bytes=0-3',
    'bytes=-1',
    'bytes=5-1',
    'bytes=0-0,2-3',
    'bytes=99999999999999999999-',
    'lines=1-2',
    'bytes',
    '',
  ],
  'if-none-match': ['*', '"x"', 'W/"x"', '"', ''],
  'if-range': ['"x"', 'Thu, 01 Jan 1970 00:00:00 GMT', 'x'],
  'if-modified-since': ['Thu, 01 Jan 1970 00:00:00 GMT', 'x'],
  expect: ['100-continue', 'x'],
  'x-request-id': ['x'.repeat(3_000)],
  cookie: ['a=b; __proto__=c'],
}
const AUTHORIZATIONS = [
  `Bearer ${TOKENS.reader}`,
  `Bearer ${TOKENS.runner}`,
  `Bearer ${TOKENS.other}`,
  `Bearer ${TOKENS.poor}`,
  `bearer ${TOKENS.all}`,
  'Bearer x',
  'Bearer',
  'Basic YTpi',
  '',
]

/** Seven of eight times the first. */
const mostly = <Value>(usual: Arbitrary<Value>, odd: Arbitrary<Value>, weight = 7): Arbitrary<Value> =>
  fc.oneof({ arbitrary: usual, weight }, { arbitrary: odd, weight: 1 })
const encode = (text: string): string => encodeURIComponent(text.toWellFormed())
/** What a request line can bear without being another request. */
const inPath = (text: string): string => text.replaceAll(/[^\x21-\x7e]|[#?]/g, encode)

function toIds(scene: FuzzScene, name: string): Arbitrary<string> {
  const safe = ENDS.has(name) ? scene.ids.filter((id) => ![scene.running, scene.finished].includes(id)) : scene.ids
  const near = [scene.finished.toUpperCase(), `${scene.finished}0`, scene.finished.slice(1), 'a'.repeat(101)]
  return mostly(
    fc.constantFrom(...safe),
    oddTexts(near).chain((text) => fc.constantFrom(encode(text), inPath(text))),
  )
}

function toQueries(document: object, parameters: readonly Parameter[], scene: FuzzScene): Arbitrary<string> {
  const queries = parameters.filter((parameter) => parameter.in === 'query')
  const names = fc.constantFrom('extra', 'metadata.team', '__proto__', '', ...queries.map(({ name }) => name))
  const known = ['0', '1', '-1', '200', '201', 'json', 'succeeded,failed', 'execution.finished', ...scene.ids]
  const valid = queries.map(({ name, schema }) =>
    fc.option(
      // A wait would only last.
      (name === 'waitSeconds' ? fc.constant('0') : toValues(document, schema)).map(
        (value) => `${name}=${[value].flat().map(String).map(encode).join(',')}`,
      ),
    ),
  )
  const odd = fc
    .tuple(names, oddTexts(known))
    .map(([name, value]) => `${encode(name)}=${name === 'waitSeconds' && Number(value) > 0 ? '-1' : encode(value)}`)
  return fc
    .tuple(fc.tuple(...valid), mostly(fc.constant<string[]>([]), fc.array(odd, { minLength: 1, maxLength: 2 }), 1))
    .map(([some, others]) => [...some.filter((part) => part !== null), ...others].join('&'))
}

function toHeaders(hasBody: boolean): Arbitrary<Record<string, string | readonly string[]>> {
  const authorization = mostly(fc.constant(`Bearer ${TOKENS.all}`), fc.constantFrom(...AUTHORIZATIONS), 9)
  const contentType = mostly(fc.constant('application/json'), fc.constantFrom(...MEDIA))
  const others = fc
    .constantFrom(...Object.keys(HEADERS))
    .chain((name) =>
      fc
        .array(fc.constantFrom(...(HEADERS[name] ?? [])), { minLength: 1, maxLength: 2 })
        .map((values) => [name, values]),
    )
  return fc
    .record({ authorization, contentType, others: fc.array(others, { maxLength: 2 }) })
    .map(({ authorization, contentType, others }) => ({
      authorization,
      ...(hasBody && { 'content-type': contentType }),
      ...(Object.fromEntries(others) as Record<string, readonly string[]>),
    }))
}

/** What an operation takes at its simplest. */
function toBodies(document: OpenApi, name: string, schema: Schema, scene: FuzzScene): Arbitrary<unknown> {
  const target = resolve(document, schema) ?? schema
  if (name === 'post /receipts/verify')
    return mostly(fc.constant({ receipt: scene.receipt }), toValues(document, schema))
  if (target.properties?.['prompt'] === undefined) return toValues(document, schema)
  const one = fc.oneof(
    { arbitrary: fc.constant({ prompt: 'Say hello' }), weight: 4 },
    { arbitrary: fc.constant({ command: 'claude -p "Say hello" --model haiku' }), weight: 1 },
    {
      arbitrary: toValues(document, target.properties['tasks'] ?? {}).map((tasks) => ({ tasks })),
      weight: 1,
    },
  )
  const { prompt: _prompt, command: _command, tasks: _tasks, ...properties } = target.properties
  return fc
    .tuple(toObjects(document, { properties }, SPARSE), one)
    .map(([more, what]): Record<string, unknown> => ({ ...more, ...what }))
}

export function restRequests(document: OpenApi, scene: FuzzScene): Arbitrary<RestRequest> {
  const operations = Object.entries(document.paths).flatMap(([template, item]) =>
    Object.entries(item).map(([method, operation]) => ({ template, method, operation })),
  )
  const known = [...scene.ids, scene.sessionId]
  return fc.constantFrom(...operations).chain(({ template, method, operation: { parameters = [], requestBody } }) => {
    const name = `${method} ${template}`
    const [content] = Object.values(requestBody?.content ?? {})
    const paths = fc
      .tuple(toIds(scene, name), mostly(fc.constant('data.bin'), oddTexts(['data.bin/']).map(encode)))
      .map(([id, file]) => template.replace('{id}', () => id).replace('{path}', () => file))
    const isEnd = ENDS.has(name)
    const requests = fc.record(
      {
        method: mostly(
          fc.constant(method.toUpperCase()),
          // Of an id that is not to end nothing else may become a DELETE.
          fc.constantFrom('HEAD', 'PUT', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND', isEnd ? 'DELETE' : 'QUERY'),
          30,
        ),
        path: fc
          .tuple(paths, toQueries(document, parameters, scene))
          .map(([path, query]) => (query === '' ? path : `${path}?${query}`)),
        headers: toHeaders(content !== undefined),
        body: content
          ? bodyTexts(toBodies(document, name, content.schema, scene), known)
          : mostly(fc.constant(''), fc.constantFrom('{}', 'x', 'null'), 20),
      },
      { requiredKeys: ['method', 'path', 'headers'] },
    )
    // What Node's parser refuses is answered before its method is known: the error has a body, also to HEAD.
    return requests.filter((request) => request.method !== 'HEAD' || request.path.length < PARSED_CHARACTERS)
  })
}
