import type { Logger } from '../../platform/logger.js'
import type { Usage } from '../../protocol/execution.js'
import type { HolderCommands } from '../store/holder-commands.js'
import type { PendingRequests } from '../store/transitions.js'

/** Ticks per lease: a renewal may fail several times before the lease is over. */
const TICKS_PER_LEASE = 6
/**
 * Of the lease: so long after the last confirmed renewal the warden gets no more heartbeats. It ends the run 0.4 of a
 * lease after the last one.
 */
const LAST_BEAT = 1 / 2
/**
 * Of the lease: then we end the run ourselves, and say why. The last heartbeat may be a tick before LAST_BEAT, so the
 * warden would at 0.73.
 */
const LOST_AT = 0.7

export interface LeaseKeeperOptions {
  readonly store: Pick<HolderCommands, 'renew'>
  readonly logger: Logger
  readonly executionId: string
  readonly fence: string
  readonly leaseMs: number
  readonly usage: () => Usage | undefined
  readonly onRequests: (requests: PendingRequests) => void
  /** Called once, when the fence is lost or no renewal was confirmed for 0.7 of a lease. */
  readonly onLost: (why: 'stale' | 'unreachable') => void
}

/**
 * Renews the lease of a claimed execution and passes on what is requested.
 * Half a lease after the last confirmed renewal the warden gets no more heartbeats, and 0.4 of a lease later it ends
 * the run:
 * a worker that is frozen or cut off from Redis never leaves an agent running beside its successor.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions
  readonly #timer: NodeJS.Timeout
  #expiry: NodeJS.Timeout | undefined
  #heartbeat: (() => void) | undefined
  #confirmedAt = performance.now()
  #renewing: Promise<void> | undefined
  #again = false
  #isLost = false

  constructor(options: LeaseKeeperOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), options.leaseMs / TICKS_PER_LEASE)
    this.#confirm(performance.now())
  }

  /** From now on the warden hears from us. */
  attach(heartbeat: () => void): void {
    this.#heartbeat = heartbeat
    this.#beat()
  }

  /** Looks for requests at once: somebody said that there are some. */
  renewNow(): void {
    if (this.#renewing) this.#again = true
    else this.#renew()
  }

  close(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#expiry)
    this.#isLost = true
  }

  #tick(): void {
    this.#beat()
    if (!this.#renewing) this.#renew()
  }

  #confirm(askedAt: number): void {
    this.#confirmedAt = askedAt
    clearTimeout(this.#expiry)
    this.#expiry = setTimeout(
      () => this.#lose('unreachable'),
      askedAt + this.#options.leaseMs * LOST_AT - performance.now(),
    )
  }

  #silenceMs(): number {
    return performance.now() - this.#confirmedAt
  }

  #beat(): void {
    if (this.#silenceMs() < this.#options.leaseMs * LAST_BEAT) this.#heartbeat?.()
  }

  #renew(): void {
    if (this.#isLost) return
    this.#again = false
    this.#renewing = this.#renewOnce()
      .catch((err: unknown) =>
        this.#options.logger.debug({ executionId: this.#options.executionId, err }, 'lease not renewed'),
      )
      .finally(() => {
        this.#renewing = undefined
        if (this.#again) this.#renew()
      })
  }

  async #renewOnce(): Promise<void> {
    const { store, executionId, fence, leaseMs, usage, onRequests } = this.#options
    // The lease begins when Redis hears of it; our own clock starts before, so it ends before.
    const askedAt = performance.now()
    const requests = await store.renew(executionId, fence, leaseMs, usage())
    if (this.#isLost) return
    if (!requests) return this.#lose('stale')
    this.#confirm(askedAt)
    this.#beat()
    onRequests(requests)
  }

  #lose(why: 'stale' | 'unreachable'): void {
    if (this.#isLost) return
    this.close()
    this.#options.onLost(why)
  }
}
