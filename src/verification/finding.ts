import type { ReceiptCheck } from '../protocol/receipt.js'

export interface Mismatch {
  readonly name: string
  readonly detail: string
}

/** What one check found: nothing to say against it, or what does not match. */
export interface Finding {
  readonly name: ReceiptCheck['name']
  readonly mismatches: readonly Mismatch[]
  /** What was found where nothing is wrong; `skipped` where there was nothing to look at. */
  readonly detail: string
  readonly skipped?: boolean
}
