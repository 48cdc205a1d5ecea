// A self-check that is ended from our side says nothing of the CLI: a CLI that greets, and hangs where it resumes.
import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { measureBehaviour } from '../../src/main/self-check/measure-behaviour.js'
import { until } from '../support/deadlines.js'

void t.test('one that is stopped in its second trial gives nothing that could be kept', async (t) => {
  const root = t.testdir({ folder: {} })
  const folder = join(root, 'folder')
  const [binary, marker] = [join(root, 'claude'), join(root, 'resumed')]
  const script = `#!${process.execPath}
const say = (line) => console.log(JSON.stringify(line))
if (process.argv.some((arg) => arg.startsWith('--resume'))) {
  import('node:fs').then(({ writeFileSync }) => writeFileSync(${JSON.stringify(marker)}, ''))
  setInterval(() => undefined, 1000)
} else {
  say({ type: 'system', subtype: 'task_started' })
  say({ type: 'system', subtype: 'task_notification' })
  for (const result of ['Hello.', 'Over.']) say({ type: 'result', is_error: false, result, total_cost_usd: 1 })
  process.stdin.resume()
}
`
  await writeFile(binary, script, { mode: 0o755 })
  const stop = new AbortController()
  const check = measureBehaviour(binary, { environment: process.env, folder, signal: stop.signal })
  check.catch(() => undefined)
  await until(() => existsSync(marker), 'it resumes')
  stop.abort()
  await t.rejects(check, { name: 'AbortError' })
  t.same(readdirSync(folder), [], 'nothing is left of it')
})
