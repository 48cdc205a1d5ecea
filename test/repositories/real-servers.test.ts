// Repositories behind the servers that people have: ssh, and nginx before git http-backend.
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { openTestService } from '../support/service.js'
import { findPrograms, openNginx, openSshServer } from './debian-servers.js'
import { commands, git, makeRepository } from './scene.js'

const isAll = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined
const ssh = await findPrograms('sshd', 'ssh', 'ssh-keygen')
const web = await findPrograms('nginx', 'fcgiwrap')
const skipWhere = (missing: readonly string[]): string | false =>
  isAll ? missing.length > 0 && `not installed here: ${missing.join(', ')}` : 'only in npm run test:all'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-real-servers-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const base = await makeRepository(at('work'), { 'a.txt': 'one\n' })
await git(folder, 'clone', '-q', '--bare', at('work'), at('served/shop.git'))
const served = at('served/shop.git')
const credentials = at('git-credentials')
const writeCredentials = (line: string): Promise<void> => writeFile(credentials, `${line}\n`, { mode: 0o600 })

/** What a run finds of others where it can look. */
const LOOK = [
  'env; git config -l; cat .git/config',
  'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"',
  `cat ${credentials} ${at('ssh')}/user`,
  'grep -rsl "OPENSSH PRIVATE" "$HOME" "$TMPDIR" . /tmp /run',
  'echo two >> a.txt',
].join('; ')

async function openService(t: Parameters<typeof openTestService>[0], pattern: string) {
  const service = await openTestService(t, {
    env: {
      CC_EXECUTOR_REPOSITORIES: pattern,
      CC_EXECUTOR_GIT_CREDENTIALS_FILE: credentials,
      CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS: 'true',
      CC_EXECUTOR_PERMISSION_MODE: 'bypassPermissions',
    },
  })
  const run = async (prompt: string, repository: object): Promise<Execution> =>
    service.finished((await service.submit({ prompt, repository })).id)
  const eventsOf = async ({ id }: Execution): Promise<string> =>
    (await service.call('GET', `/executions/${id}/events`, { headers: { accept: 'application/x-ndjson' } })).text
  return { run, eventsOf }
}

void t.test('by ssh, with the operator’s key and a host that is known', { skip: skipWhere(ssh.missing) }, async (t) => {
  const server = await openSshServer(t, ssh.paths.sshd, ssh.paths['ssh-keygen'], at('ssh'))
  const { run, eventsOf } = await openService(t, `${server.url}/*`)
  const url = `${server.url}${served}`
  await writeCredentials(`${server.url} ${server.keyFile} ${server.knownHosts}`)
  const execution = await run(commands(LOOK), { url, ref: 'main', branch: 'by/ssh', push: 'always' })
  t.match(
    execution.outcome?.repository,
    { baseCommit: base, commits: 1, pushed: true },
    JSON.stringify(execution.outcome),
  )
  t.equal(await git(served, 'rev-parse', 'by/ssh'), execution.outcome?.repository?.headCommit)
  const key = (await readFile(server.keyFile, 'utf8')).split('\n')[2] ?? 'none'
  const events = await eventsOf(execution)
  t.match(events, 'GIT_', 'the look around was taken')
  t.notMatch(events, key)

  await writeCredentials(`${server.url} ${server.keyFile} ${server.wrongHosts}`)
  const unknown = await run('x', { url })
  t.match(unknown.outcome, { code: 'REPOSITORY_ERROR', message: /Host key verification failed/ })
  await writeCredentials(`${server.url.replace('127.0.0.1', 'localhost')} ${server.keyFile} ${server.knownHosts}`)
  const stranger = await run('x', { url })
  t.match(stranger.outcome, { code: 'REPOSITORY_ERROR' }, 'a key is for its host')
})

void t.test('by nginx and git http-backend', { skip: skipWhere(web.missing) }, async (t) => {
  const password = ['canary', 'nginx', process.pid, 'Xk29'].join('-')
  const options = { folder: at('nginx'), root: at('served'), user: 'operator', password }
  const server = await openNginx(t, { programs: web.paths, ...options })
  const { run, eventsOf } = await openService(t, `${server.url}/*`)
  const url = `${server.url}/shop`
  await writeCredentials(server.url.replace('//', `//operator:${password}@`))
  const execution = await run(commands(LOOK), { url: `${url}.git`, branch: 'by/nginx', push: 'verified' })
  t.match(
    execution.outcome?.repository,
    { baseCommit: base, commits: 1, pushed: true },
    JSON.stringify(execution.outcome),
  )
  t.equal(await git(served, 'rev-parse', 'by/nginx'), execution.outcome?.repository?.headCommit)
  t.match(await server.accesses(), /operator .*"POST \/shop\.git\/git-receive-pack HTTP\/1\.1" 200/)
  const events = await eventsOf(execution)
  t.notMatch(events, password)
  t.notMatch(events, '[masked]')
  await writeCredentials(server.url.replace('//', '//operator:wrong-password-2@'))
  const refused = await run('x', { url })
  t.match(refused.outcome, { code: 'REPOSITORY_ERROR', message: /Authentication failed/ })
})
