import { SWEEP_INTERVAL_MS } from '../sweep/sweep-executions.js'
import type { ExecutionServices } from '../services.js'
import { setAlarm } from './manage-schedules.js'
import { settleDue } from './settle-due.js'

const BATCH = 100
/** An alarm that rings in time settles a moment long before. */
const LATE_MS = 2_000

/**
 * Settles what is due although no alarm has rung: it was lost, or this process's clock is not Redis'; or its request
 * was refused for now. One process at a time does it.
 */
export async function sweepSchedules(services: ExecutionServices): Promise<void> {
  const { schedules, store, logger } = services
  if (!(await store.tryLock('schedules', SWEEP_INTERVAL_MS / 2))) return
  for (const id of await schedules.store.listDue(LATE_MS, BATCH)) {
    try {
      const schedule = await settleDue(services, id)
      if (schedule) await setAlarm(services, schedule)
    } catch (err) {
      logger.warn({ scheduleId: id, err }, 'its moment could not be settled; this will be retried')
    }
  }
}
