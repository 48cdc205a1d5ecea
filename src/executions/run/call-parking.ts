import { setTimeout as wait } from 'node:timers/promises'
import { readSums, USAGE_REQUEST } from '../../claude/stream/usage-request.js'
import type { PermissionRequest } from '../../claude/stream/permission-requests.js'
import { observeSums } from '../../claude/stream/observed-usage.js'
import type { Observation } from '../../claude/stream/observation.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { AttemptStop } from './attempt-stop.js'
import { stopCauses } from './stop-causes.js'

export interface CallParkingOptions {
  readonly child: Pick<ClaudeProcess, 'stdin'>
  readonly observation: Observation
  readonly stop: AttemptStop
  /** False where an attempt before could not keep its call. */
  readonly canKeep: boolean
  readonly isPaused: () => boolean
}

/** The CLI answers at once; one that does not is ended without its sums. */
const SUMS_MS = 10_000

const HELD = {
  before: 'Claude Code did not keep a call of this session before.',
  subagent: 'It is a call of a subagent, which would end without it.',
  several: 'Other calls of the same reply are open; only a single one can be kept.',
  background: 'A background task of the run would be ended.',
  paused: 'The run is paused.',
  secret: 'Its input holds a secret, which is not stored.',
  server: 'It is a call of an MCP server, which would have to be there again.',
} as const

/**
 * Ends a CLI that waits for permission so that another one can take up the very call. The session keeps one call of the
 * main conversation; what else is open would be lost with the process.
 */
export class CallParking {
  readonly #options: CallParkingOptions
  #onSums: (() => void) | undefined

  constructor(options: CallParkingOptions) {
    this.#options = options
  }

  /**
   * Why the slot has to be kept; 'later': the reply is still being written, or the results of calls before it, which
   * were denied, are on their way. undefined: the call can be kept.
   */
  whyHeld(request: PermissionRequest, openQuestions: number, denied: ReadonlySet<string>): string | undefined {
    const { observation, canKeep, isPaused } = this.#options
    if (isPaused()) return HELD.paused
    if (!canKeep) return HELD.before
    if (request.isOfSubagent) return HELD.subagent
    if (request.tool.startsWith('mcp__')) return HELD.server
    if (JSON.stringify(request.ownInput) !== JSON.stringify(request.input)) return HELD.secret
    if (observation.liveTasks.length > 0) return HELD.background
    if (observation.reply?.isOpen === true) return 'later'
    const others = observation.unansweredCalls.filter(({ id }) => id !== request.toolUseId)
    if (others.length === 0) return openQuestions > 1 ? HELD.several : undefined
    // The CLI tells results in the order of the calls: one behind this call would wait for it.
    const isLast = observation.unansweredCalls.at(-1)?.id === request.toolUseId
    return isLast && openQuestions === 1 && others.every(({ id }) => denied.has(id)) ? 'later' : HELD.several
  }

  /** A message of the control protocol; true where it was one of these. */
  take(message: Readonly<Record<string, unknown>>): boolean {
    const sums = readSums(message)
    if (!sums || !this.#onSums) return false
    observeSums(this.#options.observation, sums)
    this.#onSums()
    return true
  }

  /** What the run has used until now is known to the CLI alone, which gives it only on request or with a result. */
  async askSums(): Promise<void> {
    const { stdin } = this.#options.child
    if (!stdin.writable) return
    const given = new Promise<void>((resolve) => (this.#onSums = resolve))
    stdin.write(USAGE_REQUEST)
    await Promise.race([given, wait(SUMS_MS, undefined, { ref: false })])
  }

  end(tool: string): void {
    this.#options.stop.request(stopCauses.parkedForApproval(tool))
  }
}
