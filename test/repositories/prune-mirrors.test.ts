// Which mirrors go: those unused for too long, and beyond the bytes those unused for longest.
import t from 'tap'
import { chooseUnneeded } from '../../src/repositories/prune-mirrors.js'

void t.test('the longest unused go first', (t) => {
  const mirrors = [
    { place: 'old', usedAt: 100, bytes: 1 },
    { place: 'new', usedAt: 900, bytes: 40 },
    { place: 'middle', usedAt: 800, bytes: 70 },
  ]
  const choose = (mirrorsMs: number, mirrorsLimitBytes: number): string[] =>
    chooseUnneeded(mirrors, { mirrorsMs, mirrorsLimitBytes }, 1_000).map(({ place }) => place)
  t.same(choose(500, 1_000), ['old'])
  t.same(choose(5_000, 100), ['middle', 'old'])
  t.same(choose(5_000, 1_000), [])
  t.same(choose(5_000, 0), ['new', 'middle', 'old'])
  t.end()
})
