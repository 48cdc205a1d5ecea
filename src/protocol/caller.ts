/** What a token may do; `admin` may do everything. */
export type Scope = 'execute' | 'read' | 'admin'

/** Who asks: the name of a token, which owns what it makes. */
export interface Caller {
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  /** What it may spend on a UTC day, in place of the settings for all. */
  readonly dailyBudget?: { readonly usd?: number; readonly tokens?: number }
}
