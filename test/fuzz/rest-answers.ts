// What every answer must be: documented for its operation, of its schema, and a problem where it is an error.
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { ERROR_TABLE, type ErrorCode } from '../../src/protocol/errors.js'
import type { Validate } from '../support/validator.js'
import type { OpenApi, Operation, RestRequest } from './rest-requests.js'

interface RestAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** undefined: an event stream, of which nobody waits for the end. */
  readonly text: string | undefined
}

const ANSWER_DEADLINE_MS = 120_000
/** Of what may be held open by its request: it is so long that a fault would have been told. */
const HELD_MS = 150
/** May meet a request before it has found its operation, or where it is not HTTP as it should be. */
const ANYWHERE: readonly ErrorCode[] = ['METHOD_NOT_FOUND', 'METHOD_NOT_ALLOWED', 'HEADERS_TOO_LARGE']
/** Of what is no operation, before it is looked for. */
const BEFORE: readonly ErrorCode[] = ['UNAUTHENTICATED']

const mayBeHeld = ({ path, headers }: RestRequest): boolean =>
  /waitSeconds/.test(path) || [headers['prefer'] ?? []].flat().some((value) => /wait/.test(value))

export interface RestClient {
  /** undefined: it is held open, as it asked to be. */
  send(request: RestRequest): Promise<RestAnswer | undefined>
  close(): void
}

export function openRestClient(url: string): RestClient {
  const agent = new Agent({ keepAlive: true })
  const { hostname, port } = new URL(url)
  return {
    send: (request) =>
      new Promise((settled, failed) => {
        const { method, path, headers, body } = request
        const bytes = body === undefined ? undefined : Buffer.from(body)
        const sent = httpRequest({
          agent,
          hostname,
          port,
          method,
          path,
          headers: { ...headers, ...(bytes && { 'content-length': bytes.length }) },
        })
        const held = mayBeHeld(request)
        const timer = setTimeout(
          () => {
            sent.destroy()
            if (held) settled(undefined)
            else failed(new Error('no answer'))
          },
          held ? HELD_MS : ANSWER_DEADLINE_MS,
        )
        sent.on('error', failed)
        sent.on('close', () => clearTimeout(timer))
        sent.on('response', (response) => {
          const { statusCode: status = 0, headers: answered } = response
          if (answered['content-type']?.startsWith('text/event-stream')) {
            settled({ status, headers: answered, text: undefined })
            return void sent.destroy()
          }
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', failed)
          response.on('end', () => settled({ status, headers: answered, text: Buffer.concat(chunks).toString('utf8') }))
        })
        sent.end(bytes)
      }),
    close: () => agent.destroy(),
  }
}

/** The codes that a response of the document names. */
const codesOf = ({ description }: Operation['responses'][string]): string[] =>
  [...description.matchAll(/`([A-Z][A-Z_]+)`:/g)].map(([, code = '']) => code)

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** Throws where an answer is not what was promised; `leaks` are texts that no answer may hold. */
export function createRestCheck(document: OpenApi, validate: Validate, leaks: readonly string[]) {
  const templates = Object.keys(document.paths)
    .map((template) => ({ template, pattern: new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]*')}/?$`) }))
    .sort((a, b) => a.template.split('{').length - b.template.split('{').length)
  const toPointer = (text: string): string => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))

  function checkProblem({ status, headers, text }: RestAnswer, path: string, operation: Operation | undefined): void {
    if (!headers['content-type']?.startsWith('application/problem+json')) throw new Error('an error and no problem')
    // Of HEAD there is only the head.
    if (text === undefined || text === '') return
    const problem = JSON.parse(text) as { status: number; code: string }
    validate('/components/schemas/Problem', problem, 'the problem')
    const row = Object.hasOwn(ERROR_TABLE, problem.code) ? ERROR_TABLE[problem.code as ErrorCode] : undefined
    if (row?.status !== status || problem.status !== status) throw new Error('status and code do not fit')
    if ([429, 503].includes(status) && headers['retry-after'] === undefined) throw new Error('no Retry-After')
    const documented = operation?.responses[status]
    if (ANYWHERE.includes(problem.code as ErrorCode)) return
    if (!isDecodable(path) && problem.code === 'INVALID_REQUEST') return
    if (!operation && BEFORE.includes(problem.code as ErrorCode)) return
    if (!operation) throw new Error('of no operation')
    if (!documented || !codesOf(documented).includes(problem.code)) throw new Error('this code is not documented')
  }

  return ({ method, path }: RestRequest, answer: RestAnswer): void => {
    const [bare = ''] = path.split('?')
    const { status, headers, text = '' } = answer
    const item = templates.find(({ pattern }) => pattern.test(bare))?.template
    // HEAD is GET without the body.
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase()
    const operation = item === undefined ? undefined : document.paths[item]?.[verb]
    // An event may hold one: it is the CLI's.
    if (status >= 400 && leaks.some((leak) => text.includes(leak))) throw new Error('a path of the host is told')
    if (status >= 500 && !(status === 503 && item === '/health/ready')) throw new Error('a fault of ours')
    const media = headers['content-type']?.split(';')[0] ?? ''
    // Its result tells of a failed execution by 422, in the form of a problem with the outcome in it.
    const isResult = item === '/executions/{id}/result' && status === 422
    if (status >= 400 && status !== 503 && !isResult) return checkProblem(answer, bare, operation)
    const response = operation?.responses[status]
    if (item === undefined || !response) throw new Error('this status is not documented')
    if (response.content === undefined || media === '' || (method === 'HEAD' && text === '')) return
    const content = Object.keys(response.content)
    const isDocumented = content.some((type) => type === media || type === 'application/octet-stream')
    if (!isDocumented) throw new Error(`${media} is not documented`)
    if (!/[/+]json$/.test(media)) return
    const pointer = `/paths/${toPointer(item)}/${verb}/responses/${status}/content/${toPointer(media)}/schema`
    validate(pointer, JSON.parse(text), 'the answer')
  }
}
