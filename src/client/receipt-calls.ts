import type { KeySet, ReceiptReport } from '../protocol/receipt.js'
import type { Rest } from './rest.js'

interface CallOptions {
  readonly signal?: AbortSignal
}

/** What proves a run. */
export interface ReceiptCalls {
  /** All events that are in the log now, one a line, with the bytes that a receipt's chain is made of. */
  eventLines(executionId: string, options?: CallOptions): Promise<Uint8Array>
  /** The service checks a receipt, and the events where they are given. */
  verifyReceipt(
    evidence: { readonly receipt: string; readonly events?: string },
    options?: CallOptions,
  ): Promise<ReceiptReport>
  /** Every key that has ever signed receipts here. */
  receiptKeys(options?: CallOptions): Promise<KeySet>
}

export function createReceiptCalls(rest: Rest): ReceiptCalls {
  // Safe: the service's own answers, in the shapes that the protocol publishes.
  return {
    eventLines: (executionId, { signal } = {}) =>
      rest.bytes({
        path: `/executions/${encodeURIComponent(executionId)}/events`,
        headers: { accept: 'application/x-ndjson' },
        signal,
      }),
    async verifyReceipt(body, { signal } = {}) {
      return (await rest.json({ method: 'POST', path: '/receipts/verify', body, signal })) as ReceiptReport
    },
    async receiptKeys({ signal } = {}) {
      return (await rest.json({ path: '/receipts/keys', signal })) as KeySet
    },
  }
}
