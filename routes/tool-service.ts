import { cancelExecution } from '../src/executions/control/cancel-execution.js'
import { decideApproval } from '../src/executions/control/decide-approval.js'
import { sendMessage } from '../src/executions/control/send-message.js'
import { getApproval, listApprovals } from '../src/executions/read/find-approvals.js'
import { getExecution, listExecutions, requireExecution } from '../src/executions/read/find-execution.js'
import { getQueueState, getReadiness } from '../src/executions/read/queue-state.js'
import { readReceipt } from '../src/executions/read/read-receipt.js'
import { toReadinessForStrangers } from '../src/executions/read/readiness-for-strangers.js'
import type { ExecutionServices } from '../src/executions/services.js'
import { submitExecution } from '../src/executions/submit/submit-execution.js'
import type { ToolService } from '../src/mcp/service-access.js'
import type { Caller } from '../src/protocol/caller.js'
import type { Event } from '../src/protocol/events.js'
import { OPERATIONS, type OperationName } from '../src/protocol/operations.js'
import type { Health } from '../src/protocol/service-state.js'
import { requireScope } from '../src/rpc/require-scope.js'

export interface ToolServiceOptions {
  readonly services: ExecutionServices
  readonly caller: Caller
  /** As the caller wrote it. */
  readonly url: string
  readonly health: () => Health
  readonly checkRedis: () => Promise<string | undefined>
}

/** This service for MCP's tools, as the caller may use it: the scope and the owner are looked at in each call. */
export function createToolService({ services, caller, url, health, checkRedis }: ToolServiceOptions): ToolService {
  const allow = (name: OperationName): void => requireScope(caller, OPERATIONS[name], name)

  async function* follow(
    executionId: string,
    { after = 0, types, signal = new AbortController().signal }: Parameters<ToolService['follow']>[1] = {},
  ): AsyncGenerator<Event, void, undefined> {
    allow('execution.subscribe')
    await requireExecution(services, executionId, caller)
    const wanted = types && new Set<string>(types)
    for await (const events of services.feed.follow(executionId, after, signal)) {
      for (const { type, bytes } of events)
        // Safe: written by this service.
        if (!wanted || wanted.has(type)) yield JSON.parse(bytes.toString()) as Event
    }
  }

  return {
    url,
    follow,
    async execute(request, { idempotencyKey } = {}) {
      allow('execute')
      return (await submitExecution(services, request, caller, idempotencyKey)).execution
    },
    async get(executionId) {
      allow('execution.get')
      return getExecution(services, executionId, caller)
    },
    async list(filters = {}) {
      allow('execution.list')
      return listExecutions(services, filters, caller)
    },
    async cancel(executionId, { reason } = {}) {
      allow('execution.cancel')
      return (await cancelExecution(services, executionId, caller, reason)).execution
    },
    async receipt(executionId) {
      allow('execution.receipt')
      return readReceipt(services, executionId, caller, 'json')
    },
    async send(executionId, message, { idempotencyKey } = {}) {
      allow('message.send')
      return (await sendMessage(services, executionId, message, caller, idempotencyKey)).message
    },
    async approvals(filters = {}) {
      allow('approval.list')
      return listApprovals(services, filters, caller)
    },
    async approval(id) {
      allow('approval.get')
      return getApproval(services, id, caller)
    },
    async decide(id, decision) {
      allow('approval.decide')
      return decideApproval(services, id, decision, caller)
    },
    async queue() {
      allow('queue.get')
      return getQueueState(services)
    },
    async health() {
      return health()
    },
    async ready() {
      const readiness = await getReadiness(services, checkRedis)
      const isKnown = caller.scopes.has('read') && caller.executionId === undefined
      return isKnown ? readiness : toReadinessForStrangers(readiness)
    },
  }
}
