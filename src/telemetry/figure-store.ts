import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'
import { openScripts } from '../platform/redis-scripts.js'
import type { Fields } from './figure-fields.js'
import type { Counted } from './figures.js'
import type { Family } from './exposition.js'
import { SCRIPTS } from './scripts.generated.js'

/** So long after somebody has read the figures, processes publish their own. */
const WANTED_SECONDS = 900
/** A process that has published nothing for so long is gone, and its name free. */
const PRESENCE_SECONDS = 15
/** Processes of one kind whose figures are kept; a further one publishes none. */
const PROCESSES_KEPT = 512
const ASKED_AT_ONCE = 64

/** As the webhooks count them, and as the metric names them. */
const DELIVERY_RESULTS = { delivered: 'delivered', attempt_failed: 'failed', failed: 'dead' } as const

export type ProcessKind = 'api' | 'worker'

interface FigureScripts {
  ccAddFigures(counted: Counted): 1 | 0
}

/** The figures of the service in Redis, and those of its processes. */
export interface FigureStore {
  /** Whether figures of processes are wanted. */
  add(counted: Counted): Promise<boolean>
  readAll(): Promise<Fields>
  /** What Redis tells of its memory. */
  readMemory(): Promise<string>
  /** Says that they are read; false: nobody has for a while, so none are there yet. */
  want(): Promise<boolean>
  /**
   * A name of this process, the lowest that no other one has: there are no more names than there were processes at
   * once, however many have come and gone. It is kept by asking again. undefined: there are too many.
   */
  name(kind: ProcessKind, id: string): Promise<string | undefined>
  publish(name: string, id: string, families: readonly Family[]): Promise<void>
  withdraw(name: string, id: string): Promise<void>
  /** What the processes of a kind have published. */
  list(kind: ProcessKind): Promise<Family[][]>
}

/** Who has the name stands in the first line. */
const idOf = (text: string): string => text.slice(0, text.indexOf('\n'))

export function createFigureStore(redis: Redis, prefix: string): FigureStore {
  const root = keyRoot(prefix)
  const run = openScripts<FigureScripts>(redis, root, SCRIPTS)
  const keyOf = (name: string): string => `${root}:process-figures:${name}`
  async function isOurs(name: string, id: string): Promise<boolean> {
    const text = await redis.get(keyOf(name))
    return text !== null && idOf(text) === id
  }
  const names = new Map<string, string>()
  return {
    add: async (counted) => (await run('ccAddFigures', counted)) === 1,
    async readAll() {
      const [all, deliveries] = await Promise.all([
        redis.hgetall(`${root}:figures`),
        redis.hmget(`${root}:webhook-totals`, ...Object.keys(DELIVERY_RESULTS)),
      ])
      const results = Object.values(DELIVERY_RESULTS).map((result, index) => [
        `webhook_deliveries_total|${result}`,
        Number(deliveries[index] ?? 0),
      ])
      return Object.fromEntries([...Object.entries(all).map(([field, amount]) => [field, Number(amount)]), ...results])
    },
    readMemory: () => redis.info('memory'),
    async want() {
      const key = `${root}:figures-wanted`
      if ((await redis.set(key, '1', 'EX', WANTED_SECONDS, 'NX')) === 'OK') return false
      await redis.expire(key, WANTED_SECONDS)
      return true
    },
    async name(kind, id) {
      const known = names.get(id)
      if (known !== undefined && (await isOurs(known, id))) {
        await redis.expire(keyOf(known), PRESENCE_SECONDS)
        return known
      }
      for (let number = 1; number <= PROCESSES_KEPT; number += 1) {
        const name = `${kind}-${number}`
        if ((await redis.set(keyOf(name), `${id}\n[]`, 'EX', PRESENCE_SECONDS, 'NX')) === null) continue
        names.set(id, name)
        return name
      }
      return undefined
    },
    async publish(name, id, families) {
      await redis.set(keyOf(name), `${id}\n${JSON.stringify(families)}`, 'EX', PRESENCE_SECONDS)
    },
    async withdraw(name, id) {
      if (await isOurs(name, id)) await redis.del(keyOf(name))
    },
    async list(kind) {
      const published: Family[][] = []
      for (let first = 1; first <= PROCESSES_KEPT; first += ASKED_AT_ONCE) {
        const keys = Array.from({ length: ASKED_AT_ONCE }, (_, index) => keyOf(`${kind}-${first + index}`))
        const texts = await redis.mget(keys)
        // Safe: publish wrote it.
        for (const text of texts)
          if (text !== null) published.push(JSON.parse(text.slice(text.indexOf('\n') + 1)) as Family[])
        if (texts.every((text) => text === null)) break
      }
      return published
    },
  }
}
