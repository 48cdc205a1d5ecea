// What the bench makes of its figures: ratios, goals, and what was lost since a release.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../support/paths.js'
import { fillCapacity } from './capacity.js'
import { findLosses, printLosses, record, type Release } from './guard.js'
import { judge, printRows, ratiosOf, type Row } from './rows.js'

const relay = (here: number, peer: number, base = 1): Row => ({
  id: 'relay',
  title: 'relay',
  unit: '/s',
  better: 'more',
  samples: { here: [1, here, here * 9], peer: [peer], base: [base] },
  goals: [{ against: 'peer', atLeast: 1.7 }, { atMost: 100 }, { against: 'absent', atLeast: 1 }],
})
const size = (here: number): Row => ({
  id: 'size',
  title: 'size',
  unit: 'KB',
  better: 'less',
  samples: { here: [here] },
  isPortable: true,
})

void t.test('a row stands to the others by its medians, and to the goals that can be judged', async (t) => {
  t.same(ratiosOf(relay(20, 10)), { peer: 2, base: 20 })
  t.match(judge(relay(20, 10)), [
    { value: 2, isMet: true },
    { value: 20, isMet: true },
  ])
  t.match(judge(relay(16, 10)), [{ value: 1.6, isMet: false }, { isMet: true }])
  const late: Row = { ...size(3), samples: { here: [3], peer: [1] } }
  t.match(judge({ ...late, goals: [{ against: 'peer', isDifference: true, atMost: 1.5 }] }), [
    { value: 2, isMet: false },
  ])
  t.match(printRows([relay(16, 10)], '6c4780c'), /beside peer 10.00 \(1.60 ×\), 6c4780c/)
  t.match(printRows([relay(16, 10)]), /MISSED at least 1.7 × peer: 1.60/)
})

void t.test('a row that lost more than a tenth against the release is named', async (t) => {
  const release = record([relay(20, 10), size(4)], 'abc', '6c4780c')
  const lost = (rows: Row[], base = '6c4780c'): string[] =>
    findLosses(rows, release, base).map(({ id, against }) => `${id} ${against}`)
  t.same(lost([relay(18.5, 10, 0.92), size(4.3)]), [])
  t.same(lost([relay(17, 10), size(4.5)]), ['relay peer', 'relay base', 'size figure'])
  t.same(lost([relay(17, 10)], 'another'), ['relay peer'], 'another base is no yardstick')
  t.same(lost([relay(40, 10), size(1)]), [], 'a gain is none')
  t.match(printLosses(findLosses([size(5)], release, undefined)), /LOST 25 % size, the figure: 4 at the record, 5 now/)
  const later = record([size(3)], 'def', undefined, release)
  t.match(later, {
    commit: 'def',
    base: '6c4780c',
    rows: { relay: { commit: 'abc', ratios: { peer: 2 } }, size: { commit: 'def', ratios: { figure: 3 } } },
  })
})

void t.test('the manual reckons with the figures of the release', async (t) => {
  const page = readFileSync(join(ROOT, 'deployment/CAPACITY.md'), 'utf8')
  // Safe: our own file.
  const release = JSON.parse(readFileSync(join(ROOT, 'test/bench/release.json'), 'utf8')) as Release
  t.equal(fillCapacity(page, release), page)
  for (const [id, { commit }] of Object.entries(release.rows)) t.match(commit, /^[0-9a-f]{7,}$/, `${id} says of what`)
  const { 'submit.rate': rate, ...others } = release.rows
  t.ok(rate)
  t.throws(() => fillCapacity(page, { ...release, rows: others }), /no row submit.rate/)
})
