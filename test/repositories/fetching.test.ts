// A fetch that does not go well: what passes is tried again, what stalls ends in time or with its run, and nothing half
// done is left to the next one.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openFolder } from '../../src/platform/open-folder.js'
import { splitPath } from '../../src/platform/redis-server.js'
import { parseRepositoryUrl } from '../../src/platform/repository-url.js'
import { provideCheckout } from '../../src/repositories/checkout.js'
import { placeOfMirror } from '../../src/repositories/mirror.js'
import type { GitMeans } from '../../src/repositories/run-git.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { until } from '../support/deadlines.js'
import { testEnvironment } from '../support/environment.js'
import { listMentioning } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { openHttpServer } from './git-servers.js'
import { openRoom } from './room.js'
import { commitFiles, git, makeRepository } from './scene.js'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-fetching-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
await makeRepository(at('work'), { 'a.txt': 'one\n' })
await git(folder, 'clone', '-q', '--bare', at('work'), at('served/shop.git'))
const containment = await chooseContainment({
  policy: 'auto',
  extraPath: splitPath(testEnvironment(folder)['PATH']),
})

/** What stands in the way of requests now. */
let obstacle: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
const http = await openHttpServer(t, at('served'), {
  user: 'operator',
  password: () => 'a-password-1',
  obstacle: (request, response) => obstacle?.(request, response) ?? false,
})
const url = `${http.url}/shop.git`
await writeFile(at('credentials'), `${http.url.replace('//', '//operator:a-password-1@')}\n`, { mode: 0o600 })
const mirrorsFolder = at('mirrors')
const mirror = join(placeOfMirror(mirrorsFolder, parseRepositoryUrl(url)), 'mirror.git')

async function checkOut(name: string, means: Partial<GitMeans> = {}): Promise<string[]> {
  const opened = await openRoom(at(name), containment, { mirrors: mirrorsFolder, ...means })
  const room = { ...opened, settings: { ...opened.settings, credentialsFile: at('credentials') } }
  const workspace = await openFolder(at(name, 'workspace'))
  try {
    await provideCheckout(room, name, { url }, { folder: at(name, 'repository'), workspace }, () => true)
    return await readdir(workspace.path)
  } finally {
    await workspace.close()
  }
}
const asked = (): number => http.seen.filter(({ path }) => path.includes('info/refs')).length

/** Answers nothing to whoever has proved himself, once the objects are asked for. */
function stall(): Promise<void> {
  return new Promise((resolve) => {
    obstacle = ({ url: path, headers }, response) => {
      if (path?.endsWith('/git-upload-pack') !== true || headers.authorization === undefined) return false
      // A beginning, so that git waits for the rest.
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' }).flushHeaders()
      resolve()
      return true
    }
  })
}

void t.test('a fetch that takes too long ends in its time, which the reason names', async (t) => {
  const stalled = stall()
  const failing = t.rejects(checkOut('slow', { timeoutMs: 2_000 }), {
    kind: 'timed_out',
    message: /^git fetch took longer than 2 seconds \(CC_EXECUTOR_GIT_TIMEOUT_SECONDS\)\.$/,
  })
  await stalled
  await failing
  t.same(await readdir(at('slow/workspace')), [])
  await t.rejects(readdir(mirror), { code: 'ENOENT' }, 'no half mirror')
})

void t.test('what passes is tried again, what stays is told at once', async (t) => {
  let refused = 0
  obstacle = ({ headers }, response) => {
    if (headers.authorization === undefined || refused === 1) return false
    refused += 1
    response.writeHead(503).end('not now\n')
    return true
  }
  t.same((await checkOut('again')).sort(), ['.git', 'a.txt'])
  t.equal(refused, 1)
  for (const [status, pattern] of [
    [404, /not found/],
    [403, /403/],
  ] as const) {
    obstacle = (_request, response) => {
      response.writeHead(status).end()
      return true
    }
    const before = asked()
    await t.rejects(checkOut(`refused-${status}`), { kind: 'failed', message: pattern })
    t.equal(asked() - before, 1, `${status} is asked once`)
  }
})

void t.test('a cancel in the middle of a fetch ends git, and leaves the mirror to the next one', async (t) => {
  obstacle = undefined
  await checkOut('warm')
  await commitFiles(at('work'), { 'b.txt': 'two\n' }, 'second')
  await git(at('work'), 'push', '-q', at('served/shop.git'), 'main')
  const cancel = new AbortController()
  const stalled = stall()
  const failing = t.rejects(checkOut('cancelled', { signal: cancel.signal }), { message: 'It was stopped.' })
  await stalled
  // As a git that is killed leaves them.
  for (const name of ['packed-refs.lock', 'shallow.lock', 'objects/pack/tmp_pack_x'])
    await writeFile(join(mirror, name), '')
  cancel.abort()
  await failing
  await until(() => listMentioning(url).length === 0, 'git has ended')
  const left = (await readdir(mirror, { recursive: true })).filter((name) => /\.lock$|tmp_/.test(name))
  t.same(left, [])
  t.same(await readdir(at('cancelled/workspace')), [])
  obstacle = undefined
  t.same((await checkOut('after')).sort(), ['.git', 'a.txt', 'b.txt'])
})

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined && 'only in npm run test:all'
void t.test('an execution ends with the reason', { skip }, async (t) => {
  const service = await openTestService(t, {
    env: {
      CC_EXECUTOR_REPOSITORIES: `${http.url}/*`,
      CC_EXECUTOR_GIT_CREDENTIALS_FILE: at('credentials'),
      CC_EXECUTOR_GIT_TIMEOUT_SECONDS: '2',
    },
  })
  void stall()
  const late = await service.finished((await service.submit({ prompt: 'x', repository: { url } })).id)
  t.match(late.outcome, {
    code: 'REPOSITORY_ERROR',
    message: /git fetch took longer than 2 seconds \(CC_EXECUTOR_GIT_TIMEOUT_SECONDS\)/,
  })
})
