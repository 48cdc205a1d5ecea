// What the answer to every frame must be, by JSON-RPC 2.0 and the OpenRPC document.
import { WebSocket } from 'ws'
import type { Validate } from '../support/validator.js'
import type { OpenRpc } from './rpc-frames.js'
import { once } from '../support/deadlines.js'

interface RpcMessage {
  readonly jsonrpc?: unknown
  readonly id?: unknown
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly code: string } }
}

const ANSWER_DEADLINE_MS = 120_000
const BATCH_LIMIT = 1_000
const SENTINEL = 'the sentinel'

/** What is owed for one call: nothing, an answer with this id, or an error of the envelope. */
type Owed = { readonly id: unknown; readonly method: string | undefined } | undefined

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isId = (value: unknown): boolean =>
  value === null || typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))

function owedFor(call: unknown): Owed {
  if (!isObject(call)) return { id: null, method: undefined }
  const { jsonrpc, method, params, id } = call
  const hasId = Object.hasOwn(call, 'id')
  const isCall =
    jsonrpc === '2.0' &&
    typeof method === 'string' &&
    (params === undefined || (typeof params === 'object' && params !== null)) &&
    (!hasId || isId(id))
  if (!isCall) return { id: hasId && isId(id) ? id : null, method: undefined }
  return hasId ? { id, method } : undefined
}

/** One answer, or an array of answers, or none. */
function readFrame(text: string): { owed: readonly Owed[]; isBatch: boolean } {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return { owed: [{ id: null, method: undefined }], isBatch: false }
  }
  if (!Array.isArray(message)) return { owed: [owedFor(message)], isBatch: false }
  if (message.length === 0 || message.length > BATCH_LIMIT)
    return { owed: [{ id: null, method: undefined }], isBatch: false }
  return { owed: message.map(owedFor), isBatch: true }
}

export function createRpcCheck(document: OpenRpc, validate: Validate, leaks: readonly string[]) {
  const { methods, components, 'x-notifications': notifications } = document
  const codesOf = new Map(
    methods.map(({ name, errors }) => [name, errors.map(({ $ref }) => $ref.split('/').at(-1) ?? '')]),
  )

  function checkAnswer({ jsonrpc, error, ...rest }: RpcMessage, { method = '' }: { method: string | undefined }): void {
    if (jsonrpc !== '2.0') throw new Error('jsonrpc is missing')
    if (error === undefined) {
      const index = methods.findIndex(({ name }) => name === method)
      if (index < 0) throw new Error(`a result of ${JSON.stringify(method)}`)
      return validate(`/methods/${index}/result/schema`, rest.result, `the result of ${method}`)
    }
    if ('result' in rest || typeof error.message !== 'string' || error.message === '') throw new Error('no right error')
    if (leaks.some((leak) => error.message.includes(leak))) throw new Error('a path of the host is told')
    validate('/x-error-data', error.data, 'the data of the error')
    const { code } = error.data
    if (!Object.hasOwn(components.errors, code) || components.errors[code]?.code !== error.code)
      throw new Error('number and code do not fit')
    const documented = codesOf.get(method) ?? ['PARSE_ERROR', 'INVALID_ENVELOPE', 'METHOD_NOT_FOUND', 'INVALID_REQUEST']
    if (!documented.includes(code)) throw new Error(`${code} is not documented for ${method}`)
    if (['INTERNAL', 'STORE_UNAVAILABLE'].includes(code)) throw new Error('a fault of ours')
  }

  function checkNotification({ method, params }: RpcMessage): void {
    const index = notifications.findIndex(({ name }) => name === method)
    if (index < 0) throw new Error(`${method} is not documented`)
    validate(`/x-notifications/${index}/params`, params, `${method} ${JSON.stringify(params).slice(0, 300)}`)
  }

  /** `texts`: all that came after the frame, the answer of the sentinel included. */
  return (frame: string, texts: readonly string[]): void => {
    const { owed, isBatch } = readFrame(frame)
    const wanted = owed.filter((call) => call !== undefined)
    const answers: RpcMessage[] = []
    for (const text of texts) {
      // Safe: what is not of this form fails below.
      const message = JSON.parse(text) as RpcMessage | RpcMessage[]
      if (Array.isArray(message)) {
        if (!isBatch) throw new Error('an array for a single call')
        answers.push(...message)
      } else if (message.method !== undefined) checkNotification(message)
      else if (message.id !== SENTINEL) {
        if (isBatch) throw new Error('a single answer for a batch')
        answers.push(message)
      }
    }
    if (answers.length !== wanted.length) throw new Error(`${answers.length} answers for ${wanted.length} calls`)
    for (const answer of answers) {
      // Several of one id are not told apart by it: it is right if it may be the answer of one of them.
      const errors = wanted
        .filter(({ id }) => id === answer.id)
        .map((call) => {
          try {
            return checkAnswer(answer, call)
          } catch (error) {
            return error as Error
          }
        })
      if (errors.length === 0) throw new Error(`nobody asked with the id ${JSON.stringify(answer.id)}`)
      if (!errors.includes(undefined)) throw errors[0]
    }
  }
}

export interface RpcClient {
  /** Every text that came until the frame and a call after it were answered. */
  send(frame: string): Promise<string[]>
  close(): void
}

const isAnswer = (text: string): boolean => !text.slice(0, 60).includes('"method":')

/** One connection, made again where the service has closed it. */
export function openRpcClient(url: string, token: string): RpcClient {
  let socket: WebSocket | undefined
  async function connect(signal: AbortSignal): Promise<WebSocket> {
    if (socket?.readyState === WebSocket.OPEN) return socket
    socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${token}` } })
    await once(socket, 'open', { signal })
    return socket
  }
  return {
    async send(frame) {
      const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS)
      const open = await connect(signal)
      const { owed, isBatch } = readFrame(frame)
      const count = owed.filter((call) => call !== undefined).length
      const due = (isBatch ? Math.min(count, 1) : count) + 1
      const texts: string[] = []
      const over = new Promise<void>((settled, failed) => {
        const take = (data: Buffer): void => {
          texts.push(data.toString())
          if (texts.filter(isAnswer).length >= due) end(settled)
        }
        const close = (code: number): void => end(() => failed(new Error(`the connection was closed with ${code}`)))
        const expire = (): void => end(() => failed(new Error(`no answer, but ${texts.join(' ').slice(0, 500)}`)))
        const end = (then: () => void): void => {
          open.off('message', take).off('close', close)
          signal.removeEventListener('abort', expire)
          then()
        }
        open.on('message', take).on('close', close)
        signal.addEventListener('abort', expire)
      })
      open.send(frame)
      open.send(JSON.stringify({ jsonrpc: '2.0', id: SENTINEL, method: 'health.get' }))
      await over
      return texts
    },
    close: () => socket?.terminate(),
  }
}
