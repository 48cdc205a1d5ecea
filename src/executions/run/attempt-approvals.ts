import {
  readPermissionRequest,
  readWithdrawal,
  toPermissionResponse,
  type PermissionAnswer,
  type PermissionRequest,
} from '../../claude/stream/permission-requests.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { Observation } from '../../claude/stream/observation.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import { mintUuid } from '../../platform/mint-uuid.js'
import { APPROVALS_LIMIT } from '../../protocol/limits.js'
import type { RunJournal } from '../claim/run-journal.js'
import type { RunServices } from '../claim/run-services.js'
import { digestInput, toApproval, toClosingEvent, type ApprovalRecord } from '../records/approval-record.js'
import type { AttemptStop } from './attempt-stop.js'
import type { RunClocks } from './run-clocks.js'
import { stopCauses } from './stop-causes.js'

export interface AttemptApprovalsOptions {
  readonly services: Pick<RunServices, 'store' | 'config' | 'logger'>
  readonly executionId: string
  readonly owner: string
  readonly fence: string
  readonly attempt: number
  readonly run: Pick<RunRequest, 'approvalTimeoutSeconds' | 'onApprovalTimeout'>
  readonly child: Pick<ClaudeProcess, 'stdin'>
  readonly observation: Pick<Observation, 'deniedBy'>
  readonly journal: RunJournal
  readonly clocks: Pick<RunClocks, 'pause' | 'resume'>
  readonly stop: AttemptStop
  /** Stores, trying again while the claim is held. */
  readonly persist: <Answer>(store: () => Promise<Answer>) => Promise<Answer>
}

/** A call that waits for a decision. */
interface Held {
  readonly request: PermissionRequest
  /** Of its approval, once that is stored. */
  readonly id: string
  isStored: boolean
  /** The CLI has taken it back, or is gone: it gets no answer. */
  isGone: boolean
  expiry?: NodeJS.Timeout
}

const DENIED = 'This tool call was denied by the person who was asked.'
const ENDING = 'The run is being ended; this call was not run.'
const TOO_DEEP = 'The input of this call is nested too deeply to be shown to a person; it was not run.'
const tellExpired = (seconds: number): string =>
  `Nobody decided on this call within ${seconds} s, so it was not run. Continue without it, or say what is needed.`
const tellFull = (limit: number): string =>
  `This call was not run: at most ${limit} approvals may be asked for at a time. Make it again when others are decided.`
const tellSpent = (limit: number): string =>
  `This call was not run: this execution has asked for ${limit} approvals, and no more are possible.`

/**
 * The calls of one attempt that wait for people. The CLI waits with each until it is answered.
 *
 *     arrived → stored     as an approval, and told in the log, after the call itself
 *     stored  → closed     decided, expired or withdrawn: a compare-and-set in Redis, whoever makes it
 *     closed  → answered   only once the log holds how: if this process dies from here on, its successor knows that the
 *                          call may have run
 *     arrived → answered   denied at once: there are too many, or the run is being ended
 *     arrived, stored → gone   the CLI has taken it back, or the attempt is over: withdrawn, where nobody has decided
 */
export class AttemptApprovals {
  readonly #options: AttemptApprovalsOptions
  /** By the CLI's id of the question. */
  readonly #held = new Map<string, Held>()
  #arrived: Held[] = []
  #work: Promise<void> = Promise.resolve()
  #closedSeen: number | undefined

  constructor(options: AttemptApprovalsOptions) {
    this.#options = options
  }

  /** A message of the control protocol; true where it was one of these. */
  take(message: Record<string, unknown>, own: () => Record<string, unknown>): boolean {
    const withdrawn = readWithdrawal(message)
    if (withdrawn !== undefined) {
      this.#leave(withdrawn)
      return true
    }
    const request = message['type'] === 'control_request' ? readPermissionRequest(message, own()) : undefined
    if (!request) return false
    if (this.#options.stop.isOpen && !request.isTooDeep) this.#arrive(request)
    else this.#deny(request, request.isTooDeep ? TOO_DEEP : ENDING)
    return true
  }

  /** What was said before the questions is in the log by now. */
  proceed(): void {
    const arrived = this.#arrived
    this.#arrived = []
    for (const held of arrived) this.#enqueue(() => this.#store(held))
  }

  /** How many approvals of the execution are closed: with a new number there is something to read. */
  noteClosed(count: number | undefined): void {
    if (count === undefined || count === this.#closedSeen) return
    this.#closedSeen = count
    this.#enqueue(() => this.#look())
  }

  /** The CLI is gone: what is pending is withdrawn, and everything is told. */
  async close(): Promise<void> {
    this.proceed()
    for (const requestId of this.#held.keys()) this.#leave(requestId)
    await this.#work
  }

  #arrive(request: PermissionRequest): void {
    const held: Held = { request, id: mintUuid(Date.now()), isStored: false, isGone: false }
    this.#held.set(request.requestId, held)
    this.#arrived.push(held)
    this.#options.clocks.pause('approval')
  }

  #forget(held: Held): void {
    clearTimeout(held.expiry)
    this.#held.delete(held.request.requestId)
    if (this.#held.size === 0) this.#options.clocks.resume('approval')
  }

  #leave(requestId: string): void {
    const held = this.#held.get(requestId)
    if (!held || held.isGone) return
    held.isGone = true
    this.#enqueue(async () => {
      if (!held.isStored) return this.#forget(held)
      await this.#close(held, 'withdrawn')
    })
  }

  #enqueue(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch((err: unknown) => {
      // The claim is lost, or Redis is away: each renewal brings the number again.
      this.#closedSeen = undefined
      this.#options.services.logger.warn({ executionId: this.#options.executionId, err }, 'approvals were not handled')
    })
  }

  async #store(held: Held): Promise<void> {
    const { services, executionId, fence, run, persist } = this.#options
    if (held.isGone) return this.#forget(held)
    const timeoutMs = run.approvalTimeoutSeconds * 1_000
    const limits = { open: services.config.maxOpenApprovals, all: APPROVALS_LIMIT }
    const asked = this.#toAsked(held.request)
    const answer = await persist(() =>
      services.store.requestApproval(held.id, { executionId, fence }, asked, timeoutMs, limits),
    )
    if (answer.kind === 'stale') return this.#forget(held)
    if (answer.kind === 'full') {
      this.#forget(held)
      const { limit } = answer
      return this.#deny(held.request, limit === limits.all ? tellSpent(limit) : tellFull(limit))
    }
    held.isStored = true
    const { requestedAt, expiresAt } = answer
    const { owner, journal } = this.#options
    const record: ApprovalRecord = { id: held.id, executionId, owner, status: 'pending', asked, requestedAt, expiresAt }
    await journal.write([{ type: 'approval.requested', data: { approval: toApproval(record) } }])
    held.expiry = setTimeout(() => this.#enqueue(() => this.#close(held, 'expired')), expiresAt - requestedAt)
    // Somebody may have been faster than this step.
    await this.#look()
  }

  #toAsked({ kind, toolUseId, tool, input, inputShown, ...request }: PermissionRequest): ApprovalRecord['asked'] {
    return {
      kind,
      toolUseId,
      tool,
      input: inputShown,
      inputTruncated: request.inputTruncated,
      inputSha256: digestInput(input),
      reason: request.reason,
      suggestions: [...request.suggestions],
      updates: request.updates,
      questions: request.questions,
      attempt: this.#options.attempt,
    }
  }

  async #close(held: Held, status: 'expired' | 'withdrawn'): Promise<void> {
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

  async #settle(held: Held, record: ApprovalRecord): Promise<void> {
    const { journal, stop } = this.#options
    const event = toClosingEvent(record)
    if (event) await journal.write([event])
    await journal.flushed()
    this.#forget(held)
    // Nobody may give an answer whose record another holder goes by.
    if (held.isGone || journal.isStale || !stop.isOpen) return
    this.#answer(held.request, record)
  }

  #answer(request: PermissionRequest, { status, decision, decidedBy = '' }: ApprovalRecord): void {
    const { observation, run, stop } = this.#options
    if (status === 'denied') {
      observation.deniedBy.set(request.toolUseId, decidedBy)
      return this.#deny(request, decision?.message ?? DENIED)
    }
    if (status === 'expired') {
      const seconds = run.approvalTimeoutSeconds
      if (run.onApprovalTimeout === 'fail') return stop.request(stopCauses.approvalTimedOut(request.tool, seconds))
      return this.#deny(request, tellExpired(seconds))
    }
    if (!decision) return this.#deny(request, ENDING)
    const { appliesTo, ...rest } = decision
    this.#send(request, { ...rest, isForExecution: appliesTo === 'execution' })
  }

  #deny(request: PermissionRequest, message: string): void {
    this.#send(request, { decision: 'deny', isForExecution: false, message })
  }

  #send(request: PermissionRequest, answer: PermissionAnswer): void {
    const { stdin } = this.#options.child
    if (stdin.writable) stdin.write(toPermissionResponse(request, answer))
  }
}
