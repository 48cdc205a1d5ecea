import type { Redis } from 'ioredis'
import { openScripts, type RunScript } from '../../platform/redis-scripts.js'
import type { StoredStep } from '../../schedules/schedule-store.js'
import type { Priority } from '../../protocol/execute-request.js'
import type { EndFigures } from '../../telemetry/figure-fields.js'
import type { NewRecordArguments } from './new-record.js'
import type { GoingOn, PeopleScripts } from './people-scripts.js'
import { SCRIPTS } from './scripts.generated.js'
import type { CredentialOffer, SessionRefusal, WantedSession } from './transitions.js'

type Flag = '1' | '0'
type Timestamp = number
type Text = string | null
/** A number, as a script has calculated it or as it is stored. */
type Count = number | string
/** A state, or why there is none. */
type State = string

/** What makes a job: id, claim, priority. */
type Ready = [id: string, claim: Count, priority: Priority]
/** Three values for each execution whose turn has come. */
export type ReadyReply = Array<Ready[number]>

export interface Admission {
  readonly id: string
  readonly owner: string
  readonly idempotencyKey: string | undefined
  readonly requestDigest: string
  readonly maxQueue: number
  readonly sharedWorkspaces: readonly string[]
  readonly score: string
  /** They were put aside by its id. */
  readonly hasAttachments: true | undefined
  readonly scheduleId: string | undefined
  readonly planned: StoredStep | undefined
  readonly new: Omit<NewRecordArguments, 'score'>
}

export type CreateReply =
  | ['created', position: number, isLimited?: 1 | 0]
  | ['replayed' | 'conflict', id: string]
  | ['full' | 'withdrawn' | 'waiting' | 'settled']
  | ['over', unit: string, ...amounts: string[]]
  | ['refused', why: SessionRefusal['why'], detail: string]

export type ClaimReply =
  | [
      'claimed',
      id: string,
      fence: string,
      lastSeq: number,
      attempt: number,
      storedBytes: number,
      credential: string,
      messages: string,
      ...ready: ReadyReply,
    ]
  | ['parked', ...ready: ReadyReply]
  | ['refused', State]
  | ['blocked', milliseconds: number]
  | ['expired', id: string]
  | ['unsuited']

export type PlacesReply = ['taken' | 'parked', ...ready: ReadyReply] | ['cancelled' | 'stale'] | ['refused', State]

export type StartReply = ['started', lastSeq: number, ...batches: string[]] | ['stale' | 'cancelled']

export type RenewReply =
  | [
      'ok',
      cancelBy: string,
      cancelReason: string,
      pauseWanted: Flag | '',
      pauseBy: string,
      pauseReason: string,
      budgetChanges: string,
      messages: string,
      approvalsClosed: string,
    ]
  | ['stale']

type Cancelled = ['cancelled', by: string, reason: Text]

export type RequeueReply = ['requeued', claim: Count, Priority] | Cancelled | ['exhausted' | 'refused']

export type RetryReply =
  | ['retrying', claim: Count, Priority, ...ready: ReadyReply]
  | ['parked', ...ready: ReadyReply]
  | Cancelled
  | ['stale' | 'alive' | 'moved']
  | ['refused', State]

export type GoOnReply =
  ['unparked', claim: Count, Priority] | ['refused', State] | ['over', unit: string, ...amounts: string[]]
export type SetBudgetReply = GoOnReply | ['changed'] | ['moved']

/** One value after the other of each row. */
export type ListReply = ReadonlyArray<Text | number | PositionReply | ReadonlyArray<Text | null> | null>

/** Of one that waits; the last three where its owner may have only so many at work. */
export type PositionReply = [] | [position: number] | [position: number, place: number, limit: number, active: number]

/** Of an approval: of a pending one, which is withdrawn, or of one whose end nobody has told yet. */
export interface ClosingEvent {
  readonly id: string | undefined
  readonly event: string
}

/** As include/conclude.lua takes it. */
export interface Concluding {
  readonly status: string
  readonly fields: Record<string, string | undefined>
  readonly event: string
  /** The event before the last. */
  readonly cause: string | undefined
  readonly closing: readonly ClosingEvent[]
  readonly retentionMs: number
  readonly seal: { readonly finishedSeq: number; readonly keyId: string; readonly jwk: string } | undefined
  readonly figures: EndFigures | undefined
}

/** `receipt`, `log`: packed, '' where there is none. */
export type ConcludingArguments<Which> = [args: Concluding & Which, receipt: Buffer | '', log: Buffer | '']

export type ConcludeReply =
  | ['concluded', from: State, parentId: string, orphanId: string, ...ready: ReadyReply]
  | ['stale' | 'alive' | 'moved']
  | ['refused', State]

export type AdvanceReply =
  ['next', claim: Count, Priority] | ['over', fence?: string] | ['waiting' | 'moved' | 'settled']

export type CancelListReply = ['requested', taskId: string, State, lastSeq: number] | ['refused', State]

export interface Requested {
  readonly id: string
  readonly kind: 'cancel' | 'pause'
  readonly wanted?: boolean
  readonly by: string
  readonly reason: string
}

/** Every script of lua/, whose files say more. */
export interface RecordScripts extends PeopleScripts {
  ccCreate(
    args: Admission & { session: (WantedSession & { sharedWorkspaces: readonly string[] }) | undefined },
    ...fieldsAndValues: string[]
  ): CreateReply
  ccCreateMany(
    maxQueue: number,
    sharedWorkspaces: string,
    ...records: string[]
  ): ReadonlyArray<CreateReply | ['failed', message: string]>
  ccCreateList(args: Admission & { task: NewRecordArguments & { id: string } }): CreateReply
  ccDelete(id: string, owner: string): ['deleted', claim: Count] | ['refused', State]
  ccRequest(args: Requested): ['requested' | 'known' | 'refused', State]
  ccCancelList(list: string, by: string, reason: string, event: string): CancelListReply

  ccClaim(args: {
    id: string
    claim: string
    workerId: string
    leaseMs: number
    offers: readonly CredentialOffer[]
  }): ClaimReply
  ccTakePlaces(args: { id: string; fence: string; places: readonly string[] }): PlacesReply
  ccStart(args: {
    id: string
    fence: string
    fields: Record<string, string | undefined>
    event: string
    listEvent: string | undefined
  }): StartReply
  ccRenew(id: string, fence: string, leaseMs: number, usage: object | ''): RenewReply
  ccEnter(id: string, fence: string, state: 'running' | 'paused'): 'ok' | 'stale'
  ccBlock(credential: string, until: Timestamp): []
  ccKeepFiles(id: string, fence: string, ttlMs: number, ...fields: Array<string | Buffer>): 'ok' | 'stale'

  ccConclude(...args: ConcludingArguments<{ id: string; fence: string }>): ConcludeReply
  ccConcludeAbandoned(...args: ConcludingArguments<{ id: string }>): ConcludeReply
  ccConcludeQueued(
    ...args: ConcludingArguments<{ id: string; state: string; claim: string | undefined }>
  ): ConcludeReply
  ccConcludeList(...args: ConcludingArguments<{ id: string; fence: string }>): ConcludeReply
  ccRequeue(id: string, fence: string, lostStarts: number): RequeueReply
  ccRetry(args: {
    id: string
    fence: string | undefined
    fields: Record<string, string | undefined>
    event: string
    notBefore: Timestamp | undefined
    queueDeadline: Timestamp | undefined
    closing: readonly ClosingEvent[]
    parked:
      | {
          reason: string
          until: Timestamp
          notBefore: Timestamp | undefined
          budgetRevision: string | undefined
          approval: string | undefined
          attempt: number
        }
      | undefined
  }): RetryReply
  ccGoOn(
    args: GoingOn & {
      id: string
      state: string
      claim: string
      events: readonly string[]
      wantedBudget: string | undefined
      nextDay: Timestamp | undefined
    },
  ): GoOnReply
  ccSetBudget(args: {
    id: string
    state: string
    revision: string
    changes: string
    fields: Record<string, string | undefined>
    event: string
    wantedBudget: string
    unparked: GoingOn | undefined
  }): SetBudgetReply

  ccAdvanceList(args: {
    list: string
    index: number
    listed: string
    event: string
    usage: string
    holdMs: number | undefined
    following: (NewRecordArguments & { id: string }) | undefined
  }): AdvanceReply
  ccAppendListEvent(args: {
    list: string
    holder: string
    fence: string
    number: number
    event: string
    hooksRun: number | undefined
    refusal: string | undefined
  }): ['recorded' | 'stale']

  ccTryLock(name: string, milliseconds: number): 1 | 0
  ccList(owner: string, newest: string, oldest: string, count: number, ...fields: string[]): ListReply
  ccListAbandoned(count: number, expectedNow: Timestamp | '', toleranceMs: number): [now: Timestamp, ...ids: string[]]
  ccCountActive(): [running: number, paused: number]
  /** State, since when, worker and owner of each. */
  ccListActive(): string[]
  ccListDue(count: number): [due: number, active: number, ...ids: string[]]
  ccPositions(...ids: string[]): PositionReply[]
  ccWakeDue(): ReadyReply
  ccCallWaiting(owner: string, most: number): ReadyReply
  ccForgetOwner(owner: string): 'OK'
  ccReclaim(id: string, claim: number): number | ''
  ccUnpark(id: string): ReadyReply
  ccOpenScheduled(schedule: string, after: string, revision: string): ['moved'] | ['open', ...ids: string[]]
  ccTakeOver(id: string): ['ready', ...Ready] | ['orphan' | 'waiting']
  ccRetain(bytes: number, executions: number, count: number): string[]
  ccDisown(workspace: string, before: Timestamp): 1 | 0
}

export const openRecordScripts = (redis: Redis, root: string): RunScript<RecordScripts> =>
  openScripts<RecordScripts>(redis, root, SCRIPTS)
