import { decideApproval } from '../executions/control/decide-approval.js'
import { cancelExecution, pauseExecution } from '../executions/control/cancel-execution.js'
import { sendMessage } from '../executions/control/send-message.js'
import { getApproval, listApprovals } from '../executions/read/find-approvals.js'
import { changeBudget } from '../executions/control/change-budget.js'
import { getExecution, listExecutions } from '../executions/read/find-execution.js'
import { listMessages } from '../executions/read/list-messages.js'
import type { ExecutionServices } from '../executions/services.js'
import type { Caller } from '../protocol/caller.js'
import { submitExecution } from '../executions/submit/submit-execution.js'
import type { RpcMethod, RpcParams, RpcResult } from '../protocol/operations.js'
import type { Health, QueueState } from '../protocol/service-state.js'
import type { Subscriptions } from './subscriptions.js'

export interface OperationContext {
  readonly services: ExecutionServices
  readonly caller: Caller
  readonly subscriptions: Subscriptions
  readonly queue: () => Promise<QueueState>
  readonly health: () => Health
  readonly discover: () => Record<string, unknown>
}

/** `afterAnswer` starts what must not overtake the answer. */
interface Done<Result> {
  readonly result: Result
  readonly afterAnswer?: () => void
}

export type OperationHandlers = {
  readonly [Name in RpcMethod]: (params: RpcParams<Name>) => Promise<Done<RpcResult<Name>>>
}

export function createOperationHandlers({
  services,
  caller,
  subscriptions,
  queue,
  health,
  discover,
}: OperationContext): OperationHandlers {
  return {
    async execute({ subscribe = true, maxEventBytes, idempotencyKey, ...request }) {
      if (!subscribe) return { result: (await submitExecution(services, request, caller, idempotencyKey)).execution }
      // The place first: a limit found after the submission would leave an execution that its caller believes refused.
      const place = subscriptions.reserve()
      try {
        const { execution } = await submitExecution(services, request, caller, idempotencyKey)
        const { subscriptionId, start } = place.subscribe(execution.id, { maxEventBytes })
        return { result: { ...execution, subscriptionId }, afterAnswer: start }
      } finally {
        place.release()
      }
    },
    'execution.get': async ({ executionId }) => ({ result: await getExecution(services, executionId, caller) }),
    'execution.list': async (filters) => ({ result: await listExecutions(services, filters, caller) }),
    'execution.cancel': async ({ executionId, reason }) => ({
      result: (await cancelExecution(services, executionId, caller, reason)).execution,
    }),
    'execution.pause': async ({ executionId, reason }) => ({
      result: await pauseExecution(services, executionId, caller, true, reason),
    }),
    'execution.resume': async ({ executionId, reason }) => ({
      result: await pauseExecution(services, executionId, caller, false, reason),
    }),
    'message.send': async ({ executionId, idempotencyKey, ...message }) => ({
      result: (await sendMessage(services, executionId, message, caller, idempotencyKey)).message,
    }),
    'message.list': async ({ executionId }) => ({ result: await listMessages(services, executionId, caller) }),
    'execution.budget': async ({ executionId, ...budget }) => ({
      result: await changeBudget(services, executionId, caller, budget),
    }),
    async 'execution.subscribe'({ executionId, ...options }) {
      const place = subscriptions.reserve()
      try {
        const { status, lastSeq } = await getExecution(services, executionId, caller)
        const { subscriptionId, start } = place.subscribe(executionId, options)
        return { result: { subscriptionId, status, lastSeq }, afterAnswer: start }
      } finally {
        place.release()
      }
    },
    'execution.unsubscribe': async ({ subscriptionId }) => ({
      result: {},
      afterAnswer: subscriptions.unsubscribe(subscriptionId),
    }),
    'approval.list': async (filters) => ({ result: await listApprovals(services, filters, caller) }),
    'approval.get': async ({ approvalId }) => ({ result: await getApproval(services, approvalId, caller) }),
    'approval.decide': async ({ approvalId, ...decision }) => ({
      result: await decideApproval(services, approvalId, decision, caller),
    }),
    'queue.get': async () => ({ result: await queue() }),
    'health.get': async () => ({ result: health() }),
    'rpc.discover': async () => ({ result: discover() }),
  }
}
