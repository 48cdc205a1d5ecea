import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { serializeWithoutSeq } from '../../src/events/stored-event.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { FIXTURES } from './paths.js'

/** What a worker of an older version does in Redis: its own scripts, as it sends them. */
export interface OlderWorker {
  claim(id: string, claim: number): Promise<string[]>
  conclude(id: string, fence: string): Promise<string[]>
  listAbandoned(): Promise<string[]>
}

const DAY_MS = 86_400_000

export async function openOlderWorker(redis: Redis): Promise<OlderWorker> {
  const script = await readFile(join(FIXTURES, 'upgrade/scripts-6c4780c.lua'), 'utf8')
  const run = async (...args: Array<string | number>): Promise<string[]> =>
    // Safe: each of them answers an array.
    ((await redis.eval(script, 1, '{cc}', ...args)) as unknown[]).map(String)
  return {
    claim: (id, claim) => run('claim', id, claim, 'older', 60_000, 'default'),
    conclude(id, fence) {
      const outcome = { status: 'succeeded' } as const
      const event = { type: 'execution.finished', data: { outcome, usage: NO_USAGE } } as const
      const fields = {
        outcome: JSON.stringify(outcome),
        usage: JSON.stringify(NO_USAGE),
        finishedAt: String(Date.now()),
        result: 'done',
      }
      const finished = serializeWithoutSeq(event, new Date(), 1)
      return run('conclude', id, fence, 'succeeded', JSON.stringify(fields), finished, DAY_MS, '', '', '', '')
    },
    listAbandoned: async () => (await run('list-abandoned', 100, '', 60_000)).slice(1),
  }
}
