// A tap that was killed leaves no test, and a test none of its processes, whatever becomes of either.
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { describe, listMentioning, makeFolder, tryKill } from '../support/processes.js'
import { ROOT } from '../support/paths.js'
import { until } from '../support/deadlines.js'

void t.test('what a test has started ends with tap', async (t) => {
  const folder = await makeFolder(t)
  const [file, script] = [join(folder, 'file'), join(folder, 'test.mjs')]
  await writeFile(file, '')
  const support = JSON.stringify(join(ROOT, 'dist/test/support/processes.js'))
  const command = JSON.stringify(['tail', '-f', file])
  await writeFile(
    script,
    `import { spawnWatched } from ${support}
     spawnWatched({ teardown() {} }, ${command}, process.env, '/')
     setInterval(() => undefined, 1_000)`,
  )
  const loader = `--import=${join(ROOT, 'test/support/bare-children.mjs')}`
  // Two commands, so that the shell stays.
  const tap = spawn('/bin/sh', ['-c', `${process.execPath} ${loader} ${script}; :`], { cwd: ROOT, stdio: 'ignore' })
  t.teardown(() => listMentioning(folder, 'cmdline').forEach(({ pid }) => tryKill(pid)))
  await until(() => describe(listMentioning(file, 'cmdline')).some((line) => / tail -f/.test(line)), 'it has started')
  tap.kill('SIGKILL')
  await until(() => listMentioning(folder, 'cmdline').length === 0, 'all are gone').catch(() => undefined)
  t.same(describe(listMentioning(folder, 'cmdline')), [])
})
