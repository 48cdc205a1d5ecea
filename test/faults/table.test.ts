// The table of faults in the manual names a test in each row: each of them exists.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { namesTest } from '../support/named-tests.js'
import { ROOT } from '../support/paths.js'

void t.test('every row of the table of faults names a test that exists', async (t) => {
  const manual = await readFile(join(ROOT, 'openapi/protocol.md'), 'utf8')
  const [, section = ''] = manual.split(/\n## \d+\. Faults\n/)
  const rows = (section.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
  t.ok(rows.length >= 10, `${rows.length} rows`)
  const files = (await readdir(join(ROOT, 'test'), { recursive: true })).filter((file) => file.endsWith('.test.ts'))
  const sources = await Promise.all(
    files.filter((file) => !file.endsWith('table.test.ts')).map((file) => readFile(join(ROOT, 'test', file), 'utf8')),
  )
  for (const row of rows) {
    const name = row.split('|').at(-2)?.trim() ?? ''
    t.ok(name !== '' && sources.some((source) => namesTest(source, name)), name)
  }
})
