import type { Redis } from 'ioredis'
import { keyRoot } from '../../platform/redis.js'
import { WorkerState } from '../../protocol/service-state.js'

/** How long a worker counts as present after its last word. */
const PRESENCE_SECONDS = 15
export const ANNOUNCE_INTERVAL_MS = 5_000

/** The workers that are present: each says so of itself, under a key that expires. */
export interface WorkerRegistry {
  announce(state: WorkerState): Promise<void>
  withdraw(workerId: string): Promise<void>
  list(): Promise<WorkerState[]>
}

export function createWorkerRegistry(redis: Redis, prefix: string): WorkerRegistry {
  const root = keyRoot(prefix)
  const keyOf = (workerId: string): string => `${root}:worker:${workerId}`
  const all = `${root}:workers`
  return {
    async announce(state) {
      await redis
        .multi()
        .set(keyOf(state.id), JSON.stringify(state), 'EX', PRESENCE_SECONDS)
        .sadd(all, state.id)
        .expire(all, 24 * 3_600)
        .exec()
    },
    async withdraw(workerId) {
      await redis.multi().del(keyOf(workerId)).srem(all, workerId).exec()
    },
    async list() {
      const ids = await redis.smembers(all)
      if (ids.length === 0) return []
      const texts = await redis.mget(ids.map(keyOf))
      const absent = ids.filter((_id, index) => texts[index] === null)
      if (absent.length > 0) await redis.srem(all, ...absent)
      // Another version of the service may share this Redis: what does not fit is passed over.
      return texts.flatMap((text) => {
        const parsed = WorkerState.safeParse(text === null ? undefined : JSON.parse(text))
        return parsed.success ? [parsed.data] : []
      })
    },
  }
}
