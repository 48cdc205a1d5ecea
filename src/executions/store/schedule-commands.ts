import type { Place } from '../../schedules/schedule-store.js'
import type { ExecutionState } from '../records/execution-state.js'
import { execute, type StoreContext } from './store-context.js'

/** What schedules ask of the executions that they have started. */
export interface ScheduleCommands {
  /** Those that have not ended; undefined where the schedule stands elsewhere by now. */
  listOpen(place: Place): Promise<readonly string[] | undefined>
  /** undefined for one that is not kept. */
  statesOf(ids: readonly string[]): Promise<ReadonlyMap<string, ExecutionState | undefined>>
}

export function createScheduleCommands({ redis, root, run }: StoreContext): ScheduleCommands {
  return {
    async listOpen({ id, after, revision }) {
      const [kind, ...ids] = await run('ccOpenScheduled', id, after, revision)
      return kind === 'open' ? ids : undefined
    },
    async statesOf(ids) {
      if (ids.length === 0) return new Map()
      const pipeline = redis.pipeline()
      for (const id of ids) pipeline.hget(`${root}:execution:${id}`, 'state')
      const states = await execute(pipeline)
      // Safe: the scripts write nothing else there.
      return new Map(ids.map((id, index) => [id, (states[index] ?? undefined) as ExecutionState | undefined]))
    },
  }
}
