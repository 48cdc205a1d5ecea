import { createApprovalCalls, type ApprovalCalls } from './approval-calls.js'
import { createMessageCalls, type MessageCalls } from './message-calls.js'
import { createRepositoryCalls, type RepositoryCalls } from './repository-calls.js'
import { createReceiptCalls, type ReceiptCalls } from './receipt-calls.js'
import type { Rest } from './rest.js'
import { createScheduleCalls, type ScheduleCalls } from './schedule-calls.js'
import { createTokenCalls, type TokenCalls } from './token-calls.js'
import { createWebhookCalls, type WebhookCalls } from './webhook-calls.js'

/** What is there beside executions. */
export interface ResourceCalls
  extends TokenCalls, ApprovalCalls, MessageCalls, RepositoryCalls, ScheduleCalls, WebhookCalls, ReceiptCalls {}

export const createResourceCalls = (rest: Rest): ResourceCalls => ({
  ...createTokenCalls(rest),
  ...createWebhookCalls(rest),
  ...createApprovalCalls(rest),
  ...createMessageCalls(rest),
  ...createRepositoryCalls(rest),
  ...createScheduleCalls(rest),
  ...createReceiptCalls(rest),
})
