import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { PRIORITY_STEP } from '../../src/executions/store/queue-score.js'
import type { ExecutionStore } from '../../src/executions/store/execution-store.js'
import type { NewEvent } from '../../src/protocol/events.js'

/** starting → running, as a worker does it; no process stands behind it. */
export function startRecord(
  store: Pick<ExecutionStore, 'start'>,
  id: string,
  fence: string,
  { simulated = true, listEvent }: { simulated?: boolean; listEvent?: NewEvent } = {},
): ReturnType<ExecutionStore['start']> {
  const sessionId = randomUUID()
  return store.start(
    id,
    fence,
    { startedAt: new Date(), attempt: 1, sessionId, simulated },
    {
      type: 'execution.started',
      data: {
        attempt: 1,
        workerId: 'worker',
        pid: 1,
        pgid: 1,
        claudeVersion: '',
        sessionId,
        workspace: '',
        argv: [],
      },
    },
    listEvent,
  )
}

/** Makes a waiting execution the first in the line of its owner, so that a claim by hand takes no other. */
export async function putFirst(redis: Redis, id: string): Promise<void> {
  const [score, owner] = await redis.hmget(`{cc}:execution:${id}`, 'score', 'owner')
  await redis.zadd(`{cc}:line:${Math.floor(Number(score) / PRIORITY_STEP)}:${owner}`, 'XX', '-1', id)
}
