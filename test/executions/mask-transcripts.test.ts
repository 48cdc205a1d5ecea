// A transcript is masked in pieces, between which leases are renewed.
import t from 'tap'
import { maskLines } from '../../src/executions/run/mask-transcripts.js'
import { createSecretMask, MASKED } from '../../src/platform/secret-mask.js'

const SECRET = 'a-secret-"of"-somebody-0123456789'
const mask = createSecretMask([SECRET])
const line = (content: string): string => JSON.stringify({ type: 'user', message: { content } })
const toBytes = (lines: readonly string[]): Buffer => Buffer.from(lines.join('\n'))

void t.test('everything else goes on between the pieces of a long one', async (t) => {
  const lines = Array.from({ length: 4_000 }, (_, index) =>
    line(`${'é'.repeat(500)}${index % 100 === 0 ? SECRET : ''}`),
  )
  const bytes = toBytes(lines)
  let turns = 0
  let isOver = false
  const count = (): void => {
    turns += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const masked = await maskLines(bytes, mask)
  isOver = true
  t.equal(masked?.toString(), lines.map(mask.line).join('\n'))
  t.equal(masked?.toString().split(MASKED).length, 41)
  t.ok(turns > bytes.length / (128 * 1024), `${turns} turns for ${bytes.length} bytes`)
})

void t.test('what holds nothing is left alone, and every end is kept', async (t) => {
  for (const text of ['', '\n', 'x', `${line('x')}\n`]) t.equal(await maskLines(Buffer.from(text), mask), undefined)
  for (const end of ['', '\n', '\n\n'])
    t.equal((await maskLines(Buffer.from(line(SECRET) + end), mask))?.toString(), line(MASKED) + end)
  // A line is not cut, however long it is.
  const long = line(`${'x'.repeat(300_000)}${SECRET}${'x'.repeat(300_000)}`)
  t.equal((await maskLines(toBytes([long, 'y']), mask))?.toString(), `${mask.line(long)}\ny`)
})
