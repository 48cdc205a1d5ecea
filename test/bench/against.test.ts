// What `npm run bench -- --against` makes of the figures of two commits.
import t from 'tap'
import { compare, toFigures } from './against.js'

void t.test(
  'figures that both commits have are compared by their medians, whatever else either measures',
  async (t) => {
    const round = (results: unknown) => toFigures(results)
    const then = [1, 9, 2].map((wallMs) => round({ run: { wallMs, gone: 1 }, evidence: { files: 3 } }))
    const now = [4, 4, 100].map((wallMs) => round({ run: { wallMs, added: 1 }, flood: [{ seconds: 2 }] }))
    t.same(
      [...(now[0] ?? [])],
      [
        ['run.wallMs', 4],
        ['run.added', 1],
        ['flood.0.seconds', 2],
      ],
    )
    t.same(compare('abc', then, now), {
      commit: 'abc',
      rounds: 3,
      figures: [{ name: 'run.wallMs', before: 2, after: 4, ratio: 2 }],
    })
  },
)
