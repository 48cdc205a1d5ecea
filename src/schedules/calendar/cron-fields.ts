/** A cron expression that has been read: the values of each field, and what a star changes. */
export interface CronFields {
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
  /** Both days are restricted: one of them must match. Otherwise both must, and a star always does. */
  readonly isEitherDay: boolean
  /** Every hour of the day: it runs in both hours where the clocks are set back. */
  readonly isHourly: boolean
}

/** What is wrong with an expression, for its author. */
export class CronError extends Error {
  override readonly name = 'CronError'
}

interface Field {
  readonly name: string
  readonly lowest: number
  readonly highest: number
  readonly names?: readonly string[]
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

const FIELDS = [
  { name: 'minute', lowest: 0, highest: 59 },
  { name: 'hour', lowest: 0, highest: 23 },
  { name: 'day of month', lowest: 1, highest: 31 },
  { name: 'month', lowest: 1, highest: 12, names: ['', ...MONTHS] },
  // 7 is Sunday, too.
  { name: 'day of week', lowest: 0, highest: 7, names: WEEKDAYS },
] as const satisfies readonly Field[]

const SHORTHANDS: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
}

/** Days of the longest month, by its number. */
const MONTH_DAYS = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function readNumber(text: string, { name, lowest, highest, names = [] }: Field): number {
  const named = text === '' ? -1 : names.indexOf(text.toLowerCase())
  const value = named === -1 && /^\d{1,2}$/.test(text) ? Number(text) : named
  if (value >= lowest && value <= highest) return value
  const also = names.length > 0 ? ` or ${names.filter((each) => each !== '').join(', ')}` : ''
  throw new CronError(`the ${name} ${JSON.stringify(text)} is not one of ${lowest} to ${highest}${also}`)
}

/** One of a list: `*`, `3`, `1-5`, each of the stars and ranges with a step `/n`. */
function readPart(part: string, field: Field): number[] {
  const [range = '', step, ...more] = part.split('/')
  const [from = '', to, ...others] = range.split('-')
  if (more.length > 0 || others.length > 0 || (step !== undefined && range !== '*' && to === undefined))
    throw new CronError(`the ${field.name} ${JSON.stringify(part)} is not like *, 3, 1-5, */10 or 10-50/10`)
  const first = range === '*' ? field.lowest : readNumber(from, field)
  // A star of weekdays counts Sunday once.
  const whole = field.name === 'day of week' ? 6 : field.highest
  const last = range === '*' ? whole : to === undefined ? first : readNumber(to, field)
  const by = step === undefined ? 1 : /^[1-9]\d?$/.test(step) ? Number(step) : undefined
  if (by === undefined) throw new CronError(`the step of the ${field.name} ${JSON.stringify(part)} is not 1 to 99`)
  if (last < first) throw new CronError(`the ${field.name} ${JSON.stringify(part)} ends before it begins`)
  const values: number[] = []
  for (let value = first; value <= last; value += by) values.push(value)
  return values
}

const readField = (text: string, field: Field): number[] => [
  ...new Set(text.split(',').flatMap((part) => readPart(part, field))),
]

const ascending = (one: number, other: number): number => one - other

/** Five fields, or a shorthand such as @daily. @throws CronError */
export function readCron(expression: string): CronFields {
  const texts = (SHORTHANDS[expression.trim().toLowerCase()] ?? expression).trim().split(/\s+/)
  if (expression.trim().startsWith('@') && texts.length === 1)
    throw new CronError(`there is no ${JSON.stringify(expression)}; ${Object.keys(SHORTHANDS).join(', ')}`)
  if (texts.length !== FIELDS.length)
    throw new CronError(
      'expected five fields, minute hour day-of-month month day-of-week, such as "0 3 * * 1-5"' +
        (texts.length === 6 ? '; there is no field for seconds' : ''),
    )
  const [minutes = [], hours = [], days = [], months = [], weekdays = []] = FIELDS.map((field, index) =>
    readField(texts[index] ?? '', field),
  )
  const [, , day = '', , weekday = ''] = texts
  const isEitherDay = !day.startsWith('*') && !weekday.startsWith('*')
  // February 30 never comes, unless a weekday may come in its place.
  if (!isEitherDay && !months.some((month) => days.some((each) => each <= (MONTH_DAYS[month] ?? 0))))
    throw new CronError('no month that it names has such a day')
  return {
    minutes: minutes.toSorted(ascending),
    hours: hours.toSorted(ascending),
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(weekdays.map((each) => each % 7)),
    isEitherDay,
    isHourly: hours.length === 24,
  }
}
