import type { WorkerRegistry } from '../../executions/store/worker-registry.js'
import type { WorkerState } from '../../protocol/service-state.js'

export interface Presence {
  /** Does nothing once it is withdrawn. */
  announce(): Promise<void>
  /** Waits for announcements under way, so that none arrives after it. */
  withdraw(): Promise<void>
}

/** What other processes know of this worker. `describe` may wait: for what it reads of the disk. */
export function createPresence(
  workers: WorkerRegistry,
  workerId: string,
  describe: () => Promise<WorkerState>,
): Presence {
  let isWithdrawn = false
  const underWay = new Set<Promise<void>>()
  async function send(): Promise<void> {
    const state = await describe()
    if (!isWithdrawn) await workers.announce(state)
  }
  return {
    async announce() {
      if (isWithdrawn) return
      const sent = send()
      underWay.add(sent)
      try {
        await sent
      } finally {
        underWay.delete(sent)
      }
    },
    async withdraw() {
      isWithdrawn = true
      await Promise.allSettled(underWay)
      await workers.withdraw(workerId)
    },
  }
}
