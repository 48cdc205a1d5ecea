import type { NewEvent } from '../../protocol/events.js'
import type { Usage } from '../../protocol/execution.js'
import type { NewRecord, ReadyExecution } from './transitions.js'

/** What a list is told of a task that has ended, and what follows it. */
export interface Advance {
  readonly index: number
  readonly id: string
  readonly at: Date
  readonly status: string
  readonly receiptSha256: string | undefined
  readonly event: NewEvent
  /** Of the list, this task included. */
  readonly usage: Usage
  /** A list that is over is nobody else's for so long. */
  readonly holdMs?: number
  /** Absent: it was the last one. */
  readonly following?: NewRecord
}

export type AdvanceAnswer =
  | { readonly kind: 'next'; readonly ready: ReadyExecution }
  /** No other task follows: the end of the list is to be written, under this fence where the list is held. */
  | { readonly kind: 'over'; readonly fence?: string }
  /** The task goes on; somebody else was first; the list has ended. */
  | { readonly kind: 'waiting' | 'moved' | 'settled' }

export type CancelListAnswer =
  /** The task that is under way, and its state; the last event of the list. */
  | {
      readonly kind: 'requested'
      readonly task?: { readonly id: string; readonly state: string }
      readonly lastSeq: number
    }
  | { readonly kind: 'refused' }
