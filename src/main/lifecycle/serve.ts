/** How a process of its own, `api` or `worker`, lives: it opens, tells, serves until it is told to stop, closes. */
import { ConfigError, readConfig, type Config } from '../../platform/config.js'
import { settle } from './memory.js'
import type { ChildMessage } from './service-process.js'
import { PARENT_GONE, untilStopped } from './signals.js'

/** Beyond the drain: so long a process may take to end in order, for instance while Redis is away. */
const CLOSE_MARGIN_MS = 10_000
/** Without its parent a child has lost its Redis as well, as a rule. */
const ORPHAN_MS = 3_000

function requireRedisUrl({ redisUrl }: Config): string {
  if (redisUrl === undefined)
    throw new ConfigError(
      'REDIS_URL: is required for a separate API or worker process, as they share only Redis; set it to ' +
        'redis://host:6379, or use cc-executor start, which starts a private one.',
    )
  return redisUrl
}

/**
 * Started by `start`, which then hears and tells all. A channel alone is no sign of it: pm2 has one to whatever it
 * runs, and so has any program that forks this one.
 */
export const isChild = process.send !== undefined && Boolean(process.env['CC_EXECUTOR_INSTANCE_ID'])

export function tellParent(message: ChildMessage): void {
  if (isChild && process.connected) process.send?.(message)
}

/** An `api` or `worker` process: open, tell, serve until told to stop, close. */
export async function serve(
  say: (text: string) => void,
  open: (
    config: Config,
    redisUrl: string,
    signal: AbortSignal,
  ) => Promise<{ info: unknown; sentence: string; close(how?: 'at once'): Promise<void> }>,
): Promise<void> {
  const stopped = untilStopped({ child: isChild })
  const opening = new AbortController()
  try {
    const config = readConfig()
    // The runs end with this process in any case: their wardens notice.
    void stopped.then((why) =>
      setTimeout(
        () => process.exit(1),
        why === PARENT_GONE ? ORPHAN_MS : config.drainSeconds * 1_000 + CLOSE_MARGIN_MS,
      ),
    )
    void stopped.then(() => opening.abort())
    const { info, sentence, close } = await open(config, requireRedisUrl(config), opening.signal)
    if (isChild) tellParent({ kind: 'ready', info })
    else say(sentence)
    void settle()
    const why = await stopped
    await close(why === PARENT_GONE ? 'at once' : undefined)
  } catch (error) {
    // Asked to stop before it served: that is no failure.
    if (error === opening.signal.reason) return
    tellParent({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    throw error
  }
}
