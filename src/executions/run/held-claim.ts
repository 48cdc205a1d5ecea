import { Lifetime } from '../../platform/lifetime.js'
import { createSharedStop, sleep } from '../../platform/abort-signals.js'
import { addUsage, NO_USAGE, type Usage } from '../../protocol/execution.js'
import type { PooledCredential } from '../claim/credential-pool.js'
import { LeaseKeeper } from '../claim/lease-keeper.js'
import { RunJournal } from '../claim/run-journal.js'
import type { RunServices } from '../claim/run-services.js'
import type { OpenSpan } from '../../telemetry/tracing.js'
import { RunHooks } from '../hooks/run-hooks.js'
import type { LogReading } from '../conclude/log-reading.js'
import type { ClaimAnswer, PendingRequests } from '../store/transitions.js'
import type { RunAttempt } from './run-attempt.js'
import type { RunContext } from './run-report.js'
import { stopCauses } from './stop-causes.js'

/** With the credential that the script has chosen. */
export type GrantedClaim = Omit<Extract<ClaimAnswer, { kind: 'claimed' }>, 'credential'> & {
  readonly credential: PooledCredential
}

const PERSIST_RETRY_MS = 500

/**
 * An execution that this worker holds under one fence: its lease, its hooks, and what may end its attempt from outside.
 *
 *     held → stopping   the worker must let go of its runs: the attempt is ended, and what follows is still written
 *     held, stopping → lost   the fence is gone, or the lease could not be renewed: nothing is written any more
 */
export class HeldClaim {
  readonly services: RunServices
  readonly executionId: string
  readonly fence: string
  /** In the environment of every process of this claim. */
  readonly marker: string
  /** The number of the attempt that is about to begin, or runs. */
  readonly attempt: number
  /** What it pays with, also when the operator has taken that away meanwhile. */
  readonly credential: PooledCredential
  /** Of its attempt; undefined where tracing is off. */
  span: OpenSpan | undefined
  /** Sum of the attempts before this one. */
  earlierUsage: Usage = NO_USAGE
  /** The whole log, as this claim has written it; undefined: it must be read for the receipt. */
  written: LogReading | undefined
  readonly context: RunContext
  readonly lease: LeaseKeeper
  readonly hooks: RunHooks
  /** What is opened under this claim. */
  readonly lifetime = new Lifetime()
  readonly #storedBytes: number
  #running: RunAttempt | undefined
  #requests: PendingRequests = {}
  #isLost = false
  readonly #preparing = createSharedStop()

  constructor(
    services: RunServices,
    executionId: string,
    { fence, attempt, lastSeq, storedBytes, credential, messages }: GrantedClaim,
    context: RunContext,
  ) {
    const { config, deploymentId, live, logger, store } = services
    this.services = services
    this.executionId = executionId
    this.fence = fence
    this.marker = `${deploymentId}/${executionId}/${fence}`
    this.attempt = attempt + 1
    this.credential = credential
    this.context = context
    this.#storedBytes = storedBytes
    this.#requests = { messages }
    this.lease = new LeaseKeeper({
      store,
      logger,
      executionId,
      fence,
      leaseMs: config.lockSeconds * 1_000,
      usage: () => this.#running && addUsage(this.earlierUsage, this.#running.usage()),
      onRequests: (requests) => this.#apply(requests),
      onLost: (why) => this.#lose(why),
    })
    this.hooks = new RunHooks({
      services,
      fence,
      attempt: this.attempt,
      marker: this.marker,
      lease: this.lease,
      signal: context.signal,
      journal: this.openJournal(attempt, lastSeq),
    })
    context.signal.addEventListener('abort', this.#onStopping, { once: true })
    live.set(executionId, this)
  }

  /** Why this worker can do no more than what must be done; undefined: it holds the claim and is not stopping. */
  get leaving(): 'lost' | 'stopping' | undefined {
    if (this.#isLost) return 'lost'
    return this.context.signal.aborted ? 'stopping' : undefined
  }

  /** Aborts when the execution must not start any more: cancelled, or its worker stops or has lost the claim. */
  get preparing(): AbortSignal {
    return this.#preparing.signal
  }

  /** Something of the CLI, which was let go, is alive. */
  isRunning(): boolean {
    return this.#running?.isOver === false
  }

  renewNow(): void {
    this.lease.renewNow()
  }

  /** From now on the attempt gets what is requested, and what was requested until now. */
  begin(attempt: RunAttempt): void {
    this.#running = attempt
    if (this.#isLost) attempt.end(stopCauses.claimLost())
    if (this.context.signal.aborted) this.#onStopping()
    attempt.apply(this.#requests)
  }

  /** Writes the events from then on. */
  openJournal(attempt: number, lastSeq: number): RunJournal {
    const { log, config } = this.services
    return new RunJournal({
      log,
      executionId: this.executionId,
      fence: this.fence,
      attempt,
      lastSeq,
      storedBytes: this.#storedBytes,
      limitBytes: config.outputLimitBytes,
      onStale: () => this.#lose('stale'),
      written: this.written,
    })
  }

  /**
   * Stores what follows; while Redis is away it tries again until the lease is over, when others may store it.
   * @throws what storing threw, then
   */
  async persist<Answer>(store: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      try {
        return await store()
      } catch (err) {
        if (this.#isLost) throw err
        const { executionId } = this
        this.services.logger.warn({ executionId, err }, 'the end of an attempt could not be stored; trying again')
        await sleep(PERSIST_RETRY_MS)
      }
    }
  }

  async close(): Promise<void> {
    const { live } = this.services
    this.lease.close()
    this.context.signal.removeEventListener('abort', this.#onStopping)
    await this.lifetime.close().catch(() => undefined)
    // A further attempt may be in this worker's hands by now.
    if (live.get(this.executionId) === this) live.delete(this.executionId)
  }

  readonly #onStopping = (): void => {
    this.#preparing.abort()
    this.#running?.release(stopCauses.workerStopped(String(this.context.signal.reason)))
  }

  #apply(requests: PendingRequests): void {
    this.#requests = requests
    if (requests.cancel) this.#preparing.abort()
    this.hooks.apply(requests)
    this.#running?.apply(requests)
  }

  #lose(why: 'stale' | 'unreachable'): void {
    if (this.#isLost) return
    this.#isLost = true
    this.services.logger.error({ executionId: this.executionId, why }, 'the claim is lost; its run is stopped')
    this.#preparing.abort()
    this.hooks.stop()
    this.#running?.end(stopCauses.claimLost())
  }
}
