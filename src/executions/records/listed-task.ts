import { isTerminal } from '../../protocol/execution.js'
import type { ExecutionState } from './execution-state.js'

/** A task as its list knows it. */
export interface ListedTask {
  readonly index: number
  readonly id: string
  readonly state: ExecutionState
  /** The list has been told of its end. */
  readonly isRecorded: boolean
  /** SHA-256 of its receipt's text. */
  readonly receiptSha256?: string
}

/** What a list keeps of a task: `<id>`, and once its end is told `<id> <status> <SHA-256 of its receipt>`. */
export const toListedText = (id: string, status: string, receiptSha256 = ''): string =>
  `${id} ${status} ${receiptSha256}`.trim()

/** Reads it again; the state of a task that is not told of is its record's. */
export function toListedTask(index: number, text: string, state: ExecutionState | undefined): ListedTask {
  const [id = '', recorded, receiptSha256] = text.split(' ')
  const isRecorded = recorded !== undefined && isTerminal(recorded)
  return {
    index,
    id,
    state: isRecorded ? recorded : (state ?? 'queued'),
    isRecorded,
    receiptSha256,
  }
}
