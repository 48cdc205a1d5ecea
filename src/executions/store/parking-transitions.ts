import type { Caller } from '../../protocol/caller.js'
import type { NewEvent } from '../../protocol/events.js'
import type { BudgetRefusal, NewBudget } from '../../protocol/usage.js'
import type { ParkedState } from '../records/execution-state.js'
import type { WantedRest } from '../records/plan-rest.js'
import type { ReadyExecution } from './transitions.js'

/** A parked execution goes on: what the next attempt is told, and what it reserves. */
export interface GoOn {
  readonly by: string
  readonly at: Date
  readonly note?: string
  readonly queueDeadline?: Date
  /** Of what was decided, where the log does not tell it yet. */
  readonly events?: readonly NewEvent[]
  readonly wantedBudget?: WantedRest
  /** Where the day has nothing left it stays parked, until then. */
  readonly nextDay?: Date
}

export type GoOnAnswer =
  | { readonly kind: 'unparked'; readonly ready: ReadyExecution }
  | { readonly kind: 'refused'; readonly state: string }
  | { readonly kind: 'over'; readonly refusal: BudgetRefusal }

/** As it was seen: somebody else may have been first. */
export interface SeenParked {
  readonly id: string
  readonly state: ParkedState
  readonly claim: number
  readonly attempt: number
}

export interface SetBudget {
  readonly budget: NewBudget
  readonly by: string
  readonly at: Date
  readonly dailyBudget: Caller['dailyBudget']
  readonly wantedBudget: WantedRest
  /** A parked one goes on. */
  readonly isEnough: boolean
  readonly queueDeadline?: Date
}

export type SetBudgetAnswer =
  | { readonly kind: 'changed' }
  | GoOnAnswer
  /** Its state or its limits have changed since it was seen. */
  | { readonly kind: 'moved' }
