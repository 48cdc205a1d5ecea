import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import t, { type Test } from 'tap'
import { ROOT } from '../support/paths.js'

t.jobs = 4

const LOCK = {
  packages: { '': { version: '0.1.0' }, 'node_modules/left': { version: '1.0.0', integrity: 'sha512-a' } },
}
const FOUND_ON_PATH = ['redis-server', 'claude', 'bwrap', 'tini']
const RUNS = '#!/bin/sh\nexit 0\n'

/** Stands in for tsc, which takes two seconds a time; like tsc it emits nothing again that its build info knows. */
const COMPILER = `
  const { existsSync, mkdirSync, readdirSync, writeFileSync } = require('node:fs')
  if (process.argv.slice(2).join(' ') !== '-p tsconfig.build.json') process.exit(2)
  mkdirSync('dist/src', { recursive: true })
  if (!existsSync('dist/.tsbuildinfo')) {
    for (const name of readdirSync('src').filter((file) => file.endsWith('.ts'))) {
      const output = 'dist/src/' + name.replace(/ts$/, 'js')
      writeFileSync(output, '')
      writeFileSync(output + '.map', '')
    }
  }
  writeFileSync('dist/.tsbuildinfo', '{}')
`

/** Stands in for esbuild, of which the real one is tested in bundle.test.ts. */
const BUNDLER = `
  import { mkdirSync, writeFileSync } from 'node:fs'
  export async function build({ absWorkingDir, outdir }) {
    mkdirSync(absWorkingDir + '/' + outdir, { recursive: true })
    writeFileSync(absWorkingDir + '/' + outdir + '/program.js', '')
    return { metafile: { inputs: {} } }
  }
  export const stop = async () => undefined
`

/** An npm that says which version is the latest, and installs whatever it is asked for. */
function npmOfClaude(latest: string): string {
  const name = `@anthropic-ai/claude-code-${process.platform}-${process.arch}`
  return `#!/bin/sh
if [ "$1" = view ]; then echo ${latest}; exit; fi
version=\${2##*@}
for d in "${name}" "${name}-musl"; do
  mkdir -p node_modules/$d
  printf '#!/bin/sh\\necho "%s (Claude Code)"\\n' "$version" > node_modules/$d/claude
  chmod +x node_modules/$d/claude
done
`
}

interface Result {
  code: number
  stdout: string
  stderr: string
}

/**
 * A small checkout with its own copy of src/setup and a PATH on which there is only what the test puts there: so every
 * step can be seen without a network, and nothing of this machine's is found.
 */
function checkout(t: Test) {
  const root = t.testdir({
    home: {},
    path: {},
    checkout: {
      node_modules: { '.package-lock.json': JSON.stringify(LOCK) },
      'package.json': '{"type":"module"}',
      'package-lock.json': JSON.stringify(LOCK),
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          target: 'ES2022',
          module: 'NodeNext',
          rootDir: '.',
          outDir: 'dist',
          types: [],
          skipLibCheck: true,
        },
      }),
      'tsconfig.build.json': JSON.stringify({
        extends: './tsconfig.json',
        compilerOptions: { incremental: true, tsBuildInfoFile: 'dist/.tsbuildinfo' },
        include: ['src/**/*.ts'],
      }),
      src: { 'one.ts': 'export const one: number = 1\n', 'two.ts': 'export const two = 2\n' },
    },
  })
  const directory = join(root, 'checkout')
  const path = join(root, 'path')
  cpSync(join(ROOT, 'src/setup'), join(directory, 'src/setup'), { recursive: true })
  mkdirSync(join(directory, 'node_modules/typescript/bin'), { recursive: true })
  writeFileSync(join(directory, 'node_modules/typescript/bin/tsc'), COMPILER)
  mkdirSync(join(directory, 'node_modules/esbuild'))
  writeFileSync(join(directory, 'node_modules/esbuild/package.json'), '{"type":"module","main":"main.js"}')
  writeFileSync(join(directory, 'node_modules/esbuild/main.js'), BUNDLER)
  symlinkSync(join(ROOT, 'node_modules/tap-parser'), join(directory, 'node_modules/tap-parser'))
  for (const name of [
    'sh',
    'bash',
    'mkdir',
    'cat',
    'cp',
    'chmod',
    'tee',
    'tail',
    'grep',
    'timeout',
    'mktemp',
    'rm',
    'dirname',
  ]) {
    const real = ['/usr/bin', '/bin'].map((folder) => join(folder, name)).find((file) => existsSync(file))
    if (real !== undefined) symlinkSync(real, join(path, name))
  }
  symlinkSync(process.execPath, join(path, 'node'))

  const put = (name: string, script: string) => {
    writeFileSync(join(path, name), script)
    chmodSync(join(path, name), 0o755)
  }
  const run = (command: string, args: string[], env: NodeJS.ProcessEnv = {}) =>
    new Promise<Result>((settle) => {
      const options = { cwd: directory, env: { PATH: path, HOME: join(root, 'home'), ...env }, timeout: 600_000 }
      execFile(command, args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        settle({ code, stdout, stderr })
      })
    })
  const setUp = (args: string[], env?: NodeJS.ProcessEnv) =>
    run(process.execPath, ['src/setup/set-up.mjs', ...args], env)
  return { directory, path, cache: join(root, 'home/.cache/cc-executor'), put, run, setUp }
}

void t.test('what there is to do is done once, and a run with nothing to do prints nothing', async (t) => {
  const { directory, put, setUp } = checkout(t)
  FOUND_ON_PATH.forEach((name) => put(name, RUNS))
  const first = await setUp([])
  t.equal(first.code, 0, first.stderr)
  t.match(first.stderr, /^set-up: building \(tsc\) …\nset-up: building \(tsc\) … done in \d+ s\n$/)
  t.ok(existsSync(join(directory, 'dist/src/one.js')))
  t.strictSame(await setUp([]), { code: 0, stdout: '', stderr: '' })
})

void t.test('a fresh clone sees which step of how many is at work, and the end of each by its name', async (t) => {
  const { directory, cache, put, setUp } = checkout(t)
  rmSync(join(directory, 'node_modules/.package-lock.json'))
  put(
    'npm',
    npmOfClaude('2.1.999').replace(
      '\n',
      '\nif [ "$1" = ci ]; then cp package-lock.json node_modules/.package-lock.json; exit; fi\n',
    ),
  )
  put('brew', '#!/bin/sh\ncp "$(dirname "$0")/sh" "$(dirname "$0")/redis-server"\n')
  const { code, stderr } = await setUp([])
  t.equal(code, 0, stderr)
  const lines = stderr.trimEnd().split('\n')
  // What contains a run is had from Debian and Ubuntu only.
  const total = process.platform === 'linux' ? 5 : 4
  t.equal(
    lines[0],
    `set-up: ${total} steps, the first time: a few minutes; nothing outside this folder and ${cache} is changed`,
  )
  const steps = ['installing dependencies', 'building', 'installing Redis', 'fetching the Claude CLI']
  for (const [index, step] of steps.entries()) {
    const said = lines.filter((line) => line.startsWith(`set-up ${index + 1}/${total}: ${step}`))
    t.match(said, [/ …$/, / … done in \d+ s$/], step)
  }
  if (total === 5) t.match(lines.at(-1), /^set-up 5\/5: runs will be less contained without bubblewrap and tini/)
  t.strictSame(await setUp([]), { code: 0, stdout: '', stderr: '' })
})

void t.test('a flag that npm keeps for itself is refused with the call that works', async (t) => {
  const { directory, put, setUp } = checkout(t)
  FOUND_ON_PATH.forEach((name) => put(name, RUNS))
  const npm = { npm_lifecycle_event: 'start', npm_config_simulate: 'true' }
  const refused = await setUp([], npm)
  t.equal(refused.code, 1)
  t.match(refused.stderr, /^set-up: npm kept --simulate for itself; .*: npm start -- --simulate …\n$/)
  t.notOk(existsSync(join(directory, 'dist')), 'nothing was begun')
  t.match(
    (await setUp([], { npm_lifecycle_event: 'setup', npm_config_claude: 'latest' })).stderr,
    'npm run setup -- --claude',
  )
  t.equal((await setUp(['--only=redis'], { ...npm, npm_lifecycle_event: 'test' })).code, 0, 'of another script')
})

void t.test('a deleted source takes its output along, and a deleted output comes back', async (t) => {
  const { directory, setUp } = checkout(t)
  await setUp(['--only=build'])
  rmSync(join(directory, 'src/two.ts'))
  rmSync(join(directory, 'dist/src/one.js'))
  t.equal((await setUp(['--only=build'])).code, 0)
  t.notOk(existsSync(join(directory, 'dist/src/two.js')))
  t.notOk(existsSync(join(directory, 'dist/src/two.js.map')))
  t.ok(existsSync(join(directory, 'dist/src/one.js')))
})

void t.test('a build that fails shows the errors of tsc, ends with 1, and fails again the next time', async (t) => {
  const { directory, setUp } = checkout(t)
  const complaint = "src/one.ts(1,14): error TS2322: Type 'string' is not assignable to type 'number'."
  writeFileSync(
    join(directory, 'node_modules/typescript/bin/tsc'),
    `console.log(${JSON.stringify(complaint)}); process.exit(2)`,
  )
  for (let time = 0; time < 2; time += 1) {
    const { code, stderr } = await setUp(['--only=build'])
    t.equal(code, 1)
    t.match(stderr, complaint)
  }
})

void t.test('node_modules that differ from the lock file are installed with npm ci, quietly', async (t) => {
  const { directory, put, setUp } = checkout(t)
  put(
    'npm',
    '#!/bin/sh\necho "npm warn Unknown user config nodedir" >&2\necho "$@" > npm-arguments\ncp ' +
      'package-lock.json node_modules/.package-lock.json\n',
  )
  for (const stale of ['{}', JSON.stringify({ packages: { 'node_modules/left': { version: '0.9.0' } } }), undefined]) {
    const installed = join(directory, 'node_modules/.package-lock.json')
    if (stale === undefined) rmSync(installed)
    else writeFileSync(installed, stale)
    const { code, stderr } = await setUp(['--only=deps'])
    t.equal(code, 0)
    t.match(
      stderr,
      /^set-up: installing dependencies \(npm ci\) …\nset-up: installing dependencies \(npm ci\) … done in \d+ s\n$/,
    )
  }
  t.match(readFileSync(join(directory, 'npm-arguments'), 'utf8'), /^ci --include=dev /)
  t.equal((await setUp(['--only=deps'])).stderr, '')
})

void t.test(
  'node_modules of another platform are installed anew, but an optional package that is absent is no reason',
  async (t) => {
    const { directory, put, setUp } = checkout(t)
    put('npm', '#!/bin/sh\nexit 7\n')
    const optional = {
      ...LOCK.packages,
      'node_modules/elsewhere': { version: '1.0.0', optional: true, os: ['!linux', '!darwin'] },
    }
    writeFileSync(join(directory, 'package-lock.json'), JSON.stringify({ packages: optional }))
    t.equal((await setUp(['--only=deps'])).stderr, '')
    writeFileSync(join(directory, 'node_modules/.package-lock.json'), JSON.stringify({ packages: optional }))
    t.equal((await setUp(['--only=deps'])).code, 1)
  },
)

void t.test('a failure of npm is shown without its noise and without hosts; no network is one sentence', async (t) => {
  const { directory, put, setUp } = checkout(t)
  rmSync(join(directory, 'node_modules/.package-lock.json'))
  put(
    'npm',
    '#!/bin/sh\necho "npm warn noise" >&2\necho "npm error 404 Not Found - GET https://registry.example/left" >&2\nexit 1\n',
  )
  const failed = await setUp(['--only=deps'])
  t.equal(failed.code, 1)
  t.match(failed.stderr, 'npm error 404 Not Found - GET <registry>\n')
  t.notMatch(failed.stderr, /registry\.example|noise/)

  put('npm', '#!/bin/sh\necho "npm error getaddrinfo ENOTFOUND registry.example" >&2\nexit 1\n')
  const offline = await setUp(['--only=deps'])
  t.equal(offline.code, 1)
  t.match(offline.stderr, 'set-up: the npm registry cannot be reached, and the first set-up needs the network\n')
})

void t.test('without a Redis, apt and Homebrew there is one sentence which names the ways out', async (t) => {
  const { setUp } = checkout(t)
  const { code, stderr } = await setUp(['--only=redis'])
  t.equal(code, 1)
  t.equal(stderr.split('\n').length, 2)
  for (const way of ['install redis-server or valkey-server', 'install Homebrew', 'set REDIS_URL']) t.match(stderr, way)
  for (const given of [{ REDIS_URL: 'redis://127.0.0.1:1' }, { REDIS_URL_FILE: '/run/secrets/redis' }])
    t.strictSame(await setUp(['--only=redis'], given), { code: 0, stdout: '', stderr: '' })
})

void t.test(
  'a valkey-server on PATH or a redis-server in the cache is enough; a dangling link in the cache is not',
  async (t) => {
    const { cache, path, put, setUp } = checkout(t)
    put('valkey-server', RUNS)
    t.equal((await setUp(['--only=redis'])).stderr, '')
    mkdirSync(join(cache, 'bin'), { recursive: true })
    symlinkSync(join(path, 'valkey-server'), join(cache, 'bin/redis-server'))
    t.equal((await setUp(['--only=redis'])).stderr, '')
    rmSync(join(path, 'valkey-server'))
    t.equal((await setUp(['--only=redis'])).code, 1)
  },
)

void t.test('the pinned Claude is fetched into the cache when there is none, and only then', async (t) => {
  const { cache, directory, put, setUp } = checkout(t)
  const version =
    /CLAUDE_VERSION = '(.+)'/.exec(readFileSync(join(directory, 'src/setup/cache.mjs'), 'utf8'))?.[1] ?? ''
  put('npm', npmOfClaude('2.1.999'))
  t.strictSame(await setUp(['--only=claude'], { CC_EXECUTOR_CLAUDE_BIN: '/anywhere' }), {
    code: 0,
    stdout: '',
    stderr: '',
  })
  const { code, stderr } = await setUp(['--only=claude'])
  t.equal(code, 0, stderr)
  t.match(stderr, /^set-up: fetching the Claude CLI \S+ \(about 400 MB\) …\n/)
  t.equal(readlinkSync(join(cache, 'bin/claude')), `../packages/claude-${version}/claude`)
  t.strictSame(await setUp(['--only=claude']), { code: 0, stdout: '', stderr: '' })
})

void t.test(
  '--claude takes another version or the latest, which stays chosen until the pinned one is asked for',
  async (t) => {
    const { cache, directory, put, setUp } = checkout(t)
    const pinned =
      /CLAUDE_VERSION = '(.+)'/.exec(readFileSync(join(directory, 'src/setup/cache.mjs'), 'utf8'))?.[1] ?? ''
    put('npm', npmOfClaude('2.1.999'))
    const linked = () => /claude-(.+)\/claude/.exec(readlinkSync(join(cache, 'bin/claude')))?.[1]
    const latest = await setUp(['--only=claude', '--claude=latest'])
    t.equal(latest.code, 0, latest.stderr)
    t.match(
      latest.stderr,
      /fetching the Claude CLI 2\.1\.999 .* … done in \d+ s\nset-up: \S+claude-2\.1\.999\/claude is used from the next start on\.\n$/,
    )
    t.equal(linked(), '2.1.999')
    t.strictSame(await setUp(['--only=claude']), { code: 0, stdout: '', stderr: '' }, 'and npm is not asked again')
    t.equal(linked(), '2.1.999')

    put('npm', npmOfClaude('2.1.1000'))
    t.equal((await setUp(['--only=claude', '--claude=latest'])).code, 0)
    t.equal(linked(), '2.1.1000', 'asked for, it is asked of npm each time')
    t.equal((await setUp(['--only=claude', '--claude=2.1.250'])).code, 0)
    t.equal(linked(), '2.1.250')
    t.equal(
      (await setUp(['--only=claude'], { CC_EXECUTOR_CLAUDE_VERSION: '2.1.999' })).stderr,
      '',
      'the variable chooses too, and what was fetched is there',
    )
    t.equal(linked(), '2.1.999')
    t.equal((await setUp(['--only=claude'])).stderr, '')
    t.equal(linked(), '2.1.250', 'without it the choice counts')
    t.equal((await setUp(['--only=claude', `--claude=${pinned}`])).code, 0)
    t.equal((await setUp(['--only=claude'])).stderr, '')
    t.equal(linked(), pinned)

    put('claude', RUNS)
    t.match(
      (await setUp(['--only=claude', '--claude=2.1.250'])).stderr,
      /claude-2\.1\.250\/claude is there, but \S+\/claude comes before it: set CC_EXECUTOR_CLAUDE_BIN=/,
    )
    t.strictSame(
      await setUp(['--only=claude'], { CC_EXECUTOR_CLAUDE_VERSION: '2.1.999' }),
      { code: 0, stdout: '', stderr: '' },
      'one on PATH is used',
    )
  },
)

void t.test('a version of Claude that is none, too old or not to be had is refused', async (t) => {
  const { cache, put, setUp } = checkout(t)
  put('npm', '#!/bin/sh\necho "npm error 404 Not Found" >&2\nexit 1\n')
  t.match(await setUp(['--only=claude', '--claude=newest']), {
    code: 1,
    stderr: /"newest" is not a version of the Claude CLI: write latest, or a number such as 2\./,
  })
  t.match(await setUp(['--only=claude', '--claude=2.1.100']), {
    code: 1,
    stderr: /2\.1\.100 is older than 2\.1\.197, the oldest that is supported/,
  })
  t.match(await setUp(['--only=claude'], { CC_EXECUTOR_CLAUDE_VERSION: '1.0' }), {
    code: 1,
    stderr: /"1\.0" is not a version/,
  })
  t.match(await setUp(['--only=claude', '--claude=2.1.998']), {
    code: 1,
    stderr: /could not be fetched: npm install failed:\nnpm error 404/,
  })
  t.match(await setUp(['--only=claude', '--claude=latest']), {
    code: 1,
    stderr: /could not be fetched: npm view failed/,
  })
  t.notOk(existsSync(join(cache, 'packages/claude.chosen')), 'what failed is not chosen')
})

void t.test(
  'a Claude that cannot be fetched is a warning with its remedy, and an end only with --require-claude',
  async (t) => {
    const { cache, put, setUp } = checkout(t)
    put('npm', '#!/bin/sh\necho "npm error ENOTFOUND" >&2\nexit 1\n')
    const warned = await setUp(['--only=claude'])
    t.equal(warned.code, 0)
    t.match(warned.stderr, /warning: the Claude CLI could not be fetched .*CLAUDE_NOT_FOUND.*CC_EXECUTOR_CLAUDE_BIN/)
    t.equal((await setUp(['--only=claude', '--require-claude'])).code, 1)
    t.notOk(existsSync(join(cache, 'bin/claude')))
    t.notOk(existsSync(join(cache, 'packages/claude.lock')), 'the lock is released after a failure too')
  },
)

void t.test('a lock whose owner is dead is taken over', async (t) => {
  const { directory, run, setUp } = checkout(t)
  const { stdout } = await run(process.execPath, ['-p', '`${process.pid} ${os.hostname()}`'])
  mkdirSync(join(directory, '.cache'))
  writeFileSync(join(directory, '.cache/build.lock'), stdout.trim())
  const { code, stderr } = await setUp(['--only=build'])
  t.equal(code, 0, stderr)
  t.notMatch(stderr, 'waiting')
  t.notOk(existsSync(join(directory, '.cache/build.lock')))
})

void t.test('an unknown step or argument is refused with the usage', async (t) => {
  const { setUp } = checkout(t)
  t.match(await setUp(['--only=everything']), { code: 1, stderr: /unknown step "everything"; usage: / })
  t.match(await setUp(['--fast']), { code: 1, stderr: /unknown argument --fast; usage: / })
})

void t.test(
  'the cache is where the environment says, and in the checkout when there is no home to write to',
  async (t) => {
    // Plain JavaScript without declarations: its JSDoc says the same.
    const cache: { cacheDirectory: (env: Record<string, string>) => string } = await import(
      pathToFileURL(join(ROOT, 'src/setup/cache.mjs')).href
    )
    const home = t.testdir()
    t.equal(cache.cacheDirectory({ HOME: home }), join(home, '.cache/cc-executor'))
    t.equal(cache.cacheDirectory({ HOME: home, XDG_CACHE_HOME: '/xdg' }), '/xdg/cc-executor')
    t.equal(cache.cacheDirectory({ HOME: home, XDG_CACHE_HOME: '/xdg', CC_EXECUTOR_CACHE_DIR: '/own' }), '/own')
    t.equal(cache.cacheDirectory({}), join(ROOT, '.cache'))
    t.equal(cache.cacheDirectory({ HOME: '/nonexistent' }), join(ROOT, '.cache'))
  },
)

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
    t.match(whole, { code: 0, last: '9 passed, 0 failed, 1 skipped' }, whole.stdout)
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
    t.match(await checks(), { code: 1, last: '9 passed, 1 failed', stdout: /coverage below its threshold/ })
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
      last: '9 passed, 1 failed',
      stdout: /^ok test\/a\.test\.ts .*\n[^]*test\/deep\/b\.test\.ts did not come to its end/m,
    })

    put(
      'tap',
      `${ended('test/a', 'test/deep/b')}; ` +
        'echo "# Subtest: dist/test/a.test.js"; echo "    1..0 # no tests found"; echo "not ok 1 - ' +
        `dist/test/a.test.js"; echo "Error: no such module" >&2; ${totals('total: 1, fail: 1')}; exit 1`,
    )
    t.match(await checks(), {
      code: 1,
      last: '5 passed, 1 failed',
      stdout: /not ok: test\/a\.test\.ts[^]*what the tests said on standard error:\nError: no such module/,
    })

    put('tap', `${ended('test/a', 'test/deep/b')}; echo "ok 1 - a"; echo "cannot go on" >&2; exit 3`)
    put('oxlint', 'echo "a.ts: no"; exit 1')
    t.match(await checks(), { code: 1, last: '5 passed, 2 failed', stdout: /a\.ts: no\nnot ok lint[^]*cannot go on/ })
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
