import { matchesPattern, type WebhookPayload } from '../protocol/webhooks.js'
import type { StoredWebhook } from './stored-webhook.js'

/** What happened, as the script in which it did has written it. */
export interface OutboxEntry {
  readonly id: string
  readonly type: string
  /** Milliseconds, by Redis' clock. */
  readonly timestamp: number
  /** The id of the token that it belongs to. */
  readonly owner: string
  readonly fields: Readonly<Partial<Record<string, string>>>
}

export function toEntry([id, values]: readonly [string, readonly string[]]): OutboxEntry {
  const fields = Object.fromEntries(
    Array.from({ length: values.length / 2 }, (_, index) => [values[index * 2] ?? '', values[index * 2 + 1] ?? '']),
  )
  const { type = '', timestamp, owner = '' } = fields
  return { id, type, timestamp: Number(timestamp), owner, fields }
}

/** The webhooks of a token that an execution is told to, where its request has named them. */
const namedBy = ({ fields: { webhooks } }: OutboxEntry): readonly string[] | undefined =>
  // Safe: toNewRecord wrote it.
  webhooks === undefined ? undefined : (JSON.parse(webhooks) as string[])

/** Whether a webhook is told of it. One that was made later is not, nor is one told of its own end. */
export function hears(entry: OutboxEntry, webhook: StoredWebhook): boolean {
  const named = namedBy(entry)
  const isFor = webhook.allTokens || (webhook.createdBy === entry.owner && (named?.includes(webhook.id) ?? true))
  return (
    isFor &&
    webhook.enabled &&
    Date.parse(webhook.createdAt) <= entry.timestamp &&
    entry.fields['webhookId'] !== webhook.id &&
    webhook.events.some((pattern) => matchesPattern(pattern, entry.type))
  )
}

/** What is told: little, so that nothing of it is secret or outdated. */
export function toPayload({ type, timestamp, fields }: OutboxEntry): WebhookPayload {
  const { executionId, state, kind, metadata, code, parentId, approvalId, webhookId, scheduleId } = fields
  return {
    type,
    timestamp: new Date(timestamp).toISOString(),
    data: {
      executionId,
      status: state,
      code,
      kind: executionId === undefined ? kind : (kind ?? 'run'),
      // Safe: the record's own JSON.
      metadata: executionId === undefined ? undefined : (JSON.parse(metadata ?? '{}') as Record<string, string>),
      parentId,
      approvalId,
      webhookId,
      scheduleId,
    },
  }
}

/** What is sent in order: all of one execution, or schedule. */
export const lineOf = ({ id, fields: { executionId, scheduleId } }: OutboxEntry): string =>
  executionId ?? scheduleId ?? id
