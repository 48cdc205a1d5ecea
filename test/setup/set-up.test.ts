import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import t from 'tap'
import { ROOT } from '../support/paths.js'
import { checkout, LOCK } from './checkout.js'

t.jobs = 4

const FOUND_ON_PATH = ['redis-server', 'claude', 'bwrap', 'tini']
const RUNS = '#!/bin/sh\nexit 0\n'

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
