// What the doctor finds about Claude: the CLI, its credentials and what contains it.
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { checkClaude } from '../../src/main/doctor/check-claude.js'
import { checkCredentials } from '../../src/main/doctor/check-credentials.js'
import { checkContainment, findContainmentRemedy } from '../../src/main/doctor/check-containment.js'
import { describeLimits } from '../../src/main/doctor/check-service.js'
import { inspectClaude } from '../../src/main/lifecycle/inspect-claude.js'
import { makeFolder } from '../support/processes.js'
import { configOf, makeProgram, run } from './doctor-scene.js'

void t.test('Claude: not there, no Claude, another version, one that does not start', async (t) => {
  const folder = await makeFolder(t)
  await mkdir(join(folder, 'data'))
  const check = (binary: string) => checkClaude(configOf(folder, { CC_EXECUTOR_CLAUDE_BIN: binary }))
  const version = 'if [ "$1" = --version ]; then echo "$V (Claude Code)"; exit; fi'
  t.match(await check(join(folder, 'nowhere')), [{ part: 'claude', status: 'failed', remedy: /npm run setup/ }])
  t.match(await check(await makeProgram(folder, 'other', 'echo 1.0')), [
    { status: 'failed', message: /cannot be used: it is not a Claude CLI: --version printed: 1\.0/ },
  ])
  t.match(await check(await makeProgram(folder, 'old', `V=1.0.3; ${version}; exit 1`)), [
    {
      part: 'claude',
      status: 'failed',
      message: /^CLAUDE_TOO_OLD: 1\.0\.3 .* is older than 2\.1\.197/,
      remedy: /--claude=latest/,
    },
  ])
  t.match(
    await check(await makeProgram(folder, 'broken', `V=2.1.250; ${version}; echo "error: unknown option" >&2; exit 1`)),
    [
      { part: 'claude', status: 'ok' },
      { part: 'claude start', status: 'failed', message: 'it does not start (exit code 1: error: unknown option)' },
    ],
  )
  t.match(await check(await makeProgram(folder, 'silent', `V=2.1.197; ${version}; exit 0`)), [
    { status: 'ok' },
    { part: 'claude start', status: 'failed', message: /exit code 0/ },
  ])
  const real = await checkClaude(configOf(folder))
  t.match(
    real.map(({ status }) => status),
    ['ok', 'ok', 'ok'],
    'the real one',
  )
  t.match(real[0]?.message, /^Claude CLI 2\.1\.\d+, default model claude-/)
  t.same((await run('ls', [join(folder, 'data')])).stdout, '', 'and leaves nothing')
})

void t.test('a Claude that is newer than the tests: well, tried out once, and nobody is told to go back', async (t) => {
  const folder = await makeFolder(t)
  await mkdir(join(folder, 'data'))
  const real = await inspectClaude(configOf(folder))
  if (real.kind !== 'usable') throw new Error(real.message)
  const { binary, behaviour } = real.claude
  const newer = await makeProgram(
    folder,
    'newer',
    `[ "$1" = --version ] && echo "2.1.9999 (Claude Code)" && exit; echo . >> ${folder}/starts; exec ${binary} "$@"`,
  )
  const starts = async (): Promise<number> => (await readFile(join(folder, 'starts'), 'utf8')).length
  const config = configOf(folder, { CC_EXECUTOR_CLAUDE_BIN: newer, ANTHROPIC_API_KEY: 'of-the-user' })
  const found = await checkClaude(config)
  t.match(
    found.map(({ part, status }) => `${part} ${status}`),
    ['claude ok', 'claude start ok', 'claude behaviour ok'],
  )
  t.match(
    found[0]?.message,
    `Claude CLI 2.1.9999 (newer than the tested 2.1.197 to 2.1.332, which is fine), default model ${behaviour.defaultModel}`,
  )
  t.match(
    found[2]?.message,
    `a resumed session reports the cost of ${behaviour.costAfterResume === 'own' ? 'the run' : 'the whole conversation'}`,
  )
  const before = await starts()
  t.same(await checkClaude(config), found)
  t.equal((await starts()) - before, 2, 'one start and no second self-check (each start writes two characters)')
  t.same(await readdir(join(folder, 'data')), ['claude-behaviour.json'])
  t.notMatch(await readFile(join(folder, 'data/claude-behaviour.json'), 'utf8'), 'of-the-user')
})

void t.test('credentials: none, one, several of which one counts and is billed', async (t) => {
  const folder = await makeFolder(t)
  const check = (env: NodeJS.ProcessEnv) => checkCredentials(configOf(folder, { HOME: folder, ...env }))
  t.match(check({}), [{ status: 'failed', remedy: /claude setup-token.*--simulate/ }])
  t.match(check({ CC_EXECUTOR_SIMULATOR_URL: 'http://127.0.0.1' }), [{ status: 'ok', message: /scripted model/ }])
  t.match(check({ ANTHROPIC_API_KEY: 'secret' }), [{ status: 'ok', message: 'ANTHROPIC_API_KEY, billed per use' }])
  t.match(check({ CLAUDE_CODE_OAUTH_TOKEN: 'secret' }), [
    { status: 'ok', message: 'CLAUDE_CODE_OAUTH_TOKEN, not billed per use' },
  ])
  await mkdir(join(folder, '.claude'))
  await writeFile(
    join(folder, '.claude/.credentials.json'),
    JSON.stringify({ claudeAiOauth: { accessToken: 'secret', refreshToken: 'secret' } }),
  )
  const all = check({ ANTHROPIC_API_KEY: 'secret', CLAUDE_CODE_OAUTH_TOKEN: 'secret' })
  t.match(all, [
    {
      status: 'warning',
      message: `ANTHROPIC_API_KEY is used and is billed per use; CLAUDE_CODE_OAUTH_TOKEN and ${folder}/.claude/.credentials.json do not`,
      remedy: /^unset ANTHROPIC_API_KEY/,
    },
  ])
  t.match(check({ ANTHROPIC_API_KEY: 'secret', ANTHROPIC_AUTH_TOKEN: 'secret' })[1], {
    status: 'warning',
    message: /the CLI sends both/,
  })
  t.match(check({ CLAUDE_CODE_USE_BEDROCK: '1', ANTHROPIC_API_KEY: 'secret' })[0], {
    status: 'warning',
    message: /^CLAUDE_CODE_USE_BEDROCK is used/,
  })
  t.notMatch(JSON.stringify([all, check({ CLAUDE_CODE_USE_BEDROCK: '1' })]), /secret/)
})

void t.test('several credentials: each of the file, a login that ends soon, and what the service knows', async (t) => {
  const folder = await makeFolder(t)
  const path = join(folder, 'credentials.json')
  const write = (...entries: unknown[]) => writeFile(path, JSON.stringify(entries), { mode: 0o600 })
  const check = (env: NodeJS.ProcessEnv = {}) =>
    checkCredentials(configOf(folder, { HOME: folder, CC_EXECUTOR_CREDENTIALS_FILE: path, ...env }), new Date(0))
  t.match(check(), [{ status: 'failed', message: /CC_EXECUTOR_CREDENTIALS_FILE: it cannot be read/ }])
  const day = 86_400_000
  const login = { accessToken: 'secret', refreshToken: 'secret', refreshTokenExpiresAt: 9 * day }
  await mkdir(join(folder, 'max'))
  await writeFile(join(folder, 'max/.credentials.json'), JSON.stringify({ claudeAiOauth: login }))
  await write(
    { name: 'key', kind: 'api_key', value: 'secret-of-the-key', weight: 3 },
    { name: 'max', kind: 'login', folder: join(folder, 'max') },
  )
  const findings = check({ ANTHROPIC_API_KEY: 'secret-of-the-user' })
  t.match(findings, [
    { status: 'ok', message: 'key (api_key, billed per use), weight 3' },
    { status: 'ok', message: /^max \(login, paid by its subscription\)/ },
    { status: 'warning', message: /the login in .*max expires on 1970-01-10/, remedy: /sign in again/ },
    { status: 'warning', message: /ANTHROPIC_API_KEY is set and not used/, remedy: 'unset ANTHROPIC_API_KEY' },
  ])
  t.notMatch(JSON.stringify(findings), /secret/)
  const limits = [{ name: 'five_hour', status: 'allowed', utilization: 0.934 }]
  const known = { name: 'max', method: 'login', billed: false, workers: 1, account: { limits } }
  t.same(describeLimits([known]), { status: 'ok', message: 'max: five_hour 93 %' })
  t.match(describeLimits([{ ...known, blockedUntil: '2026-11-30T18:00:00.000Z' }]), {
    status: 'warning',
    message: /max: its limit is reached until 2026-11-30T18:00/,
  })
  t.equal(describeLimits([{ ...known, account: undefined }]), undefined)
})

void t.test('containment: what stands in its way is named with its remedy', async (t) => {
  const folder = await makeFolder(t)
  const sysctls = (values: Record<string, Record<string, string>>): string => t.testdir(values)
  const config = configOf(folder)
  t.match(
    await findContainmentRemedy(config, sysctls({ kernel: { apparmor_restrict_unprivileged_userns: '1\n' } })),
    /AppArmor.*apparmor_restrict_unprivileged_userns=0/,
  )
  t.match(
    await findContainmentRemedy(config, sysctls({ kernel: { unprivileged_userns_clone: '0\n' } })),
    /unprivileged_userns_clone=1/,
  )
  t.match(
    await findContainmentRemedy(config, sysctls({ user: { max_user_namespaces: '0\n' } })),
    /max_user_namespaces=10000/,
  )
  t.match(await findContainmentRemedy(config, sysctls({})), /security_opt/)

  // A machine without bubblewrap and unshare; without tini as well the self-test's own escapee would outlive it.
  const path = join(folder, 'path')
  await mkdir(path)
  for (const name of ['tini', 'bash', 'env', 'sh', 'cat', 'sleep', 'setsid', 'mkfifo', 'rm', 'kill', 'nohup'])
    await run('bash', ['-c', `command -v ${name}`]).then(
      ({ stdout }) => (stdout.startsWith('/') ? symlink(stdout.trim(), join(path, name)) : undefined),
      () => undefined,
    )
  const { PATH } = process.env
  t.teardown(() => void (process.env['PATH'] = PATH))
  process.env['PATH'] = path
  const bare = { PATH: path, CC_EXECUTOR_CACHE_DIR: join(folder, 'cache') }
  t.match(await checkContainment(configOf(folder, bare)), {
    status: 'warning',
    message: /^weak: /,
    remedy: /apt-get install bubblewrap/,
  })
  t.match(await checkContainment(configOf(folder, { ...bare, CC_EXECUTOR_CONTAINMENT: 'required' })), {
    status: 'failed',
    remedy: /bubblewrap/,
  })
  process.env['PATH'] = PATH
})
