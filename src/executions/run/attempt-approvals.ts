import {
  readPermissionRequest,
  readWithdrawal,
  toPermissionResponse,
  type PermissionAnswer,
  type PermissionRequest,
} from '../../claude/stream/permission-requests.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import { mintUuid } from '../../platform/mint-uuid.js'
import type { NewEvent } from '../../protocol/events.js'
import { APPROVALS_LIMIT } from '../../protocol/limits.js'
import type { RunJournal } from '../claim/run-journal.js'
import type { RunServices } from '../claim/run-services.js'
import { toApproval, toClosingEvent, type ApprovalRecord } from '../records/approval-record.js'
import { CallHolds, type CallHoldsOptions } from './call-holds.js'
import { notRun, stopTimers, toAsked, toLeftCall, type HeldCall, type LeftCall } from './held-call.js'
import type { RunClocks } from './run-clocks.js'
import { stopCauses } from './stop-causes.js'
import type { StoredDecision } from './stored-decision.js'

export interface AttemptApprovalsOptions extends CallHoldsOptions {
  readonly services: Pick<RunServices, 'store' | 'config' | 'logger' | 'heldRuns'>
  readonly owner: string
  readonly attempt: number
  readonly run: Pick<RunRequest, 'approvalTimeoutSeconds' | 'approvalHoldSeconds' | 'onApprovalTimeout'>
  readonly journal: RunJournal
  readonly clocks: Pick<RunClocks, 'pause' | 'resume'>
  /** What the execution was parked for: the CLI asks about it once more. */
  readonly decision: StoredDecision | undefined
}

/**
 * The calls of one attempt that wait for people. The CLI waits with each until it is answered.
 *
 *     arrived → stored     as an approval, and told in the log, after the call itself
 *     arrived → answered   with the decision for which the execution was parked
 *     stored  → closed     decided, expired or withdrawn: a compare-and-set in Redis, whoever makes it
 *     closed  → answered   only once the log holds how: if this process dies from here on, its successor knows that the
 *                          call may have run
 *     stored  → left       its hold is over and its session can keep it: the CLI is ended, the approval stays pending
 *     arrived → answered   denied at once: there are too many, or the run is being ended
 *     arrived, stored → gone   the CLI has taken it back, or the attempt is over: withdrawn, where nobody has decided
 */
export class AttemptApprovals {
  readonly #options: AttemptApprovalsOptions
  /** By the CLI's id of the question. */
  readonly #held = new Map<string, HeldCall>()
  readonly #holds: CallHolds
  #arrived: HeldCall[] = []
  #work: Promise<void> = Promise.resolve()
  #closedSeen: number | undefined

  constructor(options: AttemptApprovalsOptions) {
    this.#options = options
    this.#holds = new CallHolds(options, {
      all: this.#held,
      enqueue: (step) => this.#enqueue(step),
      look: () => this.#look(),
      withdraw: (held) => this.#close(held, 'withdrawn'),
    })
  }

  /** A message of the control protocol; true where it was one of these. */
  take(message: Record<string, unknown>, own: () => Record<string, unknown>): boolean {
    const { stop, decision } = this.#options
    const withdrawn = readWithdrawal(message)
    if (withdrawn !== undefined) {
      // A CLI that is being ended may take back what it leaves in its session.
      if (withdrawn !== this.#holds.left?.request.requestId) this.#leave(withdrawn)
      return true
    }
    if (this.#holds.take(message)) return true
    const request = message['type'] === 'control_request' ? readPermissionRequest(message, own()) : undefined
    if (!request) return false
    const decided = decision?.take(request)
    if (decided) void this.#enqueue(() => this.#repeat(request, decided))
    else if (stop.isOpen && !request.isTooDeep) this.#arrive(request)
    else this.#deny(request, request.isTooDeep ? notRun.tooDeep : notRun.ending)
    return true
  }

  /** What was said before the questions is in the log by now. */
  proceed(events: readonly NewEvent[] = []): void {
    this.#options.decision?.noteEvents(events)
    const arrived = this.#arrived
    this.#arrived = []
    for (const held of arrived) void this.#enqueue(() => this.#store(held))
    this.#holds.reconsider()
  }

  reconsider(): void {
    this.#holds.reconsider()
  }

  leaveOr(end: () => void): Promise<void> {
    return this.#holds.leaveOr(end)
  }

  /** How many approvals of the execution are closed: with a new number there is something to read. */
  noteClosed(count: number | undefined): void {
    if (count === undefined || count === this.#closedSeen) return
    this.#closedSeen = count
    void this.#enqueue(() => this.#look())
  }

  /**
   * The CLI is gone: what is pending is withdrawn, and everything is told. Except for a call that was left in the
   * session, if `isKept` finds it there.
   */
  async close(isKept: (call: LeftCall) => Promise<boolean>): Promise<LeftCall | undefined> {
    this.proceed()
    await this.#work
    this.#holds.close()
    const { left } = this.#holds
    const call = left && toLeftCall(left)
    const isLeft = call !== undefined && (await isKept(call))
    for (const [requestId, held] of this.#held)
      if (isLeft && held === left) stopTimers(held)
      else this.#leave(requestId)
    await this.#work
    return isLeft ? call : undefined
  }

  #arrive(request: PermissionRequest): void {
    const id = mintUuid(Date.now())
    const held: HeldCall = { request, id, isStored: false, isGone: false, isOverdue: false }
    this.#held.set(request.requestId, held)
    this.#arrived.push(held)
    this.#options.clocks.pause('approval')
  }

  #forget(held: HeldCall): void {
    stopTimers(held)
    this.#held.delete(held.request.requestId)
    if (this.#held.size === 0) this.#options.clocks.resume('approval')
    this.#holds.reconsider()
  }

  #leave(requestId: string): void {
    const held = this.#held.get(requestId)
    if (!held || held.isGone) return
    held.isGone = true
    void this.#enqueue(async () => {
      if (!held.isStored) return this.#forget(held)
      await this.#close(held, 'withdrawn')
    })
  }

  #enqueue(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step).catch((err: unknown) => {
      // The claim is lost, or Redis is away: each renewal brings the number again.
      this.#closedSeen = undefined
      this.#options.services.logger.warn({ executionId: this.#options.executionId, err }, 'approvals were not handled')
    })
    return this.#work
  }

  async #store(held: HeldCall): Promise<void> {
    const { services, executionId, fence, run, persist, attempt } = this.#options
    if (held.isGone) return this.#forget(held)
    const timeoutMs = run.approvalTimeoutSeconds * 1_000
    const limits = { open: services.config.maxOpenApprovals, all: APPROVALS_LIMIT }
    const asked = toAsked(held.request, attempt)
    const answer = await persist(() =>
      services.store.requestApproval(held.id, { executionId, fence }, asked, timeoutMs, limits),
    )
    if (answer.kind === 'stale') return this.#forget(held)
    if (answer.kind === 'full') {
      this.#forget(held)
      const { limit } = answer
      return this.#deny(held.request, limit === limits.all ? notRun.spent(limit) : notRun.full(limit))
    }
    held.isStored = true
    const { requestedAt, expiresAt } = answer
    const { owner, journal } = this.#options
    const record: ApprovalRecord = { id: held.id, executionId, owner, status: 'pending', asked, requestedAt, expiresAt }
    await journal.write([{ type: 'approval.requested', data: { approval: toApproval(record) } }])
    held.expiresAt = expiresAt
    held.expiry = setTimeout(() => void this.#enqueue(() => this.#close(held, 'expired')), expiresAt - requestedAt)
    this.#holds.start(held)
    // Somebody may have been faster than this step.
    await this.#look()
  }

  async #close(held: HeldCall, status: 'expired' | 'withdrawn'): Promise<void> {
    const { services, persist } = this.#options
    await persist(() => services.store.closeApproval(held.id, status))
    await this.#look()
    // By Redis' clock its time is not over yet: the sweep closes it.
  }

  async #look(): Promise<void> {
    const { services, persist } = this.#options
    const stored = [...this.#held.values()].filter(({ isStored }) => isStored)
    if (stored.length === 0) return
    const records = await persist(() => services.store.getApprovals(stored.map(({ id }) => id)))
    for (const record of records) {
      const held = stored.find(({ id }) => id === record.id)
      if (held && record.status !== 'pending' && this.#held.has(held.request.requestId))
        await this.#settle(held, record)
    }
  }

  async #settle(held: HeldCall, record: ApprovalRecord): Promise<void> {
    const { journal } = this.#options
    const event = toClosingEvent(record)
    if (event) await journal.write([event])
    await journal.flushed()
    this.#forget(held)
    if (held.isGone || this.#isOver) return
    this.#answer(held.request, record, held.isGivenUp === true ? notRun.crowded : notRun.ending)
  }

  /** The CLI takes up the call for which the execution was parked; because of a hook it suggests nothing then. */
  async #repeat(request: PermissionRequest, record: ApprovalRecord): Promise<void> {
    await this.#options.journal.flushed()
    if (!this.#isOver) this.#answer({ ...request, updates: record.asked.updates }, record, notRun.unknown)
  }

  /** Nobody may give an answer whose record another holder goes by. */
  get #isOver(): boolean {
    return this.#options.journal.isStale || !this.#options.stop.isOpen
  }

  #answer(request: PermissionRequest, { status, decision, decidedBy = '' }: ApprovalRecord, undecided: string): void {
    const { observation, run, stop } = this.#options
    if (status === 'denied') {
      observation.deniedBy.set(request.toolUseId, decidedBy)
      return this.#deny(request, decision?.message ?? notRun.denied)
    }
    if (status === 'expired') {
      const seconds = run.approvalTimeoutSeconds
      if (run.onApprovalTimeout === 'fail') return stop.request(stopCauses.approvalTimedOut(request.tool, seconds))
      return this.#deny(request, notRun.expired(seconds))
    }
    if (!decision) return this.#deny(request, undecided)
    const { appliesTo, ...rest } = decision
    this.#send(request, { ...rest, isForExecution: appliesTo === 'execution' })
  }

  #deny(request: PermissionRequest, message: string): void {
    this.#holds.noteDenied(request.toolUseId)
    this.#send(request, { decision: 'deny', isForExecution: false, message })
  }

  #send(request: PermissionRequest, answer: PermissionAnswer): void {
    const { stdin } = this.#options.child
    if (stdin.writable) stdin.write(toPermissionResponse(request, answer))
  }
}
