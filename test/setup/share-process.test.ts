// Test files that share processes: each runs once, and finds neither the tests nor the environment of the one before.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { ROOT } from '../support/paths.js'

const tap = join(ROOT, 'dist/packages/node_modules/tap/index.js')
const skip = existsSync(tap) ? false : 'without the bundle of npm test'

const share = (folder: string, more: NodeJS.ProcessEnv = {}): Promise<{ code: number; stdout: string }> =>
  promisify(execFile)(
    process.execPath,
    [`--import=${join(ROOT, 'test/support/bare-children.mjs')}`, join(ROOT, 'dist/test/support/share-process.js')],
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: 'home',
        CC_EXECUTOR_TEST_QUEUE: join(folder, 'queue'),
        CC_EXECUTOR_TEST_COSTS: join(folder, 'costs'),
        ...more,
      },
    },
  ).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
  )
const readCosts = (folder: string): unknown[] =>
  readFileSync(join(folder, 'costs'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line))

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
  const { code, stdout } = await share(folder)
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
  const [first, second] = ['first.mjs', 'second.mjs'].map((file) => join(folder, file))
  t.match(readCosts(folder), [
    { begins: first, pid: Number },
    { file: first, ok: true, assertions: { total: 3, pass: 3 }, seconds: Number },
    { begins: second },
    { file: second, ok: false, assertions: { total: 3, pass: 2, fail: 1 } },
    { file: join(ROOT, 'dist/test/support/share-process.js') },
  ])
})

void t.test('a file that hangs is ended with its process, and the test that hung is named', { skip }, async (t) => {
  const imported = `import t from ${JSON.stringify(tap)}\n`
  const folder = t.testdir({
    queue: { 'files.json': JSON.stringify(['hanging.mjs', 'next.mjs']) },
    'hanging.mjs': `${imported}
      setInterval(() => undefined, 1_000)
      t.test('is done', async (t) => t.pass())
      t.test('waits', (t) => t.test('for ever', () => new Promise(() => undefined)))`,
    'next.mjs': `${imported}t.fail('another process takes it')`,
  })
  const { code, stdout } = await share(folder, { CC_EXECUTOR_TEST_ENDS_AT: String(Date.now()) })
  t.equal(code, 1, stdout)
  const file = join(folder, 'hanging.mjs')
  t.match(readCosts(folder), [
    { begins: file },
    { hangs: file, tests: [/hanging\.mjs > waits > for ever$/] },
    { file, ok: false },
    {},
  ])
})
