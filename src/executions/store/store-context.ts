import type { Redis } from 'ioredis'
import { keyRoot, readTime } from '../../platform/redis.js'
import type { RunScript } from '../../platform/redis-scripts.js'
import type { TraceCarrier } from '../../telemetry/tracing.js'
import { openRecordScripts, type RecordScripts } from './record-scripts.js'

export interface StoreOptions {
  readonly prefix: string
  readonly retentionSeconds: number
  /** Folders, and those below them, that have no owner. */
  readonly sharedWorkspaces?: readonly string[]
  /** Is told of the trace of each record that is read. */
  readonly onTrace?: ((id: string, trace: TraceCarrier) => void) | undefined
}

/** What every part of the store is made from. */
export interface StoreContext {
  readonly redis: Redis
  readonly root: string
  readonly run: RunScript<RecordScripts>
  readonly retentionMs: number
  readonly sharedWorkspaces: readonly string[]
  readonly onTrace: StoreOptions['onTrace']
  /**
   * Milliseconds since the epoch by Redis' clock: the only one by which processes compare times, since theirs may
   * differ or jump.
   */
  now(): Promise<number>
  /** The same from what Redis has said within the last second. */
  recentNow(): Promise<number>
}

/** So long the time that Redis has said is counted on, on this process's clocks. */
const CLOCK_MS = 1_000

/** Asks for the time not for each of many that want to know it, and anew where this process slept or was set. */
function countOn(now: () => Promise<number>): () => Promise<number> {
  let known: { readonly time: number; readonly steady: number; readonly wall: number } | undefined
  let asking: Promise<number> | undefined
  async function ask(): Promise<number> {
    try {
      const time = await now()
      known = { time, steady: performance.now(), wall: Date.now() }
      return time
    } finally {
      asking = undefined
    }
  }
  return async () => {
    if (known) {
      const passed = performance.now() - known.steady
      const shown = Date.now() - known.wall
      if (passed < CLOCK_MS && shown >= 0 && shown < CLOCK_MS) return known.time + Math.floor(passed)
    }
    return (asking ??= ask())
  }
}

export function openStoreContext(
  redis: Redis,
  { prefix, retentionSeconds, sharedWorkspaces = [], onTrace }: StoreOptions,
): StoreContext {
  const root = keyRoot(prefix)
  const now = (): Promise<number> => readTime(redis)
  return {
    redis,
    root,
    run: openRecordScripts(redis, root),
    retentionMs: Math.ceil(retentionSeconds * 1_000),
    sharedWorkspaces,
    onTrace,
    now,
    recentNow: countOn(now),
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
