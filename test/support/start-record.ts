import { randomUUID } from 'node:crypto'
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
