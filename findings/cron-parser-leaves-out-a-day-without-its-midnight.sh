#!/usr/bin/env bash
# cron-parser 5.10.3, which BullMQ 6.7.0 plans its repeated jobs with: a daily moment that falls into the hour which a change of
#   clocks leaves out.
#
# Expected: as in Berlin, where `30 2 * * *` runs once on the day of the change, an hour later. cron of Debian does so everywhere.
# Happens: it depends on the zone. At midnight (Cairo, 24 April 2026) and where half an hour is left out (Lord Howe, 4 October 2026)
#   the whole day is skipped: `0 0 * * *` and `15 2 * * *` go from the day before to the day after. `prev()`
#   differs from `next()`: back over the change in Berlin, its day is left out as well.
# Matters to: a backup "every midnight" of a queue in such a zone does not run on that day, and nothing says so. Plan by UTC, or by an
#   hour that no change touches; whoever makes up for what was missed with `prev()` misses it, too.
# Needs: bash, node 20 or newer, npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . cron-parser@5.10.3 >/dev/null

cat > try.mjs <<'END'
import { CronExpressionParser } from 'cron-parser'
const moments = (pattern, tz, from, step, count) => {
  const plan = CronExpressionParser.parse(pattern, { tz, currentDate: new Date(from) })
  return Array.from({ length: count }, () => plan[step]().toDate().toISOString())
}
const daysOf = (times, tz) =>
  times.map((time) => new Intl.DateTimeFormat('en-CA', { timeZone: tz, dateStyle: 'short' }).format(new Date(time)))
const show = (name, times, tz) => {
  const days = daysOf(times, tz)
  console.log(`${name}: ${times.map((time, index) => `${days[index]} (${time})`).join(', ')}`)
  return days.join(' ')
}
const berlin = show(
  'Berlin 02:30, next',
  moments('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', 'next', 2),
  'Europe/Berlin',
)
const back = show(
  'Berlin 02:30, prev',
  moments('30 2 * * *', 'Europe/Berlin', '2026-03-30T12:00:00Z', 'prev', 2),
  'Europe/Berlin',
)
const cairo = show(
  'Cairo 00:00, next',
  moments('0 0 * * *', 'Africa/Cairo', '2026-04-22T12:00:00Z', 'next', 2),
  'Africa/Cairo',
)
const lordHowe = show(
  'Lord Howe 02:15, next',
  moments('15 2 * * *', 'Australia/Lord_Howe', '2026-10-01T20:00:00Z', 'next', 2),
  'Australia/Lord_Howe',
)
const same =
  berlin === '2026-03-29 2026-03-30' &&
  back === '2026-03-30 2026-03-28' &&
  cairo === '2026-04-23 2026-04-25' &&
  lordHowe === '2026-10-03 2026-10-05'
console.log(same ? 'as found: two of three zones lose the day' : 'CHANGED')
process.exit(same ? 0 : 1)
END
node try.mjs
