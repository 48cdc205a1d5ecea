// Test files that share processes: each runs once, and finds neither the tests nor the environment of the one before.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { ROOT } from '../support/paths.js'

const tap = join(ROOT, 'dist/packages/node_modules/tap/index.js')
const skip = existsSync(tap) ? false : 'without the bundle of npm test'

void t.test('files that share a process', { skip }, async (t) => {
  const imported = `import t from ${JSON.stringify(tap)}\n`
  const folder = t.testdir({
    queue: { 'files.json': JSON.stringify(['taken.mjs', 'first.mjs', 'second.mjs']), 0: '' },
    'taken.mjs': `${imported}t.fail('another process has it')`,
    'first.mjs': `${imported}
      t.teardown(() => console.log('# first is torn down'))
      t.test('one', async (t) => t.pass(t.fullname))
      t.test('two', async () => undefined)
      t.equal(t.name, 'first.mjs', 'the file is what t means')
      process.env.OF_FIRST = 'x'
      process.env.HOME = 'y'
      process.chdir('/')`,
    'second.mjs': `${imported}
      t.equal(process.env.OF_FIRST, undefined, 'its variable is gone')
      t.equal(process.env.HOME, 'home', 'a changed one is as before')
      t.fail('and where it is: ' + process.cwd())`,
  })
  const { code, stdout } = await promisify(execFile)(
    process.execPath,
    [`--import=${join(ROOT, 'test/support/bare-children.mjs')}`, join(ROOT, 'dist/test/support/share-process.js')],
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: 'home',
        CC_EXECUTOR_TEST_QUEUE: join(folder, 'queue'),
        CC_EXECUTOR_TEST_COSTS: join(folder, 'costs'),
      },
    },
  ).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
  )
  t.equal(code, 1, 'a failure of a file is one of the process')
  const said = stdout.split('\n').filter((line) => /^ *(ok|not ok|# first)/.test(line))
  t.match(
    said.map((line) => line.replace(/ # time.*/, '')),
    [
      /^ {8}ok 1 - .* > first\.mjs > one$/,
      '    ok 1 - one',
      '    ok 2 - two',
      '    ok 3 - the file is what t means',
      '# first is torn down',
      'ok 1 - first.mjs',
      '    ok 1 - its variable is gone',
      '    ok 2 - a changed one is as before',
      `    not ok 3 - and where it is: ${folder}`,
      'not ok 2 - second.mjs',
    ],
    stdout,
  )
  const costs = readFileSync(join(folder, 'costs'), 'utf8').trimEnd().split('\n')
  t.match(
    costs.map((line): unknown => JSON.parse(line)),
    [
      { file: join(folder, 'first.mjs'), ok: true, assertions: { total: 3, pass: 3 }, seconds: Number },
      { file: join(folder, 'second.mjs'), ok: false, assertions: { total: 3, pass: 2, fail: 1 } },
      { file: join(ROOT, 'dist/test/support/share-process.js') },
    ],
  )
})
