import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { NewEvent } from '../../protocol/events.js'
import type { RunClocks } from './run-clocks.js'
import type { PendingRequests } from '../store/transitions.js'

/** The longest pause; a paused run keeps its slot. */
const PAUSE_LIMIT_MS = 24 * 60 * 60 * 1_000

export interface PauseSwitchOptions {
  readonly child: Pick<ClaudeProcess, 'pause' | 'resume'>
  readonly clocks: Pick<RunClocks, 'pause' | 'resume'>
  /** False once the run is being ended: nothing is paused or resumed then. */
  readonly isOpen: () => boolean
  /** Stores the state and tells it. */
  readonly record: (state: 'paused' | 'running', event: NewEvent) => Promise<void>
  /** The pause has lasted for 24 hours. */
  readonly onLimit: () => void
  readonly onError: (error: unknown) => void
}

/**
 * running ⇄ paused: the processes of a run and its clocks stop and continue together. The request comes again with
 * every renewal of the lease, so whatever fails of a change is tried again.
 */
export class PauseSwitch {
  readonly #options: PauseSwitchOptions
  /** Of the processes and the clocks. */
  #isPaused = false
  /** Of the record. */
  #isStored = false
  #changing: Promise<void> = Promise.resolve()
  #limit: NodeJS.Timeout | undefined

  constructor(options: PauseSwitchOptions) {
    this.#options = options
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** In order, one after the other: a resume must not overtake the pause before it. */
  request(pause: NonNullable<PendingRequests['pause']>): void {
    this.#changing = this.#changing.then(() => this.#set(pause)).catch(this.#options.onError)
  }

  /** Resolves once nothing is being changed any more. */
  async close(): Promise<void> {
    await this.#changing
    clearTimeout(this.#limit)
  }

  async #set({ wanted, by, reason }: NonNullable<PendingRequests['pause']>): Promise<void> {
    const { isOpen, record } = this.#options
    if (!isOpen()) return
    if (wanted !== this.#isPaused) await (wanted ? this.#pause() : this.#resume())
    if (wanted === this.#isStored) return
    await record(wanted ? 'paused' : 'running', {
      type: wanted ? 'execution.paused' : 'execution.resumed',
      data: { by, reason },
    })
    this.#isStored = wanted
  }

  async #pause(): Promise<void> {
    const { child, clocks, onLimit, onError } = this.#options
    try {
      await child.pause()
    } catch (error) {
      // Half of a run standing still is no pause: it goes on, and so do its clocks.
      await child.resume().catch(onError)
      throw error
    }
    clocks.pause()
    this.#limit = setTimeout(onLimit, PAUSE_LIMIT_MS)
    this.#isPaused = true
  }

  async #resume(): Promise<void> {
    const { child, clocks } = this.#options
    await child.resume()
    clearTimeout(this.#limit)
    clocks.resume()
    this.#isPaused = false
  }
}
