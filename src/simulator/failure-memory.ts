/**
 * How often a failure of a script has been met: the only thing that the simulator remembers, since a request that is
 * repeated after a failure is the same request again.
 */
import { createHash } from 'node:crypto'
import type { Conversation } from './conversation.js'
import type { Reply } from './replies.js'
import type { CutStep, Step, StatusStep } from './script.js'

export type FailureStep = CutStep | StatusStep

// At the bound the place not met for longest is forgotten: its failures would begin anew.
const MAX_PLACES = 1_000

export class FailureMemory {
  readonly #metByPlace = new Map<string, number[]>()

  /**
   * The index in `reply` of the failure that this request meets, which counts as met now; undefined when all are past.
   */
  noteRequest(
    reply: Reply,
    conversation: Conversation,
    {
      userId,
      clientVersion,
      isBy,
    }: {
      readonly userId: string
      readonly clientVersion: string | undefined
      /** Whether the request's key or token ends so. */
      readonly isBy: (end: string) => boolean
    },
  ): number | undefined {
    if (!reply.some(isFailureStep)) return undefined
    const place = toPlace(conversation, userId)
    const met = this.#metByPlace.get(place) ?? []
    this.#metByPlace.delete(place)
    this.#metByPlace.set(place, met)
    for (const oldest of this.#metByPlace.keys()) {
      if (this.#metByPlace.size <= MAX_PLACES) break
      this.#metByPlace.delete(oldest)
    }
    for (const [index, step] of reply.entries()) {
      if (!isFailureStep(step)) continue
      if ('resetsAt' in step && step.resetsAt !== undefined && Date.now() >= step.resetsAt * 1_000) continue
      if ('minimumVersion' in step && step.minimumVersion !== undefined && !isOlder(clientVersion, step.minimumVersion))
        continue
      if ('credential' in step && step.credential !== undefined && !isBy(step.credential)) continue
      const isLasting = 'resetsAt' in step || 'minimumVersion' in step || 'credential' in step
      const times = step.times ?? (isLasting ? 'always' : 1)
      const count = met[index] ?? 0
      if (times !== 'always' && count >= times) continue
      met[index] = count + 1
      return index
    }
    return undefined
  }
}

export function isFailureStep(step: Step): step is FailureStep {
  return 'status' in step || 'cut' in step
}

/** Who names no version is taken for old, as the API does. */
function isOlder(version: string | undefined, minimum: string): boolean {
  return version === undefined || version.localeCompare(minimum, 'en', { numeric: true }) < 0
}

/** The CLI names its session in `user_id`, and beside it the installation, which is another one in another HOME. */
const SESSION = /session\w*\W*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/

function toPlace(conversation: Conversation, userId: string): string {
  const { prompt, promptNumber, position } = conversation
  return createHash('sha256')
    .update(JSON.stringify([SESSION.exec(userId)?.[1] ?? userId, promptNumber, position, prompt]))
    .digest('base64')
}
