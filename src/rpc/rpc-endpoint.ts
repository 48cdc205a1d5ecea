import type { Socket } from 'node:net'
import type { RawData, WebSocket } from 'ws'
import type { Logger } from '../platform/logger.js'
import { ExecutorError } from '../protocol/errors.js'
import { type RpcError, type RpcId, toRpcError, toRpcNotification, toRpcResult } from '../protocol/rpc.js'
import type { CallTurns } from './call-turns.js'
import { createFrameWriter, type FrameWriter } from './frame-writer.js'
import { startHeartbeat } from './heartbeat.js'
import { type Call, type CallParams, readCalls } from './read-calls.js'

/**
 * So many requests of one connection are worked on at once; then its socket is no longer read. More would gain it
 * nothing, and delay others by what each costs.
 */
const IN_FLIGHT_LIMIT = 8
/** Of a batch's answer; what exceeds it is told as an error in its place, for the answer is one frame. */
const BATCH_ANSWER_LIMIT_CHARACTERS = 16 * 1024 * 1024
/** After so much silence the kernel asks the peer's kernel, ten times, a second apart (libuv). */
const KEEPALIVE_MS = 30_000
const UNSUPPORTED_DATA = 1003

/** What a method gives back; `afterAnswer` runs when the answer is on its way, so that what it sends comes after it. */
export type Answer = ({ readonly result: unknown } | { readonly error: RpcError }) & {
  readonly afterAnswer?: (() => void) | undefined
}

export interface RpcEndpointOptions {
  readonly socket: WebSocket
  readonly transport: Socket
  readonly logger: Logger
  readonly writeDeadlineMs: number
  /** Whether silence means that the peer is gone; see `startHeartbeat`. */
  readonly wantsPong?: boolean
  readonly connectionId: string
  /** Shared by all connections of the process. */
  readonly turns: CallTurns
  /** Whether there is such a method is looked at before its params are. */
  readonly dispatch: (method: string, params: CallParams, requestId: string) => Promise<Answer>
  readonly toError: (error: unknown, requestId: string) => RpcError
  /** The socket is gone or going: end whatever writes to it. Called once. */
  readonly onEnd: () => void
}

export interface RpcEndpoint {
  readonly writer: FrameWriter
  notify(method: string, params: Record<string, unknown>): Promise<void>
  close(code: number, reason: string): void
}

interface PendingCall {
  readonly call: Call
  readonly finish: (answer: string | undefined, afterAnswer: (() => void) | undefined) => Promise<void>
}

/**
 * JSON-RPC 2.0 over one socket, to the letter: which calls are answered, with what id, and a batch in one frame.
 * Calls are dispatched in the order of their arrival and answered as they finish.
 */
export function openRpcEndpoint(options: RpcEndpointOptions): RpcEndpoint {
  const { socket, logger, connectionId, turns, dispatch, toError } = options
  const pendingCalls: PendingCall[] = []
  let inFlight = 0
  let requests = 0
  let hasEnded = false
  const writer = createFrameWriter({
    socket,
    transport: options.transport,
    writeDeadlineMs: options.writeDeadlineMs,
    onTooSlow() {
      logger.info({ connectionId }, 'a reader accepted no data for too long; its socket is closed')
      end()
    },
  })
  const heartbeat = startHeartbeat({
    socket,
    isBehind: () => writer.isWaiting || socket.isPaused,
    wantsPong: options.wantsPong ?? true,
  })
  options.transport.setKeepAlive(true, KEEPALIVE_MS)

  function end(): void {
    if (hasEnded) return
    hasEnded = true
    heartbeat.stop()
    pendingCalls.length = 0
    turns.withdraw(startNext)
    writer.close()
    options.onEnd()
  }

  socket.on('close', end)
  // Without a listener an error of the socket would end the process; 'close' follows it.
  socket.on('error', (error: Error) => logger.debug({ connectionId, err: error }, 'socket error'))
  socket.on('message', (data: RawData, isBinary: boolean) => {
    if (hasEnded) return
    if (isBinary) return close(UNSUPPORTED_DATA, 'text frames only')
    const { isBatch, calls } = readCalls(toText(data))
    const finish = isBatch ? finishBatch(calls.length) : answerOne
    for (const call of calls) pendingCalls.push({ call, finish })
    work()
  })

  const hasNext = (): boolean => pendingCalls.length > 0 && inFlight < IN_FLIGHT_LIMIT

  /**
   * Messages that lie in the receiver still come after a pause, so the jobs wait here; what follows waits in the
   * kernel.
   */
  function work(): void {
    if (hasNext()) turns.ask(startNext)
    if (pendingCalls.length > 0) socket.pause()
    else if (socket.isPaused) socket.resume()
  }

  function startNext(): boolean {
    const pending = pendingCalls.shift()
    if (!pending) return false
    inFlight += 1
    void run(pending).finally(() => {
      inFlight -= 1
      work()
    })
    if (pendingCalls.length === 0 && socket.isPaused) socket.resume()
    return hasNext()
  }

  /** Never rejects: every failure is an answer. */
  async function run({ call, finish }: PendingCall): Promise<void> {
    const requestId = `${connectionId}-${(requests += 1)}`
    const answer = await carryOut(call, requestId)
    const text = call.kind === 'notification' ? undefined : serialize(call.id, answer, requestId)
    await finish(text, answer.afterAnswer)
  }

  async function carryOut(call: Call, requestId: string): Promise<Answer> {
    try {
      if (call.kind === 'invalid') throw call.error
      return await dispatch(call.method, call.params, requestId)
    } catch (error) {
      return { error: toError(error, requestId) }
    }
  }

  function serialize(id: RpcId, answer: Answer, requestId: string): string {
    try {
      return JSON.stringify('result' in answer ? toRpcResult(id, answer.result) : toRpcError(id, answer.error))
    } catch (error) {
      // A result longer than a string may be.
      return JSON.stringify(toRpcError(id, toError(error, requestId)))
    }
  }

  async function answerOne(answer: string | undefined, afterAnswer: (() => void) | undefined): Promise<void> {
    const written = answer === undefined ? undefined : writer.answer(answer)
    afterAnswer?.()
    await written
  }

  /** The answer of a batch is one array, once all its calls are done; what they start comes after it. */
  function finishBatch(count: number): PendingCall['finish'] {
    const answers: string[] = []
    const after: Array<() => void> = []
    let left = count
    let characters = 0
    return async (answer, afterAnswer) => {
      if (answer !== undefined) {
        characters += answer.length
        answers.push(characters <= BATCH_ANSWER_LIMIT_CHARACTERS ? answer : tellTooLarge(answer))
      }
      if (afterAnswer) after.push(afterAnswer)
      left -= 1
      if (left > 0) return
      await answerOne(answers.length === 0 ? undefined : `[${answers.join(',')}]`, () => {
        for (const start of after) start()
      })
    }
  }

  function tellTooLarge(answer: string): string {
    // Our own serialisation of a moment ago.
    const { id } = JSON.parse(answer) as { id: RpcId }
    const detail =
      'This request was executed, but the responses of this batch are too large together; send it separately.'
    return JSON.stringify(
      toRpcError(id, toError(new ExecutorError('PAYLOAD_TOO_LARGE', { detail }), `${connectionId}-${requests}`)),
    )
  }

  function close(code: number, reason: string): void {
    end()
    socket.close(code, reason)
  }

  return {
    writer,
    notify: (method, params) => writer.write([JSON.stringify(toRpcNotification(method, params))]),
    close,
  }
}

function toText(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8')
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8')
}
