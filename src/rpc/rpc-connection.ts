import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { ExecutionServices } from '../executions/services.js'
import type { Caller } from '../protocol/caller.js'
import type { Logger } from '../platform/logger.js'
import { ExecutorError, parseInput, toWireError } from '../protocol/errors.js'
import { isRpcMethod, OPERATIONS, type RpcMethod } from '../protocol/operations.js'
import type { RpcError } from '../protocol/rpc.js'
import type { Health, QueueState } from '../protocol/service-state.js'
import type { TraceCarrier } from '../telemetry/tracing.js'
import { CallTurns } from './call-turns.js'
import { createOperationHandlers } from './operation-handlers.js'
import { requireNamed, type CallParams } from './read-calls.js'
import { requireScope } from './require-scope.js'
import { openRpcEndpoint, type Answer } from './rpc-endpoint.js'
import { createSubscriptions, type Subscriptions } from './subscriptions.js'

export interface RpcConnectionOptions {
  readonly socket: WebSocket
  /** The TCP socket below, `request.raw.socket`. */
  readonly transport: Socket
  readonly services: ExecutionServices
  readonly caller: Caller
  /** In which calls of all connections are started; without it those of this one alone. */
  readonly turns?: CallTurns
  readonly queue: () => Promise<QueueState>
  readonly health: () => Health
  readonly discover: () => Record<string, unknown>
  /** Names this connection in request ids and in the log. */
  readonly requestId?: string
  /** The trace that the connection was opened in: its calls have none of their own. */
  readonly trace?: TraceCarrier | undefined
}

const RPC = { 'rpc.system': 'jsonrpc' }

/** Speaks `/ws` on an open socket until it closes. An execution does not depend on the connection that started it. */
export function openRpcConnection(options: RpcConnectionOptions): { close(code: number, reason: string): void } {
  const { services, caller, turns = new CallTurns(), requestId: connectionId = randomUUID().slice(0, 8) } = options
  const { logger, config } = services
  const endpoint = openRpcEndpoint({
    socket: options.socket,
    transport: options.transport,
    logger,
    writeDeadlineMs: config.writeDeadlineSeconds * 1_000,
    connectionId,
    turns,
    dispatch,
    toError: (error, requestId) => describeError(error, requestId, logger),
    onEnd: () => subscriptions.close(),
  })
  const subscriptions: Subscriptions = createSubscriptions({
    feed: services.feed,
    writer: endpoint.writer,
    limit: config.maxSubscriptions,
    figures: services.figures,
    onError: (error, executionId) =>
      logger.warn({ connectionId, executionId, err: error }, 'a subscription ended: its log could not be read'),
  })
  async function dispatch(method: string, params: CallParams): Promise<Answer> {
    if (!isRpcMethod(method))
      throw new ExecutorError('METHOD_NOT_FOUND', {
        detail: `Unknown method ${JSON.stringify(method.slice(0, 100))}; rpc.discover lists them.`,
      })
    requireScope(caller, OPERATIONS[method], method)
    const { tracing } = services
    const ask = (): Promise<Answer> => call(method, requireNamed(params))
    return tracing
      ? tracing.within({ name: method, at: Date.now(), parent: options.trace, attributes: RPC }, ask)
      : ask()
  }

  function call(method: RpcMethod, params: Readonly<Record<string, unknown>>): Promise<Answer> {
    // The handler of a name takes what that name's schema gives; TypeScript does not follow a table by a generic key
    // that far.
    // Made for each call: kept for each connection they would be a tenth of what an idle one costs.
    const handle = createOperationHandlers({ ...options, subscriptions })[method] as (
      params: unknown,
    ) => Promise<Answer>
    return handle(parseInput(OPERATIONS[method].rpc.params, params))
  }

  return { close: endpoint.close }
}

function describeError(error: unknown, requestId: string, logger: Logger): RpcError {
  const { code, rpc, retryable, detail, errors, errorCount, budget, approval, retryAfterSeconds } = toWireError(error)
  if (code === 'INTERNAL') logger.error({ requestId, err: error }, 'a request failed')
  return {
    code: rpc,
    message: detail,
    data: {
      code,
      retryable,
      requestId,
      errors,
      errorCount,
      budget,
      approval,
      retryAfterSeconds,
    },
  }
}
