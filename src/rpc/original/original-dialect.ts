import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import * as z from 'zod'
import { cancelExecution, pauseExecution } from '../../executions/control/cancel-execution.js'
import type { ExecutionServices } from '../../executions/services.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, parseInput } from '../../protocol/errors.js'
import { ExecuteRequest } from '../../protocol/execute-request.js'
import { OPERATIONS } from '../../protocol/operations.js'
import { isTerminal } from '../../protocol/execution.js'
import { ExecutionId } from '../../protocol/ids.js'
import type { TraceCarrier } from '../../telemetry/tracing.js'
import { toHookStatus } from './original-hook-status.js'
import { OriginalError, ORIGINAL_ERRORS, toOriginalError } from './original-errors.js'
import { startOriginalRun, toStatusParams, type OriginalRun } from './original-run.js'
import { requireNamed } from '../read-calls.js'
import { CallTurns } from '../call-turns.js'
import { requireScope } from '../require-scope.js'
import { openRpcEndpoint, type Answer } from '../rpc-endpoint.js'

export interface OriginalConnectionOptions {
  readonly socket: WebSocket
  readonly transport: Socket
  readonly services: ExecutionServices
  readonly caller: Caller
  /** In which calls of all connections are started; without it those of this one alone. */
  readonly turns?: CallTurns
  readonly version: string
  /** The trace that the connection was opened in. */
  readonly trace?: TraceCarrier | undefined
}

type Params = Readonly<Record<string, unknown>>

/** Some clients repeat the request's id among the params; Python ones write null for what they leave out. */
const tolerated = { id: z.unknown().optional() }
const ExecuteParams = z.strictObject({
  command: z.string(),
  timeout: ExecuteRequest.shape.timeout.nullable(),
  kill_on_disconnect: z.boolean().nullish(),
  ...tolerated,
})
const ControlParams = z.strictObject({
  type: z.enum(['PAUSE', 'RESUME', 'CANCEL']),
  execution_id: ExecutionId.nullish(),
  ...tolerated,
})
const STATUSES = { PAUSE: 'paused', RESUME: 'resumed', CANCEL: 'canceled' } as const

/**
 * Speaks `/ws/mcp`, the dialect of the Python original: its methods, names and numbers, over the same operations and
 * event log.
 */
export function openOriginalConnection({
  socket,
  transport,
  services,
  caller,
  turns = new CallTurns(),
  version,
  trace,
}: OriginalConnectionOptions): { close(code: number, reason: string): void } {
  const sessionId = randomUUID()
  const { logger, config } = services
  let current: { readonly run: OriginalRun; readonly killOnDisconnect: boolean } | undefined

  const methods = new Map<string, (params: Params) => Promise<Answer>>([
    ['execute', execute],
    ['control', control],
    ['hook_status', hookStatus],
    // The original dropped clients that did not send it; here it is never needed.
    ['pong', async () => ({ result: {} })],
  ])

  const endpoint = openRpcEndpoint({
    socket,
    transport,
    logger,
    writeDeadlineMs: config.writeDeadlineSeconds * 1_000,
    // The original cut off its own clients in mid-run because they answered no ping.
    wantsPong: false,
    connectionId: sessionId.slice(0, 8),
    turns,
    async dispatch(method, params) {
      const handle = methods.get(method)
      if (!handle)
        throw new ExecutorError('METHOD_NOT_FOUND', {
          detail: `Unknown method ${JSON.stringify(method.slice(0, 100))} here: execute, control, hook_status.`,
        })
      return handle(requireNamed(params))
    },
    toError: (error, requestId) => toOriginalError(error, requestId, logger),
    onEnd: disconnect,
  })
  void endpoint.notify('connected', { session_id: sessionId, version, capabilities: ['execute', 'control', 'stream'] })

  async function execute(params: Params): Promise<Answer> {
    requireScope(caller, OPERATIONS.execute, 'execute')
    const { command, timeout, kill_on_disconnect: killOnDisconnect } = parseInput(ExecuteParams, params)
    if (current)
      throw new OriginalError(
        ORIGINAL_ERRORS.invalidParams,
        'A process is already running on this connection; wait for its process.completed, or cancel it.',
      )
    if (command.trim() === '') throw new ExecutorError('COMMAND_NOT_ALLOWED', { detail: 'command: must not be empty' })
    const request = parseInput(ExecuteRequest, {
      command,
      timeout: typeof timeout === 'number' ? timeout : undefined,
      // Its clients know no approvals.
      onPermissionNeeded: 'deny',
    })
    // Taken before anything is awaited: a second execute that comes meanwhile is refused.
    const { tracing } = services
    const start = (): OriginalRun =>
      startOriginalRun({ services, caller, request, writer: endpoint.writer, onEnd: () => forget(run) })
    const run = tracing ? tracing.within({ name: 'execute', at: Date.now(), parent: trace }, start) : start()
    current = { run, killOnDisconnect: killOnDisconnect ?? false }
    return run.begin()
  }

  async function hookStatus(): Promise<Answer> {
    requireScope(caller, OPERATIONS['queue.get'], 'hook_status')
    return { result: await toHookStatus(services) }
  }

  function forget(run: OriginalRun): void {
    if (current?.run === run) current = undefined
  }

  async function control(params: Params): Promise<Answer> {
    requireScope(caller, OPERATIONS['execution.cancel'], 'control')
    const { type, execution_id: named } = parseInput(ControlParams, params)
    const run = current?.run
    // Also before the process has started: the execution's id is known as soon as it is stored.
    const own = await run?.submitted.catch(() => undefined)
    const executionId = named ?? own
    if (executionId === undefined)
      throw new OriginalError(ORIGINAL_ERRORS.noProcess, 'No process is running on this connection.')
    const status = STATUSES[type]
    const release = executionId === own ? run?.hold() : undefined
    try {
      await carryOut(type, executionId)
    } catch (error) {
      release?.()
      throw error
    }
    // The log of the connection's own run tells it; of another execution this is all that is heard here.
    return {
      result: { status },
      afterAnswer:
        release ?? (() => void endpoint.notify(`process.${status}`, toStatusParams(status, { pid: null, pgid: null }))),
    }
  }

  async function carryOut(type: keyof typeof STATUSES, executionId: string): Promise<void> {
    if (type !== 'CANCEL') return void (await pauseExecution(services, executionId, caller, type === 'PAUSE'))
    const { status } = (await cancelExecution(services, executionId, caller)).execution
    if (isTerminal(status) && status !== 'cancelled')
      throw new ExecutorError('ALREADY_FINISHED', { detail: `The process has already finished: ${status}.` })
  }

  /** The run goes on without its connection, unless its caller asked otherwise. */
  function disconnect(): void {
    if (!current) return
    const { run, killOnDisconnect } = current
    run.leave()
    if (!killOnDisconnect) return
    run.submitted
      .then((executionId) => cancelExecution(services, executionId, caller, 'its connection was closed'))
      .catch((error: unknown) =>
        logger.warn({ sessionId, err: error }, 'a run could not be cancelled with its connection'),
      )
  }

  return { close: endpoint.close }
}
