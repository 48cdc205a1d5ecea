import { definedFields } from '../protocol/defined-fields.js'
import type { Execution } from '../protocol/execution.js'
import type { Schedule, ScheduleChange, SchedulePage, ScheduleRequest } from '../protocol/schedules.js'
import type { Rest, RestCall } from './rest.js'

interface CallOptions {
  readonly signal?: AbortSignal
}

interface KeyOptions extends CallOptions {
  /** Makes a retry safe: the same key and request give the same schedule, or execution. */
  readonly idempotencyKey?: string
}

export interface SchedulesQuery {
  readonly limit?: number
  readonly cursor?: string
}

/** What a new schedule leaves out has a default. */
export type NewSchedule = Pick<ScheduleRequest, 'name' | 'request'> & Partial<ScheduleRequest>

export interface ScheduleCalls {
  createSchedule(request: NewSchedule, options?: KeyOptions): Promise<Schedule>
  schedules(query?: SchedulesQuery, options?: CallOptions): Promise<SchedulePage>
  /** With its last ten moments and what became of each. */
  schedule(id: string, options?: CallOptions): Promise<Schedule>
  /** A JSON merge patch; `enabled: false` pauses. */
  changeSchedule(id: string, change: ScheduleChange, options?: CallOptions): Promise<Schedule>
  removeSchedule(id: string, options?: CallOptions): Promise<void>
  /** One execution now; no planned moment is used up by it. */
  runSchedule(id: string, options?: KeyOptions): Promise<Execution>
}

const at = (id: string, tail = ''): string => `/schedules/${encodeURIComponent(id)}${tail}`

export function createScheduleCalls(rest: Rest): ScheduleCalls {
  // Safe: the service's own answers, in the shapes that the protocol publishes.
  const ask = <Answer>(call: RestCall): Promise<Answer> => rest.json(call) as Promise<Answer>
  const keyed = (idempotencyKey: string | undefined) => definedFields({ 'idempotency-key': idempotencyKey })
  return {
    createSchedule: (body, { signal, idempotencyKey } = {}) =>
      ask({ method: 'POST', path: '/schedules', body, signal, headers: keyed(idempotencyKey) }),
    schedules: (query = {}, { signal } = {}) => ask({ path: '/schedules', query: { ...query }, signal }),
    schedule: (id, { signal } = {}) => ask({ path: at(id), signal }),
    changeSchedule: (id, body, { signal } = {}) => ask({ method: 'PATCH', path: at(id), body, signal }),
    async removeSchedule(id, { signal } = {}) {
      await rest.text({ method: 'DELETE', path: at(id), signal })
    },
    runSchedule: (id, { signal, idempotencyKey } = {}) =>
      ask({ method: 'POST', path: at(id, '/run'), signal, headers: keyed(idempotencyKey) }),
  }
}
