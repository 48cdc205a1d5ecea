// What other processes know of a worker: nothing any more, once it has withdrawn.
import t from 'tap'
import { createWorkerRegistry } from '../../src/executions/store/worker-registry.js'
import { createPresence } from '../../src/main/lifecycle/presence.js'
import { createLogger } from '../../src/platform/logger.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import type { WorkerState } from '../../src/protocol/service-state.js'
import { openTestRedis } from '../support/redis.js'

const STATE: WorkerState = {
  id: 'worker',
  host: 'host',
  pid: 1,
  startedAt: new Date(0).toISOString(),
  concurrency: 1,
  running: 0,
  draining: false,
  credential: 'none',
  containment: { level: 'weak', strong: false, detail: 'none' },
  claude: { found: true, tested: true, message: 'found' },
  authentication: { method: 'none', source: 'none', billed: false, message: 'none' },
  permissionMode: 'default',
}

void t.test('an announcement that is under way, or comes later, does not outlive the withdrawal', async (t) => {
  const { url } = await openTestRedis(t)
  const redis = openRedis({ url, logger: createLogger('silent', 'test'), role: 'keeper' })
  t.teardown(() => closeRedis(redis))
  const workers = createWorkerRegistry(redis, 'presence')
  let described = Promise.resolve(STATE)
  const presence = createPresence(workers, STATE.id, () => described)
  await presence.announce()
  t.match(await workers.list(), [{ id: 'worker' }])
  let resolve = (_state: WorkerState): void => undefined
  described = new Promise((done) => (resolve = done))
  const late = presence.announce()
  const withdrawn = presence.withdraw()
  resolve(STATE)
  await Promise.all([late, withdrawn])
  t.same(await workers.list(), [], 'one under way has no effect')
  await presence.announce()
  t.same(await workers.list(), [], 'nor has a later one')
})
