import type { Notices } from '../../claude/stream/notices.js'
import type { ClaudeAccountState } from '../../protocol/service-state.js'

/** A run can write names of its own; an account has a handful. */
const LIMITS_KEPT = 20

/** What this worker's runs have told of the account that they use; the newest word on each limit counts. */
export class AccountState {
  #credentialExpiresAt: string | undefined
  readonly #limits = new Map<string, NonNullable<ClaudeAccountState['limits']>[number]>()

  readonly #loginEnd: (() => string | undefined) | undefined

  /** `loginEnd`: until when the worker's own login holds; a run tells of the stand-in that it was given. */
  constructor(loginEnd?: () => string | undefined) {
    this.#loginEnd = loginEnd
  }

  note({ credentialExpiresAt, limits }: Notices): void {
    if (credentialExpiresAt !== undefined) this.#credentialExpiresAt = credentialExpiresAt
    for (const [name, state] of limits) {
      this.#limits.delete(name)
      this.#limits.set(name, { name, ...state })
      const [oldest] = this.#limits.size > LIMITS_KEPT ? this.#limits.keys() : []
      if (oldest !== undefined) this.#limits.delete(oldest)
    }
  }

  /** Empty while nothing was told. A window that has been reset since says nothing any more. */
  describe(now = new Date()): { readonly account?: ClaudeAccountState } {
    const limits = [...this.#limits.values()].filter(
      ({ resetsAt }) => resetsAt === undefined || resetsAt > now.toISOString(),
    )
    const credentialExpiresAt = this.#loginEnd ? this.#loginEnd() : this.#credentialExpiresAt
    if (credentialExpiresAt === undefined && limits.length === 0) return {}
    return {
      account: {
        credentialExpiresAt,
        limits: limits.length > 0 ? limits : undefined,
      },
    }
  }
}
