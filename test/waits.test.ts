// A test that waits for ever is not named by anybody: it ends the whole run at its deadline. So every wait of a test
// has one itself.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from './support/paths.js'

/** Where the deadlines are made, and measurements, which nobody waits for. */
const OWN_WAY = /^(?:waits\.test\.ts|support\/deadlines\.ts|bench\/)/

/** The first line of a loop, in the layout of prettier. */
const LOOP = /^( *)(?:if \(.*\) |else )?(for \(|while \(|do\b(?! *[:=,.]))/

/** Loops that only what they wait for can end, and Node's own `once`. */
function listUnboundedWaits(text: string): string[] {
  const lines = text.split('\n')
  const loops = lines.flatMap((line, index) => {
    const [, indent = '', keyword] = LOOP.exec(line) ?? []
    if (keyword === undefined) return []
    if (keyword === 'for (') return /\bfor \([^;]*; ?;/.test(line) ? [line.trim()] : []
    const after = lines.slice(index + 1)
    const end = after.findIndex((other) => other !== '' && !other.startsWith(`${indent}  `))
    const body = end < 0 ? after.length : end
    return /\bawait\b/.test(lines.slice(index, index + body + (keyword === 'do' ? 2 : 1)).join('\n'))
      ? [line.trim()]
      : []
  })
  return [...loops, ...(/^import \{[^}]*\bonce\b[^}]*\} from 'node:events'/m.exec(text) ?? [])]
}

void t.test('whatever a test waits for has a deadline', (t) => {
  const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !OWN_WAY.test(file))
    .toSorted()
  const waits = files.flatMap((file) =>
    listUnboundedWaits(readFileSync(join(ROOT, 'test', file), 'utf8')).map((line) => `${file}: ${line}`),
  )
  t.same(waits, [], 'until, repeat and once of test/support/deadlines.ts stand in their place')
  const examples = [
    '  for (;;) {\n    if (await isDone()) return\n  }',
    '  for (let tries = 0; ; tries += 1) {\n    await next()\n  }',
    '  while (!isDone) await sleep(20)',
    '  while ((await count()) < 2) {\n    wait()\n  }',
    '  if (isNew) while ((await count()) === 0);',
    '  do told = (await ask()).body\n  while (!told.isFinished)\n',
    '  do {\n    told = await ask()\n  } while (!told.isFinished)\n',
    "import { once, type EventEmitter } from 'node:events'",
  ]
  for (const example of examples) t.equal(listUnboundedWaits(example).length, 1, example)
  for (const example of [
    '  for (let tries = 0; tries < 20; tries += 1) {\n    await next()\n  }',
    '  while (left.pop());',
    '  for (const id of ids) await cancel(id)',
    "import { EventEmitter } from 'node:events'",
  ])
    t.same(listUnboundedWaits(example), [], example)
  t.end()
})
