import type { TranscriptMark } from '../../claude/stream/transcript.js'
import { serializeWithoutSeq } from '../../events/stored-event.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Usage } from '../../protocol/execution.js'
import { SandboxLevel } from '../../protocol/sandbox.js'
import { decodeClaim, decodePlaces, decodeRenew, decodeStart } from './decode-replies.js'
import type { StoreContext } from './store-context.js'
import type { ClaimAnswer, CredentialOffer, PendingRequests, PlacesAnswer, StartAnswer } from './transitions.js'

/** What a worker does with an execution, from its claim on under a fence. */
export interface HolderCommands {
  /**
   * queued → starting, by a worker with these credentials, or with one of this name and all sandboxes: this execution,
   * or the one that is due before it.
   */
  claim(
    id: string,
    claim: number,
    workerId: string,
    leaseMs: number,
    offered: string | readonly CredentialOffer[],
  ): Promise<ClaimAnswer>
  /**
   * The folder in which it will work, as its worker found it, is its own until its end; where somebody has it, it waits
   * (starting → queued).
   */
  takePlaces(id: string, fence: string, places: readonly string[]): Promise<PlacesAnswer>
  /**
   * starting → running, under the fence; the CLI may be let go only after this. `listEvent`: what is written to the log
   * of a list with the first start of its task.
   */
  start(
    id: string,
    fence: string,
    fields: {
      startedAt: Date
      attempt: number
      sessionId: string
      mark?: TranscriptMark
      simulated: boolean
      /** Under what its duration is remembered. */
      fingerprints?: readonly string[]
      /** Its folders bear another id than its own. */
      folders?: { readonly home: string; readonly workspace: string } | undefined
    },
    event: NewEvent,
    listEvent?: NewEvent,
  ): Promise<StartAnswer>
  /** Extends the lease and tells what is requested; undefined when the fence is lost. */
  renew(id: string, fence: string, leaseMs: number, usage?: Usage): Promise<PendingRequests | undefined>
  /** running ⇄ paused by the holder of the fence. */
  enter(id: string, fence: string, state: 'running' | 'paused'): Promise<boolean>
  /** Nothing starts with this credential until then. */
  blockCredential(credential: string, until: Date): Promise<void>
}

const HIGHEST = SandboxLevel.options.length - 1

export function createHolderCommands({ run }: StoreContext): HolderCommands {
  return {
    async claim(id, claim, workerId, leaseMs, offered) {
      const offers = typeof offered === 'string' ? [{ name: offered, weight: 1, highestSandbox: HIGHEST }] : offered
      return decodeClaim(await run('ccClaim', { id, claim: String(claim), workerId, leaseMs, offers }))
    },
    async takePlaces(id, fence, places) {
      return decodePlaces(await run('ccTakePlaces', { id, fence, places }))
    },
    async start(
      id,
      fence,
      { startedAt, attempt, sessionId, mark, simulated, fingerprints, folders },
      event,
      listEvent,
    ) {
      return decodeStart(
        await run('ccStart', {
          id,
          fence,
          fields: {
            startedAt: attempt === 1 ? String(startedAt.getTime()) : undefined,
            attempt: String(attempt),
            sessionId,
            simulated: simulated ? '1' : '0',
            sessionMark: mark && JSON.stringify(mark),
            fingerprints: fingerprints && JSON.stringify(fingerprints),
            home: folders?.home,
            workspace: folders?.workspace,
          },
          event: serializeWithoutSeq(event, startedAt, attempt),
          listEvent: listEvent && serializeWithoutSeq(listEvent, startedAt, 0),
        }),
      )
    },
    async renew(id, fence, leaseMs, usage) {
      return decodeRenew(await run('ccRenew', id, fence, Math.ceil(leaseMs), usage ?? ''))
    },
    async enter(id, fence, state) {
      return (await run('ccEnter', id, fence, state)) === 'ok'
    },
    async blockCredential(credential, until) {
      await run('ccBlock', credential, until.getTime())
    },
  }
}
