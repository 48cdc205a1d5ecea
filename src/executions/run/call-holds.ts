import { setTimeout as wait } from 'node:timers/promises'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { PermissionRequest } from '../../claude/stream/permission-requests.js'
import type { HeldRun } from '../claim/held-runs.js'
import type { RunServices } from '../claim/run-services.js'
import { CallParking, type CallParkingOptions } from './call-parking.js'
import type { HeldCall } from './held-call.js'

export interface CallHoldsOptions extends CallParkingOptions {
  readonly services: Pick<RunServices, 'store' | 'config' | 'heldRuns'>
  readonly executionId: string
  readonly fence: string
  readonly run: Pick<RunRequest, 'approvalHoldSeconds'>
  readonly persist: <Answer>(store: () => Promise<Answer>) => Promise<Answer>
}

/** What the holds need of the approvals that they belong to. */
export interface HeldCalls {
  readonly all: ReadonlyMap<string, HeldCall>
  /** One step after the other. */
  enqueue(step: () => Promise<void>): Promise<void>
  /** Whether somebody has decided. */
  look(): Promise<void>
  withdraw(call: HeldCall): Promise<void>
}

/** How long a worker that is stopping waits for a call to be left in its session. */
const AT_STOP_MS = 5_000
const STEP_MS = 50

/**
 * How long the calls of an attempt may keep their worker. When the hold of a call is over it is left in its session and
 * the CLI ended (call-parking.ts); where that cannot be done its record says why, and the worker may give it up in
 * favour of others (HeldRuns).
 */
export class CallHolds implements HeldRun {
  readonly #options: CallHoldsOptions
  readonly #calls: HeldCalls
  readonly #parking: CallParking
  #left: HeldCall | undefined
  /** By `toolUseId`. */
  readonly #denied = new Set<string>()
  /** Calls were given up: the next one that can be kept does not wait here. */
  #isCrowded = false

  constructor(options: CallHoldsOptions, calls: HeldCalls) {
    this.#options = options
    this.#calls = calls
    this.#parking = new CallParking(options)
  }

  /** The one that was left in the session. */
  get left(): HeldCall | undefined {
    return this.#options.stop.cause?.code === 'TOOL_DEFERRED' ? this.#left : undefined
  }

  take(message: Readonly<Record<string, unknown>>): boolean {
    return this.#parking.take(message)
  }

  start(call: HeldCall): void {
    const { run, services } = this.#options
    const seconds = this.#isCrowded ? 0 : (run.approvalHoldSeconds ?? services.config.approvalHoldSeconds)
    call.hold = setTimeout(() => {
      call.isOverdue = true
      this.reconsider()
    }, seconds * 1_000)
  }

  /** What kept a call from being left may be over, or none of them waits any longer. */
  reconsider(): void {
    if (this.#overdue().length > 0) void this.#calls.enqueue(() => this.#leaveOrHold())
    else this.#options.services.heldRuns.leave(this)
  }

  /** The worker must let go of the run: it ends with a call that can be kept, or else as `end` says. */
  async leaveOr(end: () => void): Promise<void> {
    const deadline = performance.now() + AT_STOP_MS
    do {
      for (const call of this.#calls.all.values()) call.isOverdue = true
      const left = this.#calls.enqueue(() => this.#leaveOrHold())
      await Promise.race([left, wait(AT_STOP_MS, undefined, { ref: false })])
    } while (this.#isTooEarly() && performance.now() < deadline && (await wait(STEP_MS, true, { ref: false })))
    end()
  }

  /** The CLI is told not to run a call: that has its result at once, and keeps no other one from being left. */
  noteDenied(toolUseId: string): void {
    this.#denied.add(toolUseId)
  }

  giveUp(): void {
    this.#isCrowded = true
    void this.#calls.enqueue(async () => {
      for (const call of this.#overdue()) {
        call.isGivenUp = true
        await this.#calls.withdraw(call)
      }
    })
  }

  close(): void {
    this.#options.services.heldRuns.leave(this)
  }

  /** It is being stored, or its reply is still being written. */
  #isTooEarly(): boolean {
    if (!this.#options.stop.isOpen) return false
    return [...this.#calls.all.values()].some(
      ({ isStored, isGone, request }) => !isGone && (!isStored || this.#whyHeld(request) === 'later'),
    )
  }

  #whyHeld(request: PermissionRequest): string | undefined {
    return this.#parking.whyHeld(request, this.#calls.all.size, this.#denied)
  }

  #overdue(): HeldCall[] {
    return [...this.#calls.all.values()].filter((call) => call.isOverdue && call.isStored && !call.isGone)
  }

  async #leaveOrHold(): Promise<void> {
    const { services, stop, executionId, fence, persist } = this.#options
    const overdue = this.#overdue()
    const [first] = overdue
    if (!first || this.#left || !stop.isOpen) return
    const why = this.#whyHeld(first.request)
    if (why === 'later') return
    if (why === undefined) return this.#leave(first)
    services.heldRuns.enter(this)
    for (const call of overdue) {
      const own = this.#whyHeld(call.request)
      if (call.heldBecause === own) continue
      await persist(() => services.store.holdApproval(call.id, { executionId, fence }, own))
      call.heldBecause = own
    }
  }

  async #leave(call: HeldCall): Promise<void> {
    await this.#parking.askSums()
    // Somebody may have decided meanwhile: then the CLI is there to be answered.
    await this.#calls.look()
    if (!this.#calls.all.has(call.request.requestId) || call.isGone || !this.#options.stop.isOpen) return
    this.#left = call
    this.#parking.end(call.request.tool)
  }
}
