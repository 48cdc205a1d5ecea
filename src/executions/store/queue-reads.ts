import type { Priority } from '../../protocol/execute-request.js'
import type { ParkReason } from '../../protocol/execution.js'
import { PRIORITY_RANK, PRIORITY_STEP } from './queue-score.js'
import { execute, type StoreContext } from './store-context.js'

/** The message that it comes from. */
export interface OwedFollowUp {
  readonly executionId: string
  readonly number: number
}

/** Who has a place of a worker, and since when it runs. */
export interface ActiveRun {
  readonly state: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number | undefined
  readonly workerId: string
  readonly owner: string
}

const ACTIVE_VALUES = 4

/** Who waits for what, and who has started. */
export interface QueueReads {
  /**
   * How many wait by priority, how many of them for a workspace or for a time, how many are parked, and how many are in
   * somebody's hands.
   */
  count(): Promise<{
    byPriority: Record<Priority, number>
    parked: number
    delayed: number
    following: number
    resting: Record<ParkReason, number>
    active: number
  }>
  /** Of those that have started. */
  countActive(): Promise<{ running: number; paused: number }>
  listActive(): Promise<ActiveRun[]>
  /** Approvals that wait for a decision. */
  countOpenApprovals(): Promise<number>
  /** Credentials whose limit is reached, and until when. */
  listBlocked(): Promise<Array<{ credential: string; until: Date }>>
  /**
   * Those who could be taken now, as far as the limits of their owners go, by turns: how many, and the first of them;
   * and how many are in somebody's hands.
   */
  listDue(count: number): Promise<{ due: number; active: number; ids: string[] }>
  listParked(count: number): Promise<string[]>
  /** Follow-ups that wait for the end of another execution. */
  listFollowing(count: number): Promise<string[]>
  /** Dropped messages whose follow-up is to be made now. */
  listOwed(count: number): Promise<OwedFollowUp[]>
  /** Queued executions whose queue timeout is over. */
  listOverdue(count: number): Promise<string[]>
  /** Task lists that somebody must advance, waiting for at least this long, longest first. */
  listUnsettled(sinceMs: number, count: number): Promise<string[]>
}

export function createQueueReads({ redis, root, run, now }: StoreContext): QueueReads {
  return {
    async count() {
      const pipeline = redis.pipeline()
      for (const list of ['waiting', 'parked', 'delayed', 'following']) {
        for (const rank of Object.values(PRIORITY_RANK))
          pipeline.zcount(`${root}:${list}`, rank * PRIORITY_STEP, `(${(rank + 1) * PRIORITY_STEP}`)
      }
      pipeline.zcard(`${root}:resting:approval`).zcard(`${root}:resting:budget`)
      const answers = await execute(pipeline.zcard(`${root}:leases`))
      const at = (list: number, rank: number): number => Number(answers[list * 3 + rank] ?? 0)
      const of = (rank: number): number => at(0, rank) + at(1, rank) + at(2, rank) + at(3, rank)
      const all = (list: number): number => at(list, 0) + at(list, 1) + at(list, 2)
      return {
        byPriority: { high: of(PRIORITY_RANK.high), normal: of(PRIORITY_RANK.normal), low: of(PRIORITY_RANK.low) },
        parked: all(1),
        delayed: all(2),
        following: all(3),
        resting: { approval: Number(answers[12] ?? 0), budget: Number(answers[13] ?? 0) },
        active: Number(answers[14] ?? 0),
      }
    },
    async countActive() {
      const [running, paused] = await run('ccCountActive')
      return { running, paused }
    },
    async listActive() {
      const values = await run('ccListActive')
      const runs: ActiveRun[] = []
      for (let index = 0; index < values.length; index += ACTIVE_VALUES) {
        const [state = '', startedAt = '', workerId = '', owner = ''] = values.slice(index, index + ACTIVE_VALUES)
        runs.push({ state, startedAt: startedAt === '' ? undefined : Number(startedAt), workerId, owner })
      }
      return runs
    },
    countOpenApprovals() {
      return redis.zcard(`${root}:open-approvals`)
    },
    async listBlocked() {
      const answer = await redis.zrange(`${root}:blocked`, `(${await now()}`, '+inf', 'BYSCORE', 'WITHSCORES')
      const blocked: Array<{ credential: string; until: Date }> = []
      for (let index = 0; index < answer.length; index += 2)
        blocked.push({ credential: answer[index] ?? '', until: new Date(Number(answer[index + 1])) })
      return blocked
    },
    async listDue(count) {
      const [due, active, ...ids] = await run('ccListDue', count)
      return { due, active, ids }
    },
    listParked(count) {
      return redis.zrange(`${root}:parked`, '0', String(count - 1))
    },
    listFollowing(count) {
      return redis.zrange(`${root}:following`, '0', String(count - 1))
    },
    async listOwed(count) {
      const members = await redis.zrangebyscore(`${root}:owed`, '-inf', await now(), 'LIMIT', 0, count)
      return members.map((member) => {
        const [executionId = '', number] = member.split(' ')
        return { executionId, number: Number(number) }
      })
    },
    async listOverdue(count) {
      return redis.zrangebyscore(`${root}:deadlines`, '-inf', await now(), 'LIMIT', 0, count)
    },
    async listUnsettled(sinceMs, count) {
      return redis.zrangebyscore(`${root}:unsettled`, '-inf', (await now()) - sinceMs, 'LIMIT', 0, count)
    },
  }
}
