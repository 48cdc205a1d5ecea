import { sleep } from '../../platform/abort-signals.js'
import { openRedisServer, type RedisServer, type RedisServerSettings } from '../../platform/redis-server.js'
import { restartDelayMs, STABLE_MS } from './restart-delay.js'

/** One that lost its keeper ends by itself a moment later. */
const PREDECESSOR_MS = 10_000

export interface WatchedRedis {
  readonly url: string
  close(): Promise<void>
}

/**
 * The private Redis, started again on its folder when it dies (out of memory, as a rule): the API and the workers wait
 * for it and go on. What cannot be started again is tried again with growing gaps, and told each time.
 */
export async function openWatchedRedis(
  settings: RedisServerSettings,
  onRestart: (name: string, how: string) => void,
): Promise<WatchedRedis> {
  const closing = new AbortController()
  let current: RedisServer | undefined = await openRedisServer(settings)
  const { url } = current

  async function startAgain(failuresBefore: number): Promise<void> {
    for (let failures = failuresBefore; !closing.signal.aborted; failures += 1) {
      await sleep(restartDelayMs(failures), closing.signal)
      if (closing.signal.aborted) return
      try {
        current = await openRedisServer({ ...settings, waitMs: PREDECESSOR_MS })
        return
      } catch (error) {
        onRestart('Redis', error instanceof Error ? error.message : String(error))
      }
    }
  }

  async function watch(): Promise<void> {
    for (let failures = 0; current !== undefined;) {
      const startedAt = performance.now()
      const server: RedisServer = current
      await server.ended
      if (closing.signal.aborted) return
      failures = performance.now() - startedAt > STABLE_MS ? 1 : failures + 1
      onRestart('Redis', 'by itself or by somebody else')
      current = undefined
      await server.close().catch(() => undefined)
      await startAgain(failures)
    }
  }
  const watching = watch()

  let closed: Promise<void> | undefined
  async function stop(): Promise<void> {
    closing.abort()
    await current?.close()
    await watching
    // One that was being started meanwhile.
    await current?.close()
  }
  return { url, close: () => (closed ??= stop()) }
}
