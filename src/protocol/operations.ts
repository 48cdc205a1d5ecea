import * as z from 'zod'
import {
  Approval,
  ApprovalDecision,
  ApprovalFilters,
  ApprovalPage,
  ApprovalReference,
  DecideParams,
} from './approvals.js'
import { Admission, AdmissionList, AdmissionRequest } from './admission.js'
import type { Scope } from './caller.js'
import type { ErrorCode } from './errors.js'
import { EstimateQuery, TimeoutEstimate } from './estimate.js'
import { ExecuteParams, ExecuteRequest } from './execute-request.js'
import { Execution } from './execution.js'
import { WorkspaceFiles } from './files.js'
import { ExecutionReference } from './ids.js'
import { REASON_LIMIT } from './limits.js'
import { EventPage, ExecutionFilters, ExecutionPage } from './listing.js'
import { Message, MessageList, MessageRequest, MessageSendParams } from './messages.js'
import { KeySet, Receipt, ReceiptReport, VerifyRequest } from './receipt.js'
import * as rest from './rest-input.js'
import { Settings } from './settings.js'
import { AuthStatus, Health, QueueState, Readiness } from './service-state.js'
import { Schedule, ScheduleChange, SchedulePage, ScheduleRequest } from './schedules.js'
import { SubscribeParams, SubscribeResult, SubscriptionId } from './subscription.js'
import { NewToken, Ticket, TicketRequest, Token, TokenChange, TokenPage, TokenRequest } from './tokens.js'
import { BudgetRequest, NAMES_A_LIMIT, NewBudget, UsageReport } from './usage.js'
import { Delivery, DeliveryPage, NewWebhook, Webhook, WebhookChange, WebhookPage, WebhookRequest } from './webhooks.js'

const Target = z.strictObject({ executionId: ExecutionReference })
const ControlParams = Target.extend({ reason: z.string().max(REASON_LIMIT).optional() })
const BudgetParams = z
  .strictObject({ ...Target.shape, ...NewBudget.shape })
  .refine(...NAMES_A_LIMIT)
  .meta({ anyOf: [{ required: ['maxBudgetUsd'] }, { required: ['maxBudgetTokens'] }] })
const Nothing = z.strictObject({})

/** A method of `/ws`. */
export interface RpcMapping {
  readonly summary: string
  readonly params: z.ZodType
  /** Where it is more than the operation's. */
  readonly result?: z.ZodType
}

/** A route. */
export interface RestMapping {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** As Fastify writes it; each path has its operationId in the OpenAPI document. */
  readonly paths: Readonly<Record<`/${string}`, string>>
  readonly input?: {
    readonly params?: z.ZodType
    readonly querystring?: z.ZodType
    readonly headers?: z.ZodType
    readonly body?: z.ZodType
  }
  /** What `Accept` chooses from, where there is more than one. */
  readonly media?: readonly string[]
  /** Answers without a token; `recognised`: tells more to who shows one. */
  readonly open?: true | 'recognised'
  /** Also with a one-use `?ticket=`: what asks for it in a browser cannot send a header. */
  readonly ticket?: true
}

export interface Operation {
  /** What a token must be allowed to do, whichever way it comes in. */
  readonly scope: Scope
  /**
   * A token of one execution may ask for it: it shows that execution, or nothing of anybody’s. All else is refused to
   * such a token.
   */
  readonly forOneExecution?: true
  /** The answer as JSON, where there is one. */
  readonly result?: z.ZodType
  /** Its own errors. Each way in adds what follows from its form: a token, a body, a query, a media type. */
  readonly errors: readonly ErrorCode[]
  readonly rpc?: RpcMapping
  readonly rest?: RestMapping
}

const JSON_MEDIA = 'application/json'
export const EVENT_STREAM = 'text/event-stream'
export const NDJSON = 'application/x-ndjson'
export const CSV = 'text/csv'
export const MARKDOWN = 'text/markdown'

const FILE_ERRORS = ['EXECUTION_NOT_FOUND', 'NOT_FINISHED', 'FILE_NOT_KEPT', 'STORE_UNAVAILABLE'] as const
/** A request that cannot be run here is refused before its first moment. */
const NEW_SCHEDULE_ERRORS = ['COMMAND_NOT_ALLOWED', 'FORBIDDEN', 'REPOSITORY_NOT_ALLOWED'] as const
const STEERING_ERRORS = ['EXECUTION_NOT_FOUND', 'ALREADY_FINISHED', 'NOT_RUNNING', 'STORE_UNAVAILABLE'] as const

const WEBHOOK_ERRORS = ['WEBHOOK_NOT_FOUND', 'STORE_UNAVAILABLE'] as const

/**
 * What a client can ask for: name → scope, answer, errors, and the ways in, as a method of `/ws` and as a route.
 * Routes, JSON-RPC, MCP's tools and the documents are made from this.
 */
export const OPERATIONS = {
  execute: {
    scope: 'execute',
    result: Execution,
    errors: [
      'COMMAND_NOT_ALLOWED',
      'FORBIDDEN',
      'REPOSITORY_NOT_ALLOWED',
      'WORKSPACE_NOT_FOUND',
      'SESSION_NOT_FOUND',
      'SESSION_BUSY',
      'WEBHOOK_NOT_FOUND',
      'PAYLOAD_TOO_LARGE',
      'IDEMPOTENCY_CONFLICT',
      'EXECUTION_NOT_FOUND',
      'QUEUE_FULL',
      'BUDGET_EXCEEDED',
      'SUBSCRIPTION_LIMIT',
      'STORE_UNAVAILABLE',
    ],
    rpc: {
      summary: 'Submits an execution and, unless subscribe is false, sends its events from seq 1.',
      params: ExecuteParams,
      result: Execution.extend({ subscriptionId: SubscriptionId.optional() }).meta({ id: 'ExecuteResult' }),
    },
    rest: {
      method: 'POST',
      paths: { '/execute': 'execute', '/executions': 'createExecution' },
      input: { headers: rest.SubmitHeaders, body: ExecuteRequest },
      media: [JSON_MEDIA, EVENT_STREAM],
    },
  },
  'execution.get': {
    scope: 'read',
    forOneExecution: true,
    result: Execution,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'One execution.', params: Target },
    rest: { method: 'GET', paths: { '/executions/:id': 'getExecution' }, input: { params: rest.IdParams } },
  },
  'execution.list': {
    scope: 'read',
    forOneExecution: true,
    result: ExecutionPage,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'Executions, newest first.', params: ExecutionFilters },
    rest: {
      method: 'GET',
      paths: { '/executions': 'listExecutions' },
      input: { querystring: rest.ListQuery },
      media: [JSON_MEDIA, CSV, NDJSON],
    },
  },
  'execution.result': {
    scope: 'read',
    forOneExecution: true,
    errors: ['EXECUTION_NOT_FOUND', 'NOT_FINISHED', 'STORE_UNAVAILABLE'],
    rest: {
      method: 'GET',
      paths: { '/executions/:id/result': 'getResult' },
      input: { params: rest.IdParams, querystring: rest.ResultQuery },
    },
  },
  'execution.events': {
    scope: 'read',
    forOneExecution: true,
    result: EventPage,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rest: {
      method: 'GET',
      paths: { '/executions/:id/events': 'getEvents' },
      input: { params: rest.IdParams, querystring: rest.EventsQuery, headers: rest.EventsHeaders },
      media: [JSON_MEDIA, EVENT_STREAM, NDJSON],
      ticket: true,
    },
  },
  'execution.cancel': {
    scope: 'execute',
    result: Execution,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'Ends an execution; idempotent.', params: ControlParams },
    rest: {
      method: 'POST',
      paths: { '/executions/:id/cancel': 'cancelExecution' },
      input: { params: rest.IdParams, body: rest.ReasonBody },
    },
  },
  'execution.pause': {
    scope: 'execute',
    result: Execution,
    errors: STEERING_ERRORS,
    rpc: {
      summary: 'Stops the processes of a running execution until it is resumed; idempotent.',
      params: ControlParams,
    },
    rest: {
      method: 'POST',
      paths: { '/executions/:id/pause': 'pauseExecution' },
      input: { params: rest.IdParams, body: rest.ReasonBody },
    },
  },
  'execution.resume': {
    scope: 'execute',
    result: Execution,
    errors: STEERING_ERRORS,
    rpc: { summary: 'Resumes a paused execution; idempotent.', params: ControlParams },
    rest: {
      method: 'POST',
      paths: { '/executions/:id/resume': 'resumeExecution' },
      input: { params: rest.IdParams, body: rest.ReasonBody },
    },
  },
  'message.send': {
    scope: 'execute',
    result: Message,
    errors: [
      'FORBIDDEN',
      'SESSION_NOT_FOUND',
      'EXECUTION_NOT_FOUND',
      'NOT_RUNNING',
      'PAYLOAD_TOO_LARGE',
      'IDEMPOTENCY_CONFLICT',
      'RATE_LIMITED',
      'QUEUE_FULL',
      'BUDGET_EXCEEDED',
      'STORE_UNAVAILABLE',
    ],
    rpc: { summary: 'Sends a message to an execution.', params: MessageSendParams },
    rest: {
      method: 'POST',
      paths: { '/executions/:id/messages': 'sendMessage' },
      input: { params: rest.IdParams, headers: rest.KeyHeaders, body: MessageRequest },
    },
  },
  'message.list': {
    scope: 'read',
    forOneExecution: true,
    result: MessageList,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'The messages to an execution, in order.', params: Target },
    rest: { method: 'GET', paths: { '/executions/:id/messages': 'listMessages' }, input: { params: rest.IdParams } },
  },
  'execution.budget': {
    scope: 'execute',
    result: Execution,
    errors: [...STEERING_ERRORS, 'FORBIDDEN', 'BUDGET_EXCEEDED'],
    rpc: {
      summary: 'Sets what an execution may spend; one that waits for a higher budget continues.',
      params: BudgetParams,
    },
    rest: {
      method: 'PUT',
      paths: { '/executions/:id/budget': 'setBudget' },
      input: { params: rest.IdParams, body: BudgetRequest },
    },
  },
  'execution.delete': {
    scope: 'execute',
    errors: ['EXECUTION_NOT_FOUND', 'NOT_FINISHED', 'STORE_UNAVAILABLE'],
    rest: { method: 'DELETE', paths: { '/executions/:id': 'deleteExecution' }, input: { params: rest.IdParams } },
  },
  'execution.files': {
    scope: 'read',
    forOneExecution: true,
    result: WorkspaceFiles,
    errors: FILE_ERRORS,
    rest: {
      method: 'GET',
      paths: { '/executions/:id/files': 'getFiles' },
      input: { params: rest.IdParams, querystring: rest.DiffQuery },
    },
  },
  'execution.file': {
    scope: 'read',
    forOneExecution: true,
    errors: [...FILE_ERRORS, 'FILE_NOT_FOUND'],
    rest: {
      method: 'GET',
      paths: { '/executions/:id/files/*': 'getFile' },
      input: { params: rest.FileParams, querystring: rest.DiffQuery },
    },
  },
  'execution.archive': {
    scope: 'read',
    forOneExecution: true,
    errors: FILE_ERRORS,
    rest: {
      method: 'GET',
      paths: { '/executions/:id/files.tar.gz': 'getFilesArchive' },
      input: { params: rest.IdParams },
    },
  },
  'execution.patch': {
    scope: 'read',
    forOneExecution: true,
    errors: [...FILE_ERRORS, 'FILE_NOT_FOUND'],
    rest: { method: 'GET', paths: { '/executions/:id/patch': 'getPatch' }, input: { params: rest.IdParams } },
  },
  'execution.bundle': {
    scope: 'read',
    forOneExecution: true,
    errors: [...FILE_ERRORS, 'FILE_NOT_FOUND'],
    rest: { method: 'GET', paths: { '/executions/:id/bundle': 'getBundle' }, input: { params: rest.IdParams } },
  },
  'execution.receipt': {
    scope: 'read',
    forOneExecution: true,
    result: Receipt,
    errors: ['EXECUTION_NOT_FOUND', 'NOT_FINISHED', 'STORE_UNAVAILABLE'],
    rest: {
      method: 'GET',
      paths: { '/executions/:id/receipt': 'getReceipt' },
      input: { params: rest.IdParams },
      media: [JSON_MEDIA, MARKDOWN],
    },
  },
  'execution.subscribe': {
    scope: 'read',
    forOneExecution: true,
    result: SubscribeResult,
    errors: ['EXECUTION_NOT_FOUND', 'SUBSCRIPTION_LIMIT', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'Sends the events after a seq, then live events until the end.', params: SubscribeParams },
  },
  'execution.unsubscribe': {
    scope: 'read',
    forOneExecution: true,
    result: Nothing,
    errors: ['SUBSCRIPTION_NOT_FOUND'],
    rpc: { summary: 'Ends a subscription.', params: z.strictObject({ subscriptionId: SubscriptionId }) },
  },
  'approval.list': {
    scope: 'read',
    forOneExecution: true,
    result: ApprovalPage,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'Approvals, newest first; by default those that are pending.', params: ApprovalFilters },
    rest: { method: 'GET', paths: { '/approvals': 'listApprovals' }, input: { querystring: rest.ApprovalsQuery } },
  },
  'approval.get': {
    scope: 'read',
    forOneExecution: true,
    result: Approval,
    errors: ['APPROVAL_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'One approval.', params: z.strictObject({ approvalId: ApprovalReference }) },
    rest: { method: 'GET', paths: { '/approvals/:id': 'getApproval' }, input: { params: rest.ApprovalParams } },
  },
  'approval.decide': {
    scope: 'approve',
    forOneExecution: true,
    result: Approval,
    errors: ['APPROVAL_NOT_FOUND', 'APPROVAL_CLOSED', 'STORE_UNAVAILABLE'],
    rpc: { summary: 'Allows, denies or answers; the first decision counts.', params: DecideParams },
    rest: {
      method: 'POST',
      paths: { '/approvals/:id/decision': 'decideApproval' },
      input: { params: rest.ApprovalParams, body: ApprovalDecision },
    },
  },
  'receipt.keys': {
    scope: 'read',
    result: KeySet,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/receipts/keys': 'getReceiptKeys' } },
  },
  'receipt.verify': {
    scope: 'read',
    result: ReceiptReport,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'POST', paths: { '/receipts/verify': 'verifyReceipt' }, input: { body: VerifyRequest } },
  },
  'admission.create': {
    scope: 'execute',
    result: Admission,
    errors: [],
    rest: { method: 'POST', paths: { '/workspaces/admissions': 'admitFolder' }, input: { body: AdmissionRequest } },
  },
  'admission.list': {
    scope: 'execute',
    result: AdmissionList,
    errors: [],
    rest: {
      method: 'GET',
      paths: { '/workspaces/admissions': 'listAdmissions' },
      input: { querystring: rest.AdmissionsQuery },
    },
  },
  'admission.withdraw': {
    scope: 'execute',
    errors: ['WORKSPACE_NOT_FOUND'],
    rest: {
      method: 'DELETE',
      paths: { '/workspaces/admissions/:id': 'withdrawAdmission' },
      input: { params: rest.AdmissionParams },
    },
  },
  'token.create': {
    scope: 'admin',
    result: NewToken,
    errors: ['EXECUTION_NOT_FOUND', 'TOKEN_NOT_FOUND', 'IDEMPOTENCY_CONFLICT', 'RATE_LIMITED', 'STORE_UNAVAILABLE'],
    rest: {
      method: 'POST',
      paths: { '/tokens': 'createToken' },
      input: { body: TokenRequest, headers: rest.TokenHeaders },
    },
  },
  'token.list': {
    scope: 'admin',
    result: TokenPage,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/tokens': 'listTokens' }, input: { querystring: rest.TokensQuery } },
  },
  'token.get': {
    scope: 'admin',
    result: Token,
    errors: ['TOKEN_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/tokens/:id': 'getToken' }, input: { params: rest.TokenParams } },
  },
  'token.change': {
    scope: 'admin',
    result: Token,
    errors: ['TOKEN_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rest: {
      method: 'PATCH',
      paths: { '/tokens/:id': 'changeToken' },
      input: { params: rest.TokenParams, body: TokenChange },
    },
  },
  'token.revoke': {
    scope: 'admin',
    errors: ['TOKEN_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rest: { method: 'DELETE', paths: { '/tokens/:id': 'revokeToken' }, input: { params: rest.TokenParams } },
  },
  'schedule.create': {
    scope: 'execute',
    result: Schedule,
    errors: [
      ...NEW_SCHEDULE_ERRORS,
      'SCHEDULE_NOT_FOUND',
      'NAME_TAKEN',
      'IDEMPOTENCY_CONFLICT',
      'RATE_LIMITED',
      'STORE_UNAVAILABLE',
    ],
    rest: {
      method: 'POST',
      paths: { '/schedules': 'createSchedule' },
      input: { headers: rest.ScheduleHeaders, body: ScheduleRequest },
    },
  },
  'schedule.list': {
    scope: 'read',
    result: SchedulePage,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/schedules': 'listSchedules' }, input: { querystring: rest.SchedulesQuery } },
  },
  'schedule.get': {
    scope: 'read',
    result: Schedule,
    errors: ['SCHEDULE_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/schedules/:id': 'getSchedule' }, input: { params: rest.ScheduleParams } },
  },
  'schedule.change': {
    scope: 'execute',
    result: Schedule,
    errors: [...NEW_SCHEDULE_ERRORS, 'SCHEDULE_NOT_FOUND', 'NAME_TAKEN', 'STORE_UNAVAILABLE'],
    rest: {
      method: 'PATCH',
      paths: { '/schedules/:id': 'changeSchedule' },
      input: { params: rest.ScheduleParams, body: ScheduleChange },
    },
  },
  'schedule.remove': {
    scope: 'execute',
    errors: ['SCHEDULE_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rest: { method: 'DELETE', paths: { '/schedules/:id': 'removeSchedule' }, input: { params: rest.ScheduleParams } },
  },
  'schedule.run': {
    scope: 'execute',
    result: Execution,
    errors: [
      'SCHEDULE_NOT_FOUND',
      'WORKSPACE_NOT_FOUND',
      'SESSION_NOT_FOUND',
      'SESSION_BUSY',
      'WEBHOOK_NOT_FOUND',
      'IDEMPOTENCY_CONFLICT',
      'EXECUTION_NOT_FOUND',
      'QUEUE_FULL',
      'BUDGET_EXCEEDED',
      'STORE_UNAVAILABLE',
    ],
    rest: {
      method: 'POST',
      paths: { '/schedules/:id/run': 'runSchedule' },
      input: { params: rest.ScheduleParams, headers: rest.SubmitKeyHeaders, body: Nothing.optional() },
    },
  },
  'webhook.create': {
    scope: 'execute',
    result: NewWebhook,
    errors: ['WEBHOOK_NOT_FOUND', 'IDEMPOTENCY_CONFLICT', 'RATE_LIMITED', 'STORE_UNAVAILABLE'],
    rest: {
      method: 'POST',
      paths: { '/webhooks': 'createWebhook' },
      input: { body: WebhookRequest, headers: rest.WebhookHeaders },
    },
  },
  'webhook.list': {
    scope: 'execute',
    result: WebhookPage,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/webhooks': 'listWebhooks' }, input: { querystring: rest.WebhooksQuery } },
  },
  'webhook.get': {
    scope: 'execute',
    result: Webhook,
    errors: WEBHOOK_ERRORS,
    rest: { method: 'GET', paths: { '/webhooks/:id': 'getWebhook' }, input: { params: rest.WebhookParams } },
  },
  'webhook.change': {
    scope: 'execute',
    result: Webhook,
    errors: WEBHOOK_ERRORS,
    rest: {
      method: 'PATCH',
      paths: { '/webhooks/:id': 'changeWebhook' },
      input: { params: rest.WebhookParams, body: WebhookChange },
    },
  },
  'webhook.delete': {
    scope: 'execute',
    errors: WEBHOOK_ERRORS,
    rest: { method: 'DELETE', paths: { '/webhooks/:id': 'deleteWebhook' }, input: { params: rest.WebhookParams } },
  },
  'webhook.rotate': {
    scope: 'execute',
    result: NewWebhook,
    errors: WEBHOOK_ERRORS,
    rest: {
      method: 'POST',
      paths: { '/webhooks/:id/rotate': 'rotateWebhookSecret' },
      input: { params: rest.WebhookParams, body: rest.NoBody },
    },
  },
  'webhook.test': {
    scope: 'execute',
    result: Delivery,
    errors: [...WEBHOOK_ERRORS, 'RATE_LIMITED'],
    rest: {
      method: 'POST',
      paths: { '/webhooks/:id/test': 'testWebhook' },
      input: { params: rest.WebhookParams, body: rest.NoBody },
    },
  },
  'webhook.deliveries': {
    scope: 'execute',
    result: DeliveryPage,
    errors: WEBHOOK_ERRORS,
    rest: {
      method: 'GET',
      paths: { '/webhooks/:id/deliveries': 'listDeliveries' },
      input: { params: rest.WebhookParams, querystring: rest.DeliveriesQuery },
    },
  },
  'webhook.redeliver': {
    scope: 'execute',
    result: Delivery,
    errors: [...WEBHOOK_ERRORS, 'DELIVERY_NOT_FOUND'],
    rest: {
      method: 'POST',
      paths: { '/webhooks/:id/deliveries/:deliveryId/redeliver': 'redeliver' },
      input: { params: rest.DeliveryParams, body: rest.NoBody },
    },
  },
  'ticket.create': {
    scope: 'read',
    forOneExecution: true,
    result: Ticket,
    errors: ['EXECUTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    rest: { method: 'POST', paths: { '/tickets': 'createTicket' }, input: { body: TicketRequest.optional() } },
  },
  'estimate.get': {
    scope: 'read',
    result: TimeoutEstimate,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/estimates': 'getEstimate' }, input: { querystring: EstimateQuery } },
  },
  'usage.get': {
    scope: 'read',
    result: UsageReport,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/usage': 'getUsage' }, input: { querystring: rest.UsageQuery } },
  },
  'queue.get': {
    scope: 'read',
    result: QueueState,
    errors: ['STORE_UNAVAILABLE'],
    rpc: { summary: 'The queue and its workers.', params: Nothing },
    rest: { method: 'GET', paths: { '/queue': 'getQueue' } },
  },
  'auth.get': {
    scope: 'read',
    result: AuthStatus,
    errors: ['STORE_UNAVAILABLE'],
    rest: { method: 'GET', paths: { '/auth/status': 'getAuthStatus' } },
  },
  'health.get': {
    scope: 'read',
    forOneExecution: true,
    result: Health,
    errors: [],
    rpc: { summary: 'Whether this process serves.', params: Nothing },
    rest: { method: 'GET', paths: { '/health': 'getHealth', '/health/live': 'getLiveness' }, open: true },
  },
  'health.ready': {
    scope: 'read',
    forOneExecution: true,
    result: Readiness,
    errors: [],
    rest: { method: 'GET', paths: { '/health/ready': 'getReadiness' }, open: 'recognised' },
  },
  'config.get': {
    scope: 'admin',
    result: Settings,
    errors: [],
    rest: { method: 'GET', paths: { '/config': 'getConfig' } },
  },
  'metrics.get': {
    scope: 'read',
    errors: [],
    rest: { method: 'GET', paths: { '/metrics': 'getMetrics' }, media: ['text/plain'] },
  },
  'rpc.discover': {
    scope: 'read',
    forOneExecution: true,
    result: z.record(z.string(), z.unknown()).meta({ id: 'OpenRpcDocument' }),
    errors: [],
    rpc: { summary: 'This interface as an OpenRPC document.', params: Nothing },
  },
} as const satisfies Record<string, Operation>

type Operations = typeof OPERATIONS
export type OperationName = keyof Operations
/** Names of the operations that have a part: a method, a route, an answer as JSON. */
export type OperationWith<Part> = {
  [Name in OperationName]: Operations[Name] extends Part ? Name : never
}[OperationName]

/** Names of methods of `/ws`. */
export type RpcMethod = OperationWith<{ rpc: RpcMapping }>
export type RpcParams<Name extends RpcMethod> = z.output<Operations[Name]['rpc']['params']>
export type RpcResult<Name extends RpcMethod> = z.input<
  Operations[Name]['rpc'] extends { result: infer Result extends z.ZodType } ? Result : Operations[Name]['result']
>

export function isRpcMethod(name: string): name is RpcMethod {
  return Object.hasOwn(OPERATIONS, name) && 'rpc' in OPERATIONS[name as OperationName]
}
export const RPC_METHODS: readonly RpcMethod[] = Object.keys(OPERATIONS).filter(isRpcMethod)
