// What runs the tests: how it counts, what fails it, and its last line.
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import t from 'tap'
import { ROOT } from '../support/paths.js'
import { checkout } from './checkout.js'

t.jobs = 4

void t.test('what a test file costs is read as far as it is written', async (t) => {
  const module: { readFileCosts: (path: string, directory: string) => unknown[] } = await import(
    pathToFileURL(join(ROOT, 'src/setup/share-processes.mjs')).href
  )
  const path = join(t.testdir({}), 'costs.jsonl')
  t.same(module.readFileCosts(path, '/c'), [])
  writeFileSync(path, '{"file":"/c/dist/test/a.test.js","seconds":1.5}\n{"file":"/c/dist/')
  t.same(module.readFileCosts(path, '/c'), [{ file: 'dist/test/a.test.js', seconds: 1.5 }])
})

void t.test('tap is counted by its own totals, and by its assertions when it did not come to its end', async (t) => {
  interface Reader {
    report: Record<string, unknown>
    read: (chunk: string) => void
    end: () => void
  }
  const module: { createTapReader: () => Reader } = await import(
    pathToFileURL(join(ROOT, 'src/setup/read-tap.mjs')).href
  )
  const [reader, whole] = [module.createTapReader(), module.createTapReader()]
  const lines = [
    'TAP version 14',
    '# Subtest: test/a.test.ts',
    '    # Subtest: adds',
    '        ok 1 - one',
    '        not ok 2 - two',
    '          ---',
    '          diff: |',
    '            -1',
    '            +2',
    '          source: |',
    '            t.equal(1, 2)',
    '          ...',
    '        1..2',
    '    not ok 1 - adds # time=5ms',
    '    ok 2 - later # SKIP',
    '    1..2',
    'not ok 1 - test/a.test.ts # time=9ms',
    '---',
    '# Subtest: test/b.test.ts',
    '    ok 1 - fine',
    '    1..1',
    'not ok 2 - test/b.test.ts # time=9ms',
    '  ---',
    '  exitCode: 4',
    '  ...',
    'not ok 3 - timeout!',
    '  ---',
    '  expired: test/c.test.ts',
    '  ...',
    '',
  ]
  // In pieces, as a pipe delivers it.
  for (const piece of lines.join('\n').match(/[^]{1,7}/g) ?? []) reader.read(piece)
  reader.end()
  t.match(reader.report, {
    passed: 2,
    failed: 3,
    skipped: 1,
    complete: false,
    expired: ['test/c.test.ts'],
    failures: [
      { path: ['test/a.test.ts', 'adds', 'two'], diagnosis: ['diff: |', '  -1', '  +2'] },
      { path: ['test/b.test.ts'], diagnosis: ['exitCode: 4'] },
      { path: ['timeout!'] },
    ],
  })
  whole.read(`${lines.join('\n')}\n1..3\n# ERROR: incomplete lines coverage (80%)\n`)
  whole.read('# { total: 9, pass: 4, fail: 2, todo: 1, skip: 2 }\n')
  whole.end()
  t.match(whole.report, {
    passed: 4,
    failed: 2,
    skipped: 3,
    complete: true,
    remarks: ['ERROR: incomplete lines coverage (80%)'],
  })
})

/** What each file leaves that has come to its end in a shared process. */
const ended = (...files: string[]) =>
  files
    .map((file) => JSON.stringify({ file: `dist/${file}.test.js`, seconds: 1, from: 0, to: 9, ok: true }))
    .map((line) => `echo '${line}' >> "$CC_EXECUTOR_TEST_COSTS"`)
    .join('; ')
const totals = (text: string) =>
  `echo "$@" > tap-arguments; echo "$CC_EXECUTOR_TEST_ALL" > test-all; echo '# { ${text} }'`

void t.test(
  'the checks end with one line that counts static checks and assertions, and with tap’s own failure',
  async (t) => {
    const { directory, run, setUp } = checkout(t)
    const bin = join(directory, 'node_modules/.bin')
    mkdirSync(bin)
    const put = (name: string, script: string) => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
      chmodSync(join(bin, name), 0o755)
    }
    const checks = async (...args: string[]) => {
      const { code, stdout } = await run(process.execPath, ['src/setup/run-checks.mjs', ...args])
      return { code, last: stdout.trimEnd().split('\n').at(-1), stdout }
    }
    mkdirSync(join(directory, 'test/deep'), { recursive: true })
    for (const file of ['test/deep/b.test.ts', 'test/a.test.ts', 'test/no-test.ts'])
      writeFileSync(join(directory, file), '')
    put('oxlint', 'exit 0')
    put('prettier', 'exit 0')
    put('tsc', '[ "$1" = -p ] && exit 0; mkdir -p dist/src; for name in one two; do echo > dist/src/$name.js; done')
    put('tap', totals('total: 5, pass: 4, skip: 1'))
    const whole = await checks('--all')
    t.match(whole, { code: 0, last: '10 passed, 0 failed, 1 skipped' }, whole.stdout)
    t.equal(readFileSync(join(directory, 'test-all'), 'utf8'), '1\n')
    t.same(await setUp(['--only=build']), { code: 0, stdout: '', stderr: '' }, 'the check of types was the build')
    t.match(
      readFileSync(join(directory, 'tap-arguments'), 'utf8'),
      /^-R tap --jobs=\d dist\/test\/a\.test\.js dist\/test\/deep\/b\.test\.js\n$/,
    )

    await checks('test/x.test.ts')
    t.match(
      readFileSync(join(directory, 'tap-arguments'), 'utf8'),
      /^-R tap --jobs=\d --disable-coverage dist\/test\/x\.test\.js\n$/,
    )
    t.equal(readFileSync(join(directory, 'test-all'), 'utf8'), '\n')

    put('tap', `${ended('test/a', 'test/deep/b')}; ${totals('total: 4, pass: 4')}; exit 1`)
    t.match(await checks(), { code: 1, last: '10 passed, 1 failed', stdout: /coverage below its threshold/ })
    t.match(
      readFileSync(join(directory, 'tap-arguments'), 'utf8'),
      /^-R tap --jobs=\d --timeout=\d+ dist\/test\/\.processes\/1\.js .*\n$/,
    )
    t.same(JSON.parse(readFileSync(join(directory, '.tap/queue/files.json'), 'utf8')), [
      'dist/test/a.test.js',
      'dist/test/deep/b.test.js',
    ])

    put('tap', `${ended('test/a')}; ${totals('total: 4, pass: 4')}`)
    t.match(await checks(), {
      code: 1,
      last: '10 passed, 1 failed',
      stdout: /^ok test\/a\.test\.ts .*\n[^]*test\/deep\/b\.test\.ts did not come to its end/m,
    })

    // Its process has died, and what it had started keeps tap waiting.
    const begun = `echo '{"begins":"dist/test/deep/b.test.js","pid":4194304}' >> "$CC_EXECUTOR_TEST_COSTS"`
    const hangs = `echo '{"hangs":"dist/test/a.test.js","tests":["a > waits"]}' >> "$CC_EXECUTOR_TEST_COSTS"`
    put('tap', `${hangs}; ${ended('test/a')}; ${begun}; exec ${process.execPath} -e 'setTimeout(() => 0, 600_000)'`)
    t.match(await checks(), {
      code: 1,
      last: '6 passed, 2 failed',
      stdout: /test\/a\.test\.ts did not .*: it hung in: a > waits\ntest\/deep\/b.* process 4194304 died in it\n/,
    })

    put(
      'tap',
      `${ended('test/a', 'test/deep/b')}; ` +
        'echo "# Subtest: dist/test/a.test.js"; echo "    1..0 # no tests found"; echo "not ok 1 - ' +
        `dist/test/a.test.js"; echo "Error: no such module" >&2; ${totals('total: 1, fail: 1')}; exit 1`,
    )
    t.match(await checks(), {
      code: 1,
      last: '6 passed, 1 failed',
      stdout: /not ok: test\/a\.test\.ts[^]*what the tests said on standard error:\nError: no such module/,
    })

    put('tap', `${ended('test/a', 'test/deep/b')}; echo "ok 1 - a"; echo "cannot go on" >&2; exit 3`)
    put('oxlint', 'echo "a.ts: no"; exit 1')
    t.match(await checks(), { code: 1, last: '6 passed, 2 failed', stdout: /a\.ts: no\nnot ok lint[^]*cannot go on/ })
  },
)

void t.test('the CI run ends with the last line of npm test, or with a failure when there is none', async (t) => {
  const { directory, put, run } = checkout(t)
  mkdirSync(join(directory, '.ci'))
  cpSync(join(ROOT, '.ci/run'), join(directory, '.ci/run'))
  put('npm', '#!/bin/sh\necho "CI=$CI $@"\necho "7 passed, 0 failed, 1 skipped"\n')
  t.match(await run('bash', ['.ci/run']), { code: 0, stdout: 'CI=true test --silent\n7 passed, 0 failed, 1 skipped\n' })
  put('npm', '#!/bin/sh\necho "6 passed, 1 failed"\nexit 1\n')
  t.match(await run('bash', ['.ci/run']), { code: 1, stdout: /^6 passed, 1 failed\n$/ })
  put('npm', '#!/bin/sh\necho "set-up: no" >&2\nexit 1\n')
  t.match(await run('bash', ['.ci/run']), { code: 1, stdout: /^set-up: no\n0 passed, 1 failed\n$/ })
  put('npm', '#!/bin/sh\nexit 0\n')
  t.match(await run('bash', ['.ci/run']), { code: 1, stdout: /^0 passed, 1 failed\n$/ })
})
