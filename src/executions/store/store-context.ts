import type { Redis } from 'ioredis'
import { keyRoot } from '../../platform/redis.js'
import type { RunScript } from '../../platform/redis-scripts.js'
import { openRecordScripts, type RecordScripts } from './record-scripts.js'

export interface StoreOptions {
  readonly prefix: string
  readonly retentionSeconds: number
  /** Folders, and those below them, that have no owner. */
  readonly sharedWorkspaces?: readonly string[]
}

/** What every part of the store is made from. */
export interface StoreContext {
  readonly redis: Redis
  readonly root: string
  readonly run: RunScript<RecordScripts>
  readonly retentionMs: number
  readonly sharedWorkspaces: readonly string[]
  /**
   * Milliseconds since the epoch by Redis' clock: the only one by which processes compare times, since theirs may
   * differ or jump.
   */
  now(): Promise<number>
}

export function openStoreContext(
  redis: Redis,
  { prefix, retentionSeconds, sharedWorkspaces = [] }: StoreOptions,
): StoreContext {
  const root = keyRoot(prefix)
  return {
    redis,
    root,
    run: openRecordScripts(redis, root),
    retentionMs: Math.ceil(retentionSeconds * 1_000),
    sharedWorkspaces,
    async now() {
      const [seconds, microseconds] = await redis.time()
      return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
    },
  }
}

/** A pipeline's answers; the first error of any of its commands is thrown. */
export async function execute(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  const answers = (await pipeline.exec()) ?? []
  return answers.map(([error, answer]) => {
    if (error) throw error
    return answer
  })
}
