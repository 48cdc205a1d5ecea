import { createHmac, randomBytes } from 'node:crypto'
import { mintUuid } from '../platform/mint-uuid.js'

const PREFIX = 'whsec_'
const SECRET_BYTES = 32

const mint = (kind: string, milliseconds: number): string => `${kind}_${mintUuid(milliseconds).replaceAll('-', '')}`

/** Ids sort by their time. */
export const mintWebhookId = (milliseconds: number): string => mint('whk', milliseconds)
export const mintDeliveryId = (milliseconds: number): string => mint('msg', milliseconds)

export const mintSecret = (): string => `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`

/** `v1,<base64>` for each secret, as the header `webhook-signature` of Standard Webhooks has them. */
export function sign(secrets: readonly string[], id: string, timestamp: number, body: string): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
      return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
    })
    .join(' ')
}
