import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import formats from 'ajv-formats'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { ROOT } from './paths.js'
import type { Answer, TestService } from './service.js'

type Call = TestService['call']

/** Paths that are deliberately not in the document. */
const UNDESCRIBED = /^\/(?:docs|openapi\.json|ws|mcp)?(?:\/|$|\?)/

/**
 * Once for all files that share a process (src/setup/share-processes.mjs), since what it compiles for one file, half a
 * CPU second, is the same for the next.
 */
const openDocument = async () => {
  // As committed, which is what /openapi.json answers (test/started/walk.ts): making it takes a service half a second.
  const document = JSON.parse(await readFile(join(ROOT, 'openapi/openapi.json'), 'utf8')) as {
    paths: Record<string, Record<string, { responses: Record<string, { content?: Record<string, unknown> }> }>>
  }
  // That its schemas are schemas is tested once, elsewhere.
  const ajv = new Ajv2020({ strict: false, allErrors: true, meta: false, validateSchema: false })
  // Safe: the package's default export is a function; its types say otherwise under NodeNext.
  ;(formats as unknown as (ajv: Ajv2020) => void)(ajv)
  ajv.addSchema(document, 'openapi')
  return { document, ajv, validators: new Map<string, ValidateFunction>() }
}
const opened: { document?: ReturnType<typeof openDocument> } = {}

/**
 * A `call` that also holds every answer against openapi.json: its status is declared, its body fits the schema,
 * an error is a Problem and says its own status. Throws where an answer breaks the promise.
 */
export async function openConformingCall(
  call: Call,
): Promise<{ call: Call; document: Record<string, unknown>; checked: Set<string> }> {
  const { document, ajv, validators } = await (opened.document ??= openDocument())
  const checked = new Set<string>()
  const templates = Object.keys(document.paths).map((template) => ({
    template,
    pattern: new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }))
  templates.sort((a, b) => a.template.split('{').length - b.template.split('{').length)

  const escape = (text: string): string => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))
  function validate(pointer: string, value: unknown, what: string): void {
    let validator = validators.get(pointer)
    if (!validator) validators.set(pointer, (validator = ajv.compile({ $ref: `openapi#${pointer}` })))
    if (!validator(value))
      throw new Error(
        `${what} does not conform: ${ajv.errorsText(validator.errors)}: ${JSON.stringify(value).slice(0, 2_000)}`,
      )
  }

  function check(method: string, path: string, answer: Answer): void {
    const what = `${method} ${path} → ${answer.status}`
    const media = answer.headers.get('content-type')?.split(';')[0] ?? ''
    const isProblem = media === 'application/problem+json'
    if (isProblem) {
      if (answer.body.status !== answer.status) throw new Error(`${what} says status ${answer.body.status}`)
    } else if (answer.status >= 400 && path !== '/health/ready') {
      throw new Error(`${what} is an error and no problem+json: ${answer.text}`)
    }
    const template = templates.find(({ pattern }) => pattern.test(path.split('?')[0] ?? ''))?.template
    const responses = template === undefined ? undefined : document.paths[template]?.[method.toLowerCase()]?.responses
    const response = responses?.[String(answer.status)]
    // Host, Origin, Accept and the method are refused on every path alike and stand in no operation.
    if (response === undefined && isProblem) return validate('/components/schemas/Problem', answer.body, what)
    if (template === undefined && UNDESCRIBED.test(path)) return
    if (template === undefined || response === undefined) throw new Error(`${what}: this answer is not in the document`)
    checked.add(`${method} ${template} ${answer.status}`)
    if (answer.status === 204) return
    const isStreamOrExport = /event-stream|csv|ndjson/.test(media)
    if (isStreamOrExport) return
    if (response.content?.[media] === undefined) throw new Error(`${what}: ${media} is not declared`)
    const pointer = `/paths/${escape(template)}/${method.toLowerCase()}/responses/${answer.status}/content/${escape(media)}/schema`
    validate(pointer, /json/.test(media) ? answer.body : answer.text, what)
  }

  return {
    document,
    checked,
    async call(method, path, options) {
      const answer = await call(method, path, options)
      check(method, path, answer)
      return answer
    },
  }
}
