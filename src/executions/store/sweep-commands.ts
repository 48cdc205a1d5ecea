import { decodeReady } from './decode-replies.js'
import { execute, type StoreContext } from './store-context.js'
import type { ReadyExecution } from './transitions.js'

/** What the sweep repairs, and what it forgets. */
export interface SweepCommands {
  /** One process at a time does the housekeeping. */
  tryLock(name: string, milliseconds: number): Promise<boolean>
  /** To be called soon after the start: who does not know how the clock went takes a jump for the truth. */
  syncClock(): Promise<void>
  /**
   * Claimed executions whose lease is over, by a clock that goes evenly: where it has jumped by more than half a lease,
   * all leases begin anew.
   */
  listAbandoned(count: number, leaseMs: number): Promise<{ ids: string[]; jumpedMs: number }>
  /** The next execution whose time has come; undefined when there is none. */
  wakeDue(): Promise<ReadyExecution | undefined>
  /** A new claim for a queued record whose job was lost; undefined where it has moved on meanwhile. */
  reclaim(id: string, claim: number): Promise<number | undefined>
  /** An owner may have more at work than before: as many as may begin now, at most so many. */
  callWaiting(owner: string, most: number): Promise<ReadyExecution[]>
  unpark(id: string): Promise<ReadyExecution | undefined>
  /** A follow-up gets its turn where that has come; orphan: it never comes. */
  takeOver(id: string): Promise<ReadyExecution | 'orphan' | undefined>
  /**
   * Forgets the oldest finished executions, at most `count` now, while all take more bytes, or are more, than the
   * limits; which those were.
   */
  retain(limits: { bytes: number; executions: number }, count: number): Promise<Array<{ id: string; claim: number }>>
  /** Named workspaces that have an owner and that no submission has named since. */
  listUnusedWorkspaces(before: number, count: number): Promise<string[]>
  /** Looked at again when the same time has passed once more. */
  keepOwner(workspace: string, now: number): Promise<void>
  /** Whoever names it next makes it anew. Not where it was used meanwhile. */
  disown(workspace: string, before: number): Promise<void>
  /**
   * Takes ids whose record has expired out of the indexes, oldest first, and forgets owners of which nothing is left;
   * returns how many ids.
   */
  trimIndexes(count: number): Promise<number>
}

export function createSweepCommands({ redis, root, run, now }: StoreContext): SweepCommands {
  /** Redis' time less our monotonic one, as it was when we last looked. */
  let redisClockOffsetMs: number | undefined
  return {
    async tryLock(name, milliseconds) {
      return (await run('ccTryLock', name, milliseconds)) === 1
    },
    async syncClock() {
      redisClockOffsetMs ??= (await now()) - performance.now()
    },
    async listAbandoned(count, leaseMs) {
      const before = redisClockOffsetMs
      const toleranceMs = Math.ceil(leaseMs / 2)
      const expected = before === undefined ? '' : Math.round(performance.now() + before)
      const [redisNow, ...ids] = await run('ccListAbandoned', count, expected, toleranceMs)
      redisClockOffsetMs = redisNow - performance.now()
      const jumpedMs = expected === '' ? 0 : redisNow - expected
      return { ids, jumpedMs: Math.abs(jumpedMs) > toleranceMs ? jumpedMs : 0 }
    },
    async wakeDue() {
      return decodeReady(await run('ccWakeDue')).at(0)
    },
    async reclaim(id, claim) {
      const answer = await run('ccReclaim', id, claim)
      return answer === '' ? undefined : answer
    },
    async callWaiting(owner, most) {
      return decodeReady(await run('ccCallWaiting', owner, most))
    },
    async unpark(id) {
      return decodeReady(await run('ccUnpark', id)).at(0)
    },
    async takeOver(id) {
      const reply = await run('ccTakeOver', id)
      if (reply[0] !== 'ready') return reply[0] === 'orphan' ? 'orphan' : undefined
      const [, ...ready] = reply
      return decodeReady(ready).at(0)
    },
    async retain({ bytes, executions }, count) {
      const answer = await run('ccRetain', bytes, executions, count)
      return Array.from({ length: answer.length / 2 }, (_, index) => ({
        id: String(answer[index * 2]),
        claim: Number(answer[index * 2 + 1]),
      }))
    },
    listUnusedWorkspaces(before, count) {
      return redis.zrangebyscore(`${root}:workspaces-used`, '-inf', before, 'LIMIT', 0, count)
    },
    async keepOwner(workspace, usedAt) {
      await redis.zadd(`${root}:workspaces-used`, 'XX', 'GT', usedAt, workspace)
    },
    async disown(workspace, before) {
      await run('ccDisown', workspace, before)
    },
    async trimIndexes(count) {
      const owners = await redis.smembers(`${root}:owners`)
      let trimmed = 0
      for (const owner of [undefined, ...owners]) {
        const index = owner === undefined ? `${root}:index` : `${root}:index:${owner}`
        const oldest = await redis.zrange(index, '0', String(count - 1))
        if (oldest.length === 0) {
          if (owner !== undefined) await run('ccForgetOwner', owner)
          continue
        }
        const pipeline = redis.pipeline()
        for (const id of oldest) pipeline.exists(`${root}:execution:${id}`)
        const present = await execute(pipeline)
        const gone = oldest.filter((_id, position) => present[position] === 0)
        if (gone.length > 0) await redis.zrem(index, ...gone)
        trimmed += gone.length
      }
      return trimmed
    },
  }
}
