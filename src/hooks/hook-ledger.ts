import type { HookFinished, HooksState } from '../protocol/hooks.js'
import { listConfigured, type Hooks } from './hooks-file.js'

const RECENT = 10

/** What a worker remembers of its hooks' runs, since its start. */
export class HookLedger {
  readonly #hooks: Hooks
  readonly #recent: HooksState['recent'] = []
  #counts = { runs: 0, failed: 0, vetoed: 0 }

  constructor(hooks: Hooks) {
    this.#hooks = hooks
  }

  noteRun({ stage, name, exitCode, durationMs }: HookFinished, isVeto: boolean): void {
    this.#counts.runs += 1
    if (isVeto) this.#counts.vetoed += 1
    else if (exitCode !== 0) this.#counts.failed += 1
    this.#recent.push({ stage, name, exitCode, durationMs, at: new Date().toISOString() })
    if (this.#recent.length > RECENT) this.#recent.shift()
  }

  state(): HooksState {
    const { path, timeoutSeconds } = this.#hooks
    return { path, timeoutSeconds, configured: listConfigured(this.#hooks), ...this.#counts, recent: [...this.#recent] }
  }
}
