// How git is started for checkouts and for worktrees: with the same settings and nothing of anybody's environment,
// bounded, and ended with its caller. git itself is a program here that writes down how it was called.
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { GitError } from '../../src/git/git-error.js'
import { runGit, type GitStart } from '../../src/git/run-git.js'
import { startPlain } from '../../src/git/start-plain.js'
import { splitPath } from '../../src/platform/redis-server.js'
import { runGit as runSupervised } from '../../src/repositories/run-git.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { makeLens, runGit as runOnLens } from '../../src/worktrees/lens.js'
import { openRoom } from '../repositories/room.js'
import { until } from '../support/deadlines.js'
import { testEnvironment } from '../support/environment.js'
import { ROOT } from '../support/paths.js'
import { listMentioning } from '../support/processes.js'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-git-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
await mkdir(at('bin'))
await mkdir(at('home'))

/** What it finds in its environment and arguments, each on a line of its own. */
const TELLING = '#!/bin/sh\nfor each in "$@"; do printf "argument %s\\n" "$each"; done\nenv\n'
const setGit = (script: string): Promise<void> => writeFile(at('bin/git'), script, { mode: 0o755 })
await setGit(TELLING)

/** Each of them has git start something, read something, or go somewhere. */
const OTHERS = {
  GIT_DIR: at('evil'),
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'core.fsmonitor',
  GIT_CONFIG_VALUE_0: 'evil',
  GIT_CONFIG_PARAMETERS: "'core.fsmonitor=evil'",
  GIT_SSH_COMMAND: 'evil',
  GIT_SSH: 'evil',
  GIT_PROXY_COMMAND: 'evil',
  GIT_EXTERNAL_DIFF: 'evil',
  GIT_EXEC_PATH: at('evil'),
  GIT_TEMPLATE_DIR: at('evil'),
  GIT_TRACE: at('evil'),
  GIT_OBJECT_DIRECTORY: at('evil'),
  LD_PRELOAD: at('evil'),
  BASH_ENV: at('evil'),
  CC_EXECUTOR_TOKEN: 'evil',
  ANTHROPIC_API_KEY: 'evil',
}
const environment = { ...OTHERS, PATH: `.:bin:${at('bin')}:/usr/bin:/bin`, HTTPS_PROXY: 'http://proxy.invalid:1' }
const plain: GitStart = {
  start: startPlain,
  environment,
  home: at('home'),
  ownFolders: [folder],
  timeoutMs: 60_000,
  signal: new AbortController().signal,
}

/** By hand, and not from the table that is tested: what git must be told on every call. */
const SETTINGS = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.attributesFile=/dev/null',
  'core.excludesFile=/dev/null',
  'core.editor=false',
  'core.askPass=',
  'core.untrackedCache=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'core.autocrlf=false',
  'credential.helper=',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'push.recurseSubmodules=no',
  'commit.gpgSign=false',
  'tag.gpgSign=false',
  'push.gpgSign=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'http.followRedirects=initial',
]
const VARIABLES = [
  'GIT_CONFIG_NOSYSTEM=1',
  'GIT_ATTR_NOSYSTEM=1',
  'GIT_PROTOCOL_FROM_USER=0',
  'GIT_TERMINAL_PROMPT=0',
  'GIT_ASKPASS=',
  'SSH_ASKPASS=',
  'GIT_EDITOR=false',
  'GIT_NO_REPLACE_OBJECTS=1',
  'GIT_NO_LAZY_FETCH=1',
  'LC_ALL=C.UTF-8',
  `PATH=${at('bin')}:/usr/bin:/bin`,
]

void t.test('checkouts and worktrees start git with the same settings and an environment of its own', async (t) => {
  const contained = await chooseContainment({ policy: 'auto', extraPath: splitPath(testEnvironment(folder)['PATH']) })
  const room = await openRoom(at('room'), { ...contained, sandbox: undefined }, { environment })
  const lens = { folder: at('lens') }
  await mkdir(at('common/objects'), { recursive: true })
  const common = { address: at('common'), path: at('common'), close: () => undefined }
  await makeLens(lens, common, 'a'.repeat(40))
  const said = {
    checkout: (await runSupervised(room.means, { args: ['any'], cwd: folder })).stdout.toString(),
    worktree: await runOnLens(lens, ['any'], { git: { environment, timeoutMs: 60_000 } }),
  }
  for (const [name, text] of Object.entries(said)) {
    const lines = text.split('\n')
    const given = lines.filter((line) => line.startsWith('argument ')).map((line) => line.slice('argument '.length))
    const settings = given.filter((_one, index) => given[index - 1] === '-c')
    t.same(
      SETTINGS.filter((one) => !settings.includes(one)),
      [],
      `${name}: settings that are not told`,
    )
    t.equal(given.at(-1), 'any', `${name}: after all of them`)
    t.same(
      VARIABLES.filter((one) => !lines.includes(one)),
      [],
      `${name}: variables that are not set`,
    )
    t.notMatch(text, 'evil', `${name}: nothing of the worker’s environment`)
    t.match(text, 'HTTPS_PROXY=http://proxy.invalid:1', `${name}: but the way out`)
  }
  const allowed = (text: string): string | undefined => /^GIT_ALLOW_PROTOCOL=(.*)$/m.exec(text)?.[1]
  t.equal(allowed(said.checkout), 'file:git:http:https:ssh')
  t.equal(allowed(said.worktree), '', 'what only looks at objects goes nowhere')
})

void t.test('nothing else in the sources starts git', async (t) => {
  const found: string[] = []
  for (const name of await readdir(join(ROOT, 'src'), { recursive: true })) {
    if (!/\.(?:ts|tsx|mjs)$/.test(name)) continue
    const text = await readFile(join(ROOT, 'src', name), 'utf8')
    if (/(?:\w\(\s*|file: )'git'/.test(text)) found.push(name)
  }
  // The identity is asked for where there is no repository.
  t.same(found.sort(), ['git/run-git.ts', 'platform/git-identity.ts'])
})

const failure = async (means: Partial<GitStart>, more: object = {}): Promise<GitError> =>
  runGit({ ...plain, ...means }, { args: ['fetch', 'x'], cwd: folder, ...more }).then(
    () => t.fail('it succeeded') as never,
    (error: unknown) => {
      t.type(error, GitError)
      // Safe: it was looked at.
      return error as GitError
    },
  )

void t.test('a call ends in time, with its caller, and within its bounds', async (t) => {
  await setGit(`#!/bin/sh\necho begun >&2\ntouch ${at('begun')}\nsleep 1000 & exec sleep 1000\n`)
  t.match(await failure({ timeoutMs: 200 }), { kind: 'timed_out', message: /^git fetch took longer than 0 seconds/ })
  await rm(at('begun'))
  const cancel = new AbortController()
  const stopped = failure({ signal: cancel.signal })
  await until(async () => (await readdir(folder)).includes('begun'), 'git has begun')
  cancel.abort()
  t.match(await stopped, { kind: 'stopped' })
  t.match(await failure({ signal: cancel.signal }), { kind: 'stopped' })
  const watch = (): Promise<void> => Promise.reject(new GitError('too_large', 'It grows.'))
  t.match(await failure({}, { watch }), { kind: 'too_large', message: 'It grows.' })
  await setGit('#!/bin/sh\nexec yes\n')
  const onOutput = (): never => {
    throw new GitError('too_large', 'It is enough.')
  }
  t.match(await failure({}, { onOutput }), { kind: 'too_large', message: 'It is enough.' })
  t.match(await failure({}), { kind: 'too_large', message: /^git fetch says more than \d+ bytes/ })
  await until(() => listMentioning(at('bin/git')).length === 0, 'nothing of it runs')
})

void t.test('what git says is told in a line, without the folders of the service', async (t) => {
  await setGit(`#!/bin/sh\nprintf 'hint: no\\nfatal: \\033[31mcannot read ${at('x')}\\033[m\\r\\n' >&2\nexit 128\n`)
  t.equal((await failure({})).message, 'fatal: cannot read …/x')
  t.equal((await runGit(plain, { args: ['x'], cwd: folder, accepts: [128] })).exitCode, 128)
  await setGit('#!/bin/sh\necho @@@@@@ >&2\nprintf "first\\n%0900d\\nfatal: the reason\\n" 0 >&2\nexit 128\n')
  t.match((await failure({})).message, /^first 0+ … 0+ fatal: the reason$/, 'why it ends is not cut off')
  await setGit('#!/bin/sh\nkill -9 $$\n')
  t.equal((await failure({})).message, 'git fetch failed (signal SIGKILL).')
  t.match(await failure({ environment: { PATH: at('home') } }), { message: 'The worker has no git; install it there.' })
  await t.rejects(runGit(plain, { args: ['x'], cwd: at('gone') }), { code: 'ENOENT', syscall: 'access' })
})
