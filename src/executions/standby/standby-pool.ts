import { randomUUID } from 'node:crypto'
import type { RunServices } from '../claim/run-services.js'
import type { Standby, StandbyTerms, WaitingCli } from '../claim/standby.js'
import { isSame } from '../run/take-standby.js'
import { chooseTerms, planStandby, whyNone } from './plan-standby.js'
import { startStandby, type Kept } from './start-standby.js'

const MIB = 1024 * 1024
/** With less the machine is short of memory, and what waits for nobody gives its own back. */
const LEAST_BYTES = 1024 * MIB
/** What a CLI takes, and some for the run that is handed it. */
const START_BYTES = 512 * MIB
const MAX_AGE_MS = 10 * 60_000
/** A run that was handed one has the machine to itself for so long, or until it is over. */
const QUIET_MS = 1_000
/** After a start that failed; twice as long after each further one. */
const FIRST_WAIT_MS = 2_500
const LONGEST_WAIT_MS = 5 * 60_000

export interface StandbyOptions {
  readonly services: RunServices
  /** How many are to stand by. */
  readonly size: number
  /** Whether the worker takes jobs at all. */
  readonly mayStart: () => boolean
  /** One more waits. */
  readonly onReady?: () => void
  readonly availableMemory?: () => number
  readonly maxAgeMs?: number
}

const isFor = (
  { terms: { level, credential, claude } }: Kept,
  { level: wanted, credential: { account }, claude: { binary, version } }: StandbyTerms,
): boolean =>
  level === wanted && credential.account === account && claude.binary === binary && claude.version === version

/**
 * The CLIs on standby of a worker.
 *
 *     starting → waiting   it has answered `initialize`
 *     waiting  → taken     a claim looks whether it is what its run wants
 *     taken    → waiting   it was not
 *     taken    → assigned  it is the run's from then on, with its folders; the claim closes it
 *     every one but assigned → ended   too old, started with what no longer holds, memory is short, the worker stops
 */
export class StandbyPool implements Standby {
  readonly #options: StandbyOptions
  readonly #waiting: Kept[] = []
  /** Names of folders in use, from before they are made until they are removed or known to be needed. */
  readonly #held = new Set<string>()
  readonly #closing = new AbortController()
  readonly #ending = new Set<Promise<void>>()
  #filling: Promise<void> | undefined
  /** In a row. */
  #failures = 0
  #notBefore = 0

  constructor(options: StandbyOptions) {
    this.#options = options
    const why = whyNone(options.services)
    if (why !== undefined && options.size > 0) options.services.logger.info({ why }, 'no CLI stands by on this worker')
  }

  state(): { ready: number; wanted: number } {
    return { ready: this.#waiting.length, wanted: this.#wanted }
  }

  holds(id: string): boolean {
    return this.#held.has(id)
  }

  take(terms: StandbyTerms): WaitingCli | undefined {
    const index = this.#waiting.findIndex((kept) => kept.isWaiting() && isFor(kept, terms))
    const [kept] = index < 0 ? [] : this.#waiting.splice(index, 1)
    return kept && this.#toTaken(kept)
  }

  /** Throws away what must not wait any longer, and starts what is missing. */
  async check(): Promise<void> {
    for (const kept of [...this.#waiting]) if (!(await this.#isGood(kept))) this.#drop(kept)
    this.#fill()
  }

  /** Ends those that wait; those that were handed over are their claims'. */
  async close(): Promise<void> {
    this.#closing.abort()
    for (const kept of this.#waiting.slice()) this.#drop(kept)
    await this.#filling
    await Promise.all(this.#ending)
  }

  get #wanted(): number {
    const { size, services } = this.#options
    return whyNone(services) === undefined ? size : 0
  }

  #memory(): number {
    return (this.#options.availableMemory ?? (() => process.availableMemory()))()
  }

  async #isGood(kept: Kept): Promise<boolean> {
    const { services, mayStart, maxAgeMs = MAX_AGE_MS } = this.#options
    if (!kept.isWaiting() || performance.now() - kept.since > maxAgeMs) return false
    if (!mayStart() || this.#memory() < LEAST_BYTES) return false
    const terms = chooseTerms(services)
    return terms !== undefined && isFor(kept, terms) && isSame(await planStandby(services, terms, kept), kept.command)
  }

  #drop(kept: Kept): void {
    const index = this.#waiting.indexOf(kept)
    if (index < 0) return
    this.#waiting.splice(index, 1)
    void this.#end(kept)
  }

  #end(kept: Kept): Promise<void> {
    const { logger } = this.#options.services
    const ended = kept
      .end()
      // The sweeps find what is left.
      .catch((err: unknown) => logger.warn({ err }, 'a CLI that stood by could not be cleared away'))
      .finally(() => {
        this.#held.delete(kept.id)
        this.#ending.delete(ended)
      })
    this.#ending.add(ended)
    return ended
  }

  #toTaken(kept: Kept): WaitingCli {
    let isAssigned = false
    return {
      ...kept,
      assign: async (executionId) => {
        isAssigned = true
        await kept.assign(executionId)
        setTimeout(() => this.#fill(), QUIET_MS).unref()
      },
      giveBack: () => {
        if (isAssigned || this.#closing.signal.aborted || !kept.isWaiting()) void this.#end(kept)
        else this.#waiting.push(kept)
        // The request may have been another one than usual, or the usual has changed.
        void this.check().catch(() => undefined)
      },
      close: async () => {
        await this.#end(kept)
        this.#fill()
      },
    }
  }

  #fill(): void {
    if (this.#closing.signal.aborted) return
    this.#filling ??= this.#fillUp().finally(() => (this.#filling = undefined))
  }

  async #fillUp(): Promise<void> {
    const { services, mayStart } = this.#options
    while (this.#waiting.length < this.#wanted && mayStart() && performance.now() >= this.#notBefore) {
      const terms = chooseTerms(services)
      if (!terms || this.#memory() < LEAST_BYTES + START_BYTES) return
      const kept = await this.#start(terms)
      // The next check tries again.
      if (!kept) return
      this.#failures = 0
      if (this.#closing.signal.aborted) return this.#end(kept)
      this.#waiting.push(kept)
      this.#options.onReady?.()
    }
  }

  async #start(terms: StandbyTerms): Promise<Kept | undefined> {
    const { services } = this.#options
    const { startGate, logger } = services
    const { signal } = this.#closing
    const id = randomUUID()
    const entered = startGate.enterLast()
    const closed = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    await Promise.race([entered, closed])
    try {
      if (signal.aborted) return undefined
      this.#held.add(id)
      return await startStandby(services, terms, { id, signal })
    } catch (err) {
      this.#held.delete(id)
      if (!signal.aborted) {
        this.#failures += 1
        const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures)
        this.#notBefore = performance.now() + waitMs
        logger[this.#failures === 1 ? 'warn' : 'debug']({ err, waitMs }, 'no CLI could be started to stand by')
      }
      return undefined
    } finally {
      void entered.then(() => startGate.leave())
    }
  }
}
