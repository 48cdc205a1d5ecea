// When a schedule is to start something: fields, time zones, clocks that are set, and what a long absence leaves due.
import t from 'tap'
import { readCron } from '../../src/schedules/calendar/cron-fields.js'
import { lastMoments, nextMoment, type Rule } from '../../src/schedules/calendar/moments.js'
import { openZone } from '../../src/schedules/calendar/zone.js'
import { nextAlarm, toAlarmRule } from '../../src/schedules/alarm-rule.js'
import { mergePatch } from '../../src/schedules/merge-patch.js'
import { planDue } from '../../src/schedules/plan-due.js'

const cron = (expression: string, timezone = 'UTC'): Rule => ({ cron: expression, timezone, anchor: 0 })
const iso = (moment: number | undefined): string =>
  moment === undefined ? 'none' : new Date(moment).toISOString().slice(0, 16)

function list(rule: Rule, after: string, count: number): string[] {
  const found: string[] = []
  for (let at: number | undefined = Date.parse(after); found.length < count;) {
    at = nextMoment(rule, at)
    found.push(iso(at))
    if (at === undefined) break
  }
  return found
}

/** Expression, zone, after which moment, what follows. */
const TABLE: ReadonlyArray<readonly [what: string, string, string, string, ...string[]]> = [
  ['every five minutes', '*/5 * * * *', 'UTC', '2026-01-01T00:03Z', '2026-01-01T00:05', '2026-01-01T00:10'],
  ['a list and a range', '0,30 9-10 * * *', 'UTC', '2026-01-01T09:00Z', '2026-01-01T09:30', '2026-01-01T10:00'],
  ['a range with a step', '10-50/20 0 * * *', 'UTC', '2026-01-01T00:10Z', '2026-01-01T00:30', '2026-01-01T00:50'],
  ['names', '0 0 * feb mon-fri', 'UTC', '2026-01-30T00:00Z', '2026-02-02T00:00', '2026-02-03T00:00'],
  ['Sunday is 0 and 7', '0 0 * * 7', 'UTC', '2026-01-01T00:00Z', '2026-01-04T00:00', '2026-01-11T00:00'],
  ['a shorthand', '@Daily', 'UTC', '2026-01-01T00:00Z', '2026-01-02T00:00', '2026-01-03T00:00'],
  ['either of two days', '0 0 13 * 5', 'UTC', '2026-01-09T00:00Z', '2026-01-13T00:00', '2026-01-16T00:00'],
  [
    'a star with a step restricts no day',
    '0 0 */2 * 1',
    'UTC',
    '2026-01-01T00:00Z',
    '2026-01-05T00:00',
    '2026-01-19T00:00',
  ],
  ['the leap day, over a century without one', '0 0 29 2 *', 'UTC', '2097-01-01T00:00Z', '2104-02-29T00:00'],
  ['the last day of long months', '0 0 31 * *', 'UTC', '2026-01-31T00:00Z', '2026-03-31T00:00', '2026-05-31T00:00'],
  // Set forward: what the clocks skip comes as much later.
  [
    'a time that is skipped',
    '30 2 * * *',
    'Europe/Berlin',
    '2026-03-28T02:00Z',
    '2026-03-29T01:30',
    '2026-03-30T00:30',
  ],
  [
    'one that coincides with another',
    '0 2,3 * * *',
    'Europe/Berlin',
    '2026-03-28T03:00Z',
    '2026-03-29T01:00',
    '2026-03-30T00:00',
  ],
  ['each half hour', '*/30 * * * *', 'Europe/Berlin', '2026-03-29T00:00Z', '2026-03-29T00:30', '2026-03-29T01:00'],
  ['every second hour', '0 */2 * * *', 'Europe/Berlin', '2026-03-28T23:00Z', '2026-03-29T01:00', '2026-03-29T02:00'],
  [
    'a midnight that is skipped',
    '0 0 * * *',
    'Africa/Cairo',
    '2026-04-22T22:00Z',
    '2026-04-23T22:00',
    '2026-04-24T21:00',
  ],
  ['by half an hour', '15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T15:45Z', '2026-10-03T15:45', '2026-10-04T15:15'],
  ['a day that was skipped', '0 12 * * *', 'Pacific/Apia', '2011-12-29T22:00Z', '2011-12-30T22:00', '2011-12-31T22:00'],
  // Set back: what they show twice comes the first time, unless it comes every hour.
  [
    'a time that comes twice',
    '30 2 * * *',
    'Europe/Berlin',
    '2026-10-24T03:00Z',
    '2026-10-25T00:30',
    '2026-10-26T01:30',
  ],
  ['seen from between both', '30 2 * * *', 'Europe/Berlin', '2026-10-25T00:45Z', '2026-10-26T01:30'],
  [
    'each hour',
    '0 * * * *',
    'Europe/Berlin',
    '2026-10-24T23:30Z',
    '2026-10-25T00:00',
    '2026-10-25T01:00',
    '2026-10-25T02:00',
  ],
  ['some hours', '0 1-3 * * *', 'Europe/Berlin', '2026-10-24T23:00Z', '2026-10-25T00:00', '2026-10-25T02:00'],
  ['in New York', '30 1 * * *', 'America/New_York', '2026-10-31T06:00Z', '2026-11-01T05:30', '2026-11-02T06:30'],
]

void t.test('what follows, forwards and backwards', async (t) => {
  for (const [what, expression, timezone, after, ...expected] of TABLE) {
    const rule = cron(expression, timezone)
    t.same(list(rule, after, expected.length), expected, `${what}: ${expression} ${timezone}`)
    const until = Date.parse(`${expected.at(-1)}Z`)
    t.same(lastMoments(rule, Date.parse(after), until, 100).map(iso), expected, `${what}: backwards`)
    const ringing = toAlarmRule(rule)
    t.equal(iso(nextAlarm(ringing, Date.parse(after))), expected[0], `${what}: as an alarm`)
  }
})

void t.test('forwards and backwards agree over every day on which clocks are set', async (t) => {
  for (const timezone of ['Europe/Berlin', 'Australia/Lord_Howe', 'Africa/Cairo'])
    for (const expression of ['*/20 * * * *', '30 0-3 * * *', '15 2 * * *', '0 */3 * * 0']) {
      const rule = cron(expression, timezone)
      for (const [from, to] of [
        ['2026-03-28T00:00Z', '2026-04-06T00:00Z'],
        ['2026-10-23T00:00Z', '2026-10-30T23:00Z'],
      ] as const) {
        const forwards: number[] = []
        for (let at = nextMoment(rule, Date.parse(from)); at !== undefined && at <= Date.parse(to);) {
          forwards.push(at)
          at = nextMoment(rule, at)
        }
        t.same(lastMoments(rule, Date.parse(from), Date.parse(to), 5_000), forwards, `${expression} ${timezone}`)
      }
    }
})

void t.test('an interval counts from its start, whatever has passed', async (t) => {
  const rule: Rule = { everySeconds: 90, timezone: 'UTC', anchor: 1_000 }
  t.equal(nextMoment(rule, 1_000), 91_000)
  t.equal(nextMoment(rule, 90_999), 91_000)
  t.equal(nextMoment({ ...rule, startAt: 1_000 }, 0), 1_000, 'the start is the first')
  t.equal(nextMoment({ ...rule, endAt: 90_000 }, 1_000), undefined)
  t.same(lastMoments(rule, 1_000, 500_000, 2), [361_000, 451_000])
  t.same(lastMoments({ ...rule, endAt: 100_000 }, 1_000, 500_000, 9), [91_000])
  t.equal(nextAlarm(toAlarmRule(rule), 1_000), 91_000)
  t.equal(nextAlarm({ pattern: '0 0 * * *', timezone: 'Nowhere/Land' }, 0), undefined, 'an alarm never throws')
})

void t.test('what is wrong with an expression is said', async (t) => {
  const wrong: Record<string, RegExp> = {
    '': /five fields/,
    '* * * *': /five fields/,
    '*/10 * * * * *': /no field for seconds/,
    '60 * * * *': /minute "60" is not one of 0 to 59/,
    '0 24 * * *': /hour "24"/,
    '0 0 0 * *': /day of month "0"/,
    '0 0 * 13 *': /month "13" .* jan, feb/,
    '0 0 * * 8': /day of week "8" .* sun, mon/,
    '0 0 L * *': /day of month "L"/,
    '0 0 ? * 1': /day of month "\?"/,
    '5/10 * * * *': /is not like/,
    '5-1 * * * *': /ends before it begins/,
    '*/0 * * * *': /step/,
    '0 0 31 2,4 *': /no month that it names has such a day/,
    '@reboot': /there is no "@reboot"/,
    '-1 * * * *': /minute ""/,
  }
  for (const [expression, message] of Object.entries(wrong)) {
    t.throws(() => readCron(expression), { name: 'CronError', message }, expression)
  }
  t.throws(() => openZone('Europe/Atlantis'), RangeError)
  t.throws(() => openZone('+05:00'), RangeError)
  t.equal(openZone('europe/berlin'), openZone('Europe/Berlin'), 'kept once')
})

void t.test('what is due after an absence', async (t) => {
  const hourly = cron('0 * * * *')
  const after = Date.parse('2026-01-01T00:00Z')
  const late = Date.parse('2026-01-02T00:30Z')
  const inTime = Date.parse('2026-01-02T00:00:20Z')
  t.equal(planDue(hourly, 'all', after, after + 1_000), undefined)
  const shown = (policy: 'skip' | 'latest' | 'all', now: number): unknown[] => {
    const plan = planDue(hourly, policy, after, now)
    return [plan?.missed.length, iso(plan?.run)]
  }
  t.same(shown('skip', late), [24, 'none'])
  t.same(shown('skip', inTime), [23, '2026-01-02T00:00'])
  t.same(shown('latest', late), [23, '2026-01-02T00:00'])
  t.same(shown('all', late), [0, '2026-01-01T01:00'])
  t.same(shown('all', after + 150 * 3_600_000), [1, iso(after + 51 * 3_600_000)], 'at most 100; the others are skipped')
  t.ok(planDue(cron('* * * * *'), 'latest', 0, late), 'years of minutes are no effort')
})

void t.test('a merge patch', async (t) => {
  const before = { a: 1, request: { prompt: 'x', metadata: { one: '1', two: '2' } }, list: [1, 2] }
  t.same(mergePatch(before, { a: null, request: { metadata: { one: null, three: '3' } }, list: [3], b: undefined }), {
    request: { prompt: 'x', metadata: { two: '2', three: '3' } },
    list: [3],
  })
  t.same(mergePatch({}, JSON.parse('{"__proto__": {"x": 1}}')), JSON.parse('{"__proto__": {"x": 1}}'), 'no prototype')
})
