import type { Client, ExecuteRequest, Schedule, ScheduleChange } from 'cc-executor/client'

type NewSchedule = Parameters<Client['createSchedule']>[0]

/** What the form holds: texts as they are typed. */
export interface ScheduleDraft {
  readonly name: string
  readonly rule: string
  readonly cron: string
  readonly everySeconds: string
  readonly timezone: string
  readonly prompt: string
  readonly others: string
  readonly overlap: string
  readonly missed: string
}

export const EMPTY_SCHEDULE: ScheduleDraft = {
  name: '',
  rule: 'cron',
  cron: '',
  everySeconds: '',
  timezone: '',
  prompt: '',
  others: '',
  overlap: 'skip',
  missed: 'latest',
}

export function toScheduleDraft(schedule: Schedule): ScheduleDraft {
  const { prompt = '', ...others } = schedule.request
  return {
    name: schedule.name,
    rule: schedule.cron === undefined ? 'every' : 'cron',
    cron: schedule.cron ?? '',
    everySeconds: String(schedule.everySeconds ?? ''),
    timezone: schedule.timezone,
    prompt,
    others: Object.keys(others).length > 0 ? JSON.stringify(others, null, 2) : '',
    overlap: schedule.overlap,
    missed: schedule.missed,
  }
}

/** @throws SyntaxError where the other fields are not JSON */
export function toScheduleRequest(draft: ScheduleDraft): NewSchedule {
  const others = (draft.others.trim() === '' ? {} : JSON.parse(draft.others)) as ExecuteRequest
  const isCron = draft.rule === 'cron'
  const request = {
    name: draft.name.trim(),
    cron: isCron ? draft.cron.trim() : undefined,
    everySeconds: isCron ? undefined : Number(draft.everySeconds),
    timezone: isCron && draft.timezone.trim() !== '' ? draft.timezone.trim() : undefined,
    request: { ...others, prompt: draft.prompt.trim() === '' ? undefined : draft.prompt },
    overlap: draft.overlap,
    missed: draft.missed,
  }
  // Safe: the service looks at each field, and names what is wrong.
  return JSON.parse(JSON.stringify(request)) as NewSchedule
}

/** A merge patch: what was there and is not any more becomes null, else it would stay. */
export function toChange(before: Schedule, asked: NewSchedule): ScheduleChange {
  const removed = Object.keys(before.request).filter((name) => !(name in asked.request))
  const request = { ...asked.request, ...Object.fromEntries(removed.map((name) => [name, null])) }
  const { name, cron = null, everySeconds = null, timezone = null, overlap, missed } = asked
  return { name, cron, everySeconds, timezone, overlap, missed, request }
}
