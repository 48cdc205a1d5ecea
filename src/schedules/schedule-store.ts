import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'
import { openScripts } from '../platform/redis-scripts.js'
import type { ScheduleMoment } from '../protocol/schedules.js'
import { SCRIPTS } from './scripts.generated.js'
import { toStoredSchedule, type ScheduleFields, type StoredSchedule } from './stored-schedule.js'

/** Where a schedule stood when it was read: a script refuses what was decided for another place. */
export type Place = Pick<StoredSchedule, 'id' | 'after' | 'revision'>

/** Moments that are settled. */
export interface Step {
  /** Up to there all are. */
  readonly to: number
  readonly next: number | undefined
  /** What became of them, in order. */
  readonly moments: readonly ScheduleMoment[]
  readonly stopped?: StoredSchedule['stoppedBecause']
}

/** A step as the scripts take it; a submission takes it, too. */
export interface StoredStep extends Place {
  readonly to: string
  readonly next: string | undefined
  readonly moments: readonly string[]
  readonly stopped: string | undefined
}

export const toStoredStep = ({ id, after, revision }: Place, { to, next, moments, stopped }: Step): StoredStep => ({
  id,
  after,
  revision,
  to: String(to),
  next: next?.toString(),
  moments: moments.map((moment) => JSON.stringify(moment)),
  stopped,
})

interface Making {
  readonly id: string
  readonly fields: ScheduleFields
  readonly next: string | undefined
  /** The Idempotency-Key. */
  readonly key: string | undefined
  readonly digest: string
}

type Made =
  | readonly ['created' | 'withdrawn' | 'full' | 'full_of_token']
  | readonly ['taken' | 'replayed' | 'conflict', id: string]
type Changed = readonly ['changed' | 'moved' | 'missing'] | readonly ['taken', id: string]

interface ScheduleScripts {
  ccCreateSchedule(making: Making & { readonly ofToken: number; readonly inAll: number }): Made
  ccChangeSchedule(args: StoredStep & { readonly fields: ScheduleFields }): Changed
  ccSettleSchedule(step: StoredStep): 'settled' | 'moved'
  ccTryMoment(id: string, after: string, revision: string): number | ''
  ccReadSchedule(id: string): readonly [fields: readonly string[], moments: readonly string[]]
  ccRemoveSchedule(id: string): 0 | 1
}

export interface ScheduleSettings {
  readonly prefix: string
  readonly maxSchedules: number
  readonly maxSchedulesPerToken: number
}

/** Newest first; the cursor is the last id that was seen. */
interface Listing {
  /** undefined: of all tokens. */
  readonly owner: string | undefined
  readonly limit: number
  readonly cursor: string | undefined
}

export interface ScheduleStore {
  get(id: string): Promise<StoredSchedule | undefined>
  list(listing: Listing): Promise<{ schedules: StoredSchedule[]; nextCursor: string | null }>
  create(making: Making): Promise<Made>
  change(place: Place, fields: ScheduleFields, step: Step): Promise<Changed>
  /** false: it stands elsewhere by now. */
  settle(place: Place, step: Step): Promise<boolean>
  /** When its next moment was first refused with what may pass; undefined: it stands elsewhere by now. */
  firstTried(place: Place): Promise<number | undefined>
  /** false: there is no such schedule; of two at once one has removed it. */
  remove(id: string): Promise<boolean>
  /** Whose next moment has come at least so long ago. */
  listDue(lateMs: number, count: number): Promise<string[]>
  /** Milliseconds since the epoch by Redis' clock, by which moments come. */
  now(): Promise<number>
}

export function createScheduleStore(
  redis: Redis,
  { prefix, maxSchedules, maxSchedulesPerToken }: ScheduleSettings,
): ScheduleStore {
  const root = keyRoot(prefix)
  const run = openScripts<ScheduleScripts>(redis, root, SCRIPTS)
  const get = async (id: string): Promise<StoredSchedule | undefined> =>
    toStoredSchedule(id, ...(await run('ccReadSchedule', id)))
  async function now(): Promise<number> {
    const [seconds, microseconds] = await redis.time()
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
  }
  return {
    get,
    now,
    async list({ owner, limit, cursor }) {
      const index = owner === undefined ? `${root}:schedules` : `${root}:schedules:${owner}`
      const below = cursor === undefined ? '+' : `(${cursor}`
      const ids = await redis.zrevrangebylex(index, below, '-', 'LIMIT', 0, limit + 1)
      const found = await Promise.all(ids.slice(0, limit).map(get))
      return {
        schedules: found.filter((schedule) => schedule !== undefined),
        nextCursor: ids.length > limit ? (ids[limit - 1] ?? null) : null,
      }
    },
    create: (making) => run('ccCreateSchedule', { ...making, ofToken: maxSchedulesPerToken, inAll: maxSchedules }),
    change: (place, fields, step) => run('ccChangeSchedule', { ...toStoredStep(place, step), fields }),
    settle: async (place, step) => (await run('ccSettleSchedule', toStoredStep(place, step))) === 'settled',
    async firstTried({ id, after, revision }) {
      const answer = await run('ccTryMoment', id, after, revision)
      return answer === '' ? undefined : answer
    },
    remove: async (id) => (await run('ccRemoveSchedule', id)) === 1,
    listDue: async (lateMs, count) =>
      redis.zrangebyscore(`${root}:schedules-due`, '-inf', (await now()) - lateMs, 'LIMIT', 0, count),
  }
}
