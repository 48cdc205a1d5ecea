import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { Config } from '../../platform/config.js'
import type { NewEvent } from '../../protocol/events.js'

const INTERVAL_MS = 1_000

/** Tells of each limit that a run has met, once. */
export class LimitWatch {
  readonly #child: ClaudeProcess
  readonly #limits: Config['sandbox']['limits']
  readonly #note: (event: NewEvent) => Promise<void>
  readonly #reported = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(child: ClaudeProcess, limits: Config['sandbox']['limits'], note: (event: NewEvent) => Promise<void>) {
    this.#child = child
    this.#limits = limits
    this.#note = note
  }

  begin(): void {
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS)
  }

  /** After a last look. */
  close(): void {
    clearInterval(this.#timer)
    this.#look()
  }

  #look(): void {
    for (const kind of this.#child.limitsReached().filter((met) => !this.#reported.has(met))) {
      this.#reported.add(kind)
      // The journal tells its own failures.
      void this.#note({ type: 'limit.reached', data: { kind, limit: this.#limits[kind] ?? 0 } }).catch(() => undefined)
    }
  }
}
