// Walks every answer that the documents of a started service name, and holds each against its schema, as it is served.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { ERROR_TABLE, type ErrorCode } from '../../src/protocol/errors.js'
import { ROOT } from '../support/paths.js'
import { openValidator } from '../support/validator.js'
import { COMMON_CASES, REST_OPERATIONS, type Phase, type RestCase } from './rest-cases.js'
import { BROKEN_FRAMES, COMMON_RPC_CASES, NOT_PRODUCED, RPC_METHODS, type RpcCase } from './rpc-cases.js'
import { ask, setScene, type Scene } from './scene.js'
import { TOKENS, type Started, type TokenName } from './started-service.js'
import { once, repeat } from '../support/deadlines.js'

/** At once, so that two cores are busy and no limit of the scene is met. */
const AT_ONCE = 4
const ANSWER_DEADLINE_MS = 60_000

interface Responses {
  readonly responses: Readonly<Record<string, { description: string; content?: Record<string, unknown> }>>
}
interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Responses>>>>
}
interface OpenRpc {
  readonly methods: readonly { name: string; errors: readonly { $ref: string }[] }[]
  readonly 'x-notifications': readonly { name: string }[]
  readonly components: { readonly errors: Readonly<Record<string, { code: number; message: string }>> }
}

/** Something to do and the phase that it belongs to. */
interface Step {
  readonly phase: Phase
  readonly what: string
  run(scene: Scene): Promise<void>
}

const toPointer = (text: string): string => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))

/** The answers that a response of the document stands for: its codes, or its media types. */
function answersOf(status: string, { description, content = {} }: Responses['responses'][string]): string[] {
  const codes = [...description.matchAll(/`([A-Z][A-Z_]+)`:/g)].map(([, code = '']) => code)
  if (codes.length > 0) return codes
  const media = Object.keys(content)
  return media.length === 0 ? [status] : media.map((type) => `${status} ${type}`)
}

/** Of what is documented and what is prepared, whatever has no counterpart. */
function unmatched(documented: readonly string[], prepared: readonly string[]): string[] {
  return [
    ...documented.filter((key) => !prepared.includes(key)).map((key) => `no case for ${key}`),
    ...prepared.filter((key) => !documented.includes(key)).map((key) => `not documented: ${key}`),
  ]
}

/** Bytes that are somebody’s, or were hashed: a file of a run, and a receipt. */
const TO_THE_BYTE =
  /^get \/executions\/\{id\}\/(?:files\/\{path\} |files\.tar\.gz |patch |bundle |receipt → 200 application\/json|result → 200 text\/plain)/

/** Every other text ends its last line, so that a prompt of a shell stands below it. */
const endsItsLine = (what: string, text: string): boolean =>
  text === '' || text.endsWith('\n') || TO_THE_BYTE.test(what)

function planRest(url: string, document: OpenApi): { steps: Step[]; gaps: string[] } {
  const validate = openValidator(new Ajv2020({ strict: false, allErrors: true }), document)
  const steps: Step[] = []
  const gaps: string[] = []
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { responses }]) => ({ name: `${method} ${path}`, method, path, responses })),
  )
  gaps.push(
    ...unmatched(
      operations.map(({ name }) => name),
      Object.keys(REST_OPERATIONS),
    ),
  )
  for (const { name, method, path, responses } of operations) {
    const operation = REST_OPERATIONS[name]
    if (!operation) continue
    const documented = Object.entries(responses).flatMap(([status, response]) =>
      answersOf(status, response).map((key) => ({ status: Number(status), key })),
    )
    gaps.push(
      ...unmatched(
        documented.map(({ key }) => key),
        [
          ...Object.keys(operation.cases),
          ...documented.filter(({ key }) => Object.hasOwn(COMMON_CASES, key)).map(({ key }) => key),
        ],
      ).map((gap) => `${name}: ${gap}`),
    )
    for (const { status, key } of documented) {
      const one: RestCase | undefined = operation.cases[key] ?? COMMON_CASES[key as ErrorCode]?.(operation)
      if (!one) continue
      const what = `${name} → ${key}`
      steps.push({
        phase: one.phase ?? 'first',
        what,
        async run(scene) {
          const answer = await ask(url, { method: method.toUpperCase(), ...(await one.make(scene)) })
          const [, media] = key.split(' ')
          const said = `${what}: ${answer.status} ${answer.media} ${answer.text.slice(0, 300)}`
          if (answer.status !== status) throw new Error(said)
          if (!endsItsLine(what, answer.text)) throw new Error(`${what}: no newline ends ${answer.text.slice(-80)}`)
          if (Object.hasOwn(ERROR_TABLE, key)) {
            if (answer.body?.code !== key || answer.body.status !== status) throw new Error(said)
          } else if (media !== undefined && answer.media !== media) throw new Error(said)
          if (answer.media === '' || responses[status]?.content === undefined) return
          validate(
            `/paths/${toPointer(path)}/${method}/responses/${status}/content/${toPointer(answer.media)}/schema`,
            answer.body ?? answer.text,
            what,
          )
        },
      })
    }
  }
  return { steps, gaps }
}

interface Message {
  readonly id?: unknown
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly code: string } }
}

/** Sends texts on a connection of its own, each when the one before is answered; every message that came. */
async function talk(
  url: string,
  as: TokenName,
  texts: readonly string[],
  isOver: (messages: readonly Message[]) => boolean,
): Promise<Message[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${TOKENS[as]}` },
  })
  const messages: Message[] = []
  const abort = AbortSignal.timeout(ANSWER_DEADLINE_MS)
  // Safe: what the server sends is JSON-RPC, which the walk then checks.
  socket.on('message', (data: Buffer) => void messages.push(JSON.parse(data.toString()) as Message))
  try {
    await once(socket, 'open', { signal: abort })
    for (const [index, text] of texts.entries()) {
      socket.send(text)
      const isAnswered = (): boolean => messages.filter((message) => message.method === undefined).length > index
      const isDone = (): boolean => isAnswered() && (index < texts.length - 1 || isOver(messages))
      await repeat(
        async () => isDone() || once(socket, 'message', { signal: abort }).then(() => undefined),
        'every request is answered',
      )
    }
    return messages
  } finally {
    socket.terminate()
  }
}

function planRpc(url: string, document: OpenRpc): { steps: Step[]; gaps: string[] } {
  const validate = openValidator(new Ajv({ strict: false, allErrors: true }), document)
  const {
    methods,
    components: { errors },
  } = document
  const steps: Step[] = []
  const gaps = unmatched(
    methods.map(({ name }) => name),
    Object.keys(RPC_METHODS),
  )
  const checkError = ({ error }: Message, code: string, what: string): void => {
    if (error?.data.code !== code || error.code !== errors[code]?.code)
      throw new Error(`${what}: ${JSON.stringify(error)}`)
    validate('/x-error-data', error.data, what)
  }
  const checkNotifications = (messages: readonly Message[], what: string): void => {
    for (const { method, params } of messages.filter((message) => message.method !== undefined)) {
      const index = document['x-notifications'].findIndex(({ name }) => name === method)
      if (index < 0) throw new Error(`${what}: ${method} is not documented`)
      validate(`/x-notifications/${index}/params`, params, `${what}: ${method}`)
    }
  }
  for (const [index, { name, errors: references }] of methods.entries()) {
    const known = RPC_METHODS[name]
    if (!known) continue
    const documented = ['result', ...references.map(({ $ref }) => $ref.split('/').at(-1) ?? '')]
    gaps.push(
      ...unmatched(documented, [
        ...Object.keys(known.cases),
        ...documented.filter((key) => Object.hasOwn(COMMON_RPC_CASES, key)),
      ]).map((gap) => `${name}: ${gap}`),
    )
    for (const key of documented) {
      const one: RpcCase | undefined = known.cases[key] ?? COMMON_RPC_CASES[key as ErrorCode]?.(known)
      if (!one) continue
      const what = `${name} → ${key}`
      steps.push({
        phase: one.phase ?? 'first',
        what,
        async run(scene) {
          const { as = 'all', before = [], params } = await one.make(scene)
          const calls = [...before, { method: name, params }].map((call, id) =>
            JSON.stringify({ jsonrpc: '2.0', id, ...call }),
          )
          // A subscription is followed to its end.
          const isFollowed = name === 'execution.subscribe' && key === 'result'
          const messages = await talk(
            url,
            as,
            calls,
            (all) => !isFollowed || all.some(({ method }) => method === 'subscription.closed'),
          )
          checkNotifications(messages, what)
          const answer = messages.find(({ id }) => id === calls.length - 1) ?? {}
          if (key !== 'result') return checkError(answer, key, what)
          validate(`/methods/${index}/x-params`, params, `${what}: its params`)
          if (answer.error !== undefined) throw new Error(`${what}: ${JSON.stringify(answer.error)}`)
          validate(`/methods/${index}/result/schema`, answer.result, what)
        },
      })
    }
  }
  const walked = new Set(
    methods.flatMap(({ errors: references }) => references.map(({ $ref }) => $ref.split('/').at(-1) ?? '')),
  )
  gaps.push(...unmatched(Object.keys(errors), [...walked, ...Object.keys(BROKEN_FRAMES), ...NOT_PRODUCED]))
  for (const [code, text] of Object.entries(BROKEN_FRAMES)) {
    steps.push({
      phase: 'first',
      what: `a frame → ${code}`,
      async run() {
        const [answer = {}] = await talk(url, 'all', [text], () => true)
        checkError(answer, code, code)
      },
    })
  }
  return { steps, gaps }
}

async function runAll(t: Test, steps: readonly Step[], scene: Scene): Promise<void> {
  const left = [...steps]
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let step = left.shift(); step; step = left.shift()) {
        await step.run(scene).then(
          () => t.pass(step.what),
          (error: unknown) => t.fail(`${step.what}: ${String(error)}`),
        )
      }
    }),
  )
}

const readCommitted = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(join(ROOT, 'openapi', name), 'utf8'))

/** `rpc.discover` as a client asks for it. */
async function discover(url: string): Promise<OpenRpc> {
  const [{ result } = {}] = await talk(url, 'all', ['{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}'], () => true)
  // Safe: compared to the committed one before anything is made of it.
  return result as OpenRpc
}

/** The whole walk. In its last phase Redis stands still. */
export async function walk(t: Test, { url, folder, admission, freezeRedis }: Started): Promise<void> {
  const openapi = (await ask(url, { method: 'GET', path: '/openapi.json', as: null })).body as OpenApi
  const openrpc = await discover(url)
  t.same(openapi, await readCommitted('openapi.json'), '/openapi.json is the committed one')
  t.same(openrpc, await readCommitted('rpc.schema.json'), 'rpc.discover is the committed one')
  const plans = [planRest(url, openapi), planRpc(url, openrpc)]
  t.same(
    plans.flatMap(({ gaps }) => gaps),
    [],
    'every documented answer has its case, and every case its answer',
  )
  const steps = plans.flatMap((plan) => plan.steps)
  const scene = await setScene(url, folder, admission)
  const phase = (name: Phase): Promise<void> =>
    runAll(
      t,
      steps.filter((step) => step.phase === name),
      scene,
    )

  await phase('first')
  await phase('full')
  await phase('forgotten')
  t.teardown(() => freezeRedis(false))
  await freezeRedis(true)
  try {
    await phase('down')
  } finally {
    await freezeRedis(false)
  }
}
