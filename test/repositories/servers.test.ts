// Repositories behind servers, and the operator's credentials, which a run must not see anywhere.
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { openTestService } from '../support/service.js'
import { hasGitProgram, openDaemon, openHttpServer } from './git-servers.js'
import { commands, git, makeRepository } from './scene.js'

const isAll = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined
const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-servers-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const base = await makeRepository(at('work'), { 'a.txt': 'one\n' })
await git(folder, 'clone', '-q', '--bare', at('work'), at('served/shop.git'))

const CANARY = ['canary', Buffer.from(String(process.pid)).toString('hex'), 'QkX7tWz9'].join('-')
const file = at('git-credentials')
const http = await openHttpServer(t, at('served'), { user: 'operator', password: () => CANARY })
const writeCredentials = (password: string): Promise<void> =>
  writeFile(file, `# the operator's\n${http.url.replace('//', `//operator:${password}@`)}\n`, { mode: 0o600 })
await writeCredentials(CANARY)
const daemon = isAll && (await hasGitProgram('daemon')) ? await openDaemon(t, at('served')) : undefined

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_REPOSITORIES: [`${http.url}/*`, ...(daemon === undefined ? [] : [`${daemon}/*`])].join(','),
    CC_EXECUTOR_GIT_CREDENTIALS_FILE: file,
    CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS: 'true',
    CC_EXECUTOR_PERMISSION_MODE: 'bypassPermissions',
  },
})
const run = async (prompt: string, repository: object): Promise<Execution> =>
  service.finished((await service.submit({ prompt, repository })).id)

void t.test('by http with the operator’s credentials, which nothing of the run contains', async (t) => {
  const url = `${http.url}/shop`
  const look = [
    'env; git config -l; cat .git/config',
    'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"',
    `cat ${file}`,
    'grep -rsl "canary-" "$HOME" "$TMPDIR" . /tmp /run /etc',
    'echo two >> a.txt',
  ].join('; ')
  const execution = await run(commands(look), { url, branch: 'by/http', push: 'always' })
  t.match(
    execution.outcome?.repository,
    { baseCommit: base, commits: 1, pushed: true },
    JSON.stringify(execution.outcome),
  )
  t.equal(await git(at('served/shop.git'), 'rev-parse', 'by/http'), execution.outcome?.repository?.headCommit)
  t.ok(http.seen.some(({ path, isAllowed }) => path.includes('git-receive-pack') && isAllowed))
  const of = (suffix: string, accept = '*/*') =>
    service.call('GET', `/executions/${execution.id}${suffix}`, { headers: { accept } })
  const events = (await of('/events', 'application/x-ndjson')).text
  t.match(events, 'GIT_', 'the look around was taken')
  for (const [what, text] of [
    ['events', events],
    ['execution', JSON.stringify(execution)],
    ['patch', (await of('/patch')).text],
    ['receipt', (await of('/receipt', 'application/json')).text],
  ] as const) {
    t.notMatch(text, CANARY, what)
    // What is masked was there to be seen.
    t.notMatch(text, '[masked]', what)
  }
})

void t.test('what the server refuses is told, and the operator’s file stays as it is', async (t) => {
  await writeCredentials('wrong-password-1')
  const before = await readFile(file, 'utf8')
  const refused = await run('x', { url: `${http.url}/shop` })
  t.match(refused, { status: 'failed', outcome: { code: 'REPOSITORY_ERROR', message: /Authentication failed/ } })
  t.notMatch(JSON.stringify(refused), 'wrong-password-1')
  t.equal(await readFile(file, 'utf8'), before)
  await writeFile(file, before, { mode: 0o600 })
  await rm(file)
  await writeFile(file, before, { mode: 0o644 })
  const open = await run('x', { url: `${http.url}/shop` })
  t.match(open.outcome, { code: 'REPOSITORY_ERROR', message: /chmod it to 0600/ })
})

void t.test('by git daemon', { skip: daemon === undefined && 'only in npm run test:all' }, async (t) => {
  const { outcome } = await run(commands('echo three >> a.txt'), {
    url: `${daemon}/shop.git`,
    ref: 'main',
    branch: 'by/daemon',
    push: 'verified',
  })
  t.match(outcome?.repository, { baseCommit: base, commits: 1, pushed: true }, JSON.stringify(outcome))
  t.equal(await git(at('served/shop.git'), 'rev-parse', 'by/daemon'), outcome?.repository?.headCommit)
})
