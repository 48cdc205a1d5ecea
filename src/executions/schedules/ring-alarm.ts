import type { ExecutionServices } from '../services.js'
import { settleDue } from './settle-due.js'

/** What an alarm leads to. One of a schedule that is gone or paused rings no more. */
export async function ringAlarm(services: ExecutionServices, scheduleId: string): Promise<void> {
  const schedule = await settleDue(services, scheduleId)
  if (!schedule?.definition.enabled) await services.schedules.alarms.clear(scheduleId)
}
