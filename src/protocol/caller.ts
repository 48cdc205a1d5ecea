/** What a token may do; `admin` may do everything. */
export type Scope = 'read' | 'execute' | 'approve' | 'admin'

/** Who asks. What it makes belongs to its id: a name may be given again, and inherits nothing. */
export interface Caller {
  /** Of a configured token its name, which no other token has as its id. */
  readonly id: string
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  /** What it may spend on a UTC day, in place of the settings for all. */
  readonly dailyBudget?: { readonly usd?: number; readonly tokens?: number }
  /** It may only watch this execution, whose owner it is not. */
  readonly executionId?: string
}

/** Whether an execution is there for the caller: its own, or the one that it was given. */
export function mayWatch({ id, owner }: { readonly id: string; readonly owner: string }, caller: Caller): boolean {
  return caller.executionId === undefined ? owner === caller.id : id === caller.executionId
}
