// What npm pack makes, installed in an empty folder and started from there. It takes the registry, so only in npm run
// test:all.
import { execFile } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { makeFolder } from '../support/processes.js'
import { ROOT } from '../support/paths.js'
import { startWhole } from './started-service.js'
import { walk } from './walk.js'

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : false
const DEADLINE_MS = 10 * 60_000

void t.test(
  'the packed service, installed in an empty folder, answers all that it documents',
  { skip, timeout: DEADLINE_MS },
  async (t) => {
    const folder = await makeFolder(t)
    const empty = join(folder, 'empty')
    await mkdir(empty)
    const run = (args: string[], cwd: string) =>
      promisify(execFile)('npm', args, { cwd, timeout: DEADLINE_MS, maxBuffer: 1 << 26 })
    await run(['pack', '--pack-destination', folder], ROOT)
    const [tarball = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
    await run(
      [
        'install',
        '--prefix',
        empty,
        '--no-audit',
        '--no-fund',
        '--prefer-offline',
        '--ignore-scripts',
        join(folder, tarball),
      ],
      empty,
    )
    const installed = await readdir(join(empty, 'node_modules', 'cc-executor'), { recursive: true })
    t.same(
      installed.filter((path) => /^(?:test|dist\/test|\.ci|src\/(?!setup))|\.map$|\.env/.test(path)),
      [],
      'no test, no source, no settings of ours',
    )
    await walk(t, await startWhole(t, [join(empty, 'node_modules/.bin/cc-executor'), 'start', '--simulate'], empty))
  },
)
