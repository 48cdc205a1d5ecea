// Git LFS: files of a repository that stand elsewhere. The worker fetches and brings them; a run sees the files alone.
import { createHash, randomBytes } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { openFolder } from '../../src/platform/open-folder.js'
import { splitPath } from '../../src/platform/redis-server.js'
import { parseRepositoryUrl } from '../../src/platform/repository-url.js'
import { provideCheckout, writeState, type Checkout } from '../../src/repositories/checkout.js'
import { commitChanges } from '../../src/repositories/commit-changes.js'
import { deliver } from '../../src/repositories/deliver.js'
import { someFileHolds } from '../../src/repositories/lfs-store.js'
import type { Mirrors } from '../../src/repositories/mirror.js'
import { pushBranch } from '../../src/repositories/push-branch.js'
import type { RepositoryRequest } from '../../src/protocol/repositories.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { testEnvironment } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { openHttpServer } from './git-servers.js'
import { openRoom } from './room.js'
import { commands, commitFiles, git, makeRepository } from './scene.js'

const isAll = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined
const hasLfs = (() => {
  try {
    return execFileSync('git-lfs', ['version'], { stdio: ['ignore', 'pipe', 'ignore'] }).length > 0
  } catch {
    return false
  }
})()
const skip = hasLfs ? false : 'git-lfs is not installed here'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-lfs-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const containment = await chooseContainment({
  policy: 'auto',
  extraPath: splitPath(testEnvironment(folder)['PATH']),
})

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const pointerOf = (bytes: Buffer, size = bytes.length): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(bytes)}\nsize ${size}\n`
const placeIn = (store: string, bytes: Buffer): string => {
  const oid = sha256(bytes)
  return join(store, 'lfs/objects', oid.slice(0, 2), oid.slice(2, 4), oid)
}
/** git of a person who has git-lfs. */
const withLfs = (cwd: string, ...args: string[]): Promise<string> =>
  git(
    cwd,
    ...['clean -- %f', 'smudge -- %f'].flatMap((way) => ['-c', `filter.lfs.${way.split(' ')[0]}=git-lfs ${way}`]),
    ...args,
  )

const ATTRIBUTES = '*.bin filter=lfs diff=lfs merge=lfs -text\n'
const one = randomBytes(300_000)
const two = Buffer.from(`two ${'x'.repeat(5_000)}\0`)
// By hand: the repository holds pointers, its store the files.
await makeRepository(at('work'), {
  '.gitattributes': ATTRIBUTES,
  '.lfsconfig': '[lfs]\n\turl = http://127.0.0.1:1/attacker\n\tfetchexclude = *\n',
  'a.txt': 'one\n',
  'one.bin': pointerOf(one),
  'in/same.bin': pointerOf(one),
  'two.bin': pointerOf(two),
})
const base = await git(at('work'), 'rev-parse', 'HEAD')
await git(folder, 'clone', '-q', '--bare', at('work'), at('served/shop.git'))
const origin = at('served/shop.git')
const store = async (repository: string, ...files: Buffer[]): Promise<void> => {
  for (const bytes of files) {
    await mkdir(dirname(placeIn(repository, bytes)), { recursive: true })
    await writeFile(placeIn(repository, bytes), bytes)
  }
}
await store(origin, one, two)

interface Scene {
  readonly mirrors: Mirrors
  readonly workspace: Awaited<ReturnType<typeof openFolder>>
  readonly checkout: Checkout
  readonly place: { readonly folder: string; readonly workspace: Scene['workspace'] }
}

async function open(
  name: string,
  request: RepositoryRequest,
  adjust: (mirrors: Mirrors) => Mirrors = (mirrors) => mirrors,
): Promise<Scene> {
  const mirrors = adjust(await openRoom(at(name), containment, { mirrors: at(`${name}-mirrors`) }))
  const workspace = await openFolder(at(name, 'workspace'))
  t.teardown(() => workspace.close())
  const place = { folder: at(name, 'repository'), workspace }
  const checkout = await provideCheckout(mirrors, name, request, place, () => true)
  if (!checkout) throw new Error('there is no checkout')
  return { mirrors, workspace, checkout, place }
}

const AUTHOR = 'A <a@localhost>'
const commit = ({ mirrors, checkout, workspace }: Scene) =>
  commitChanges(mirrors.means, { checkout, workspace, author: AUTHOR, message: 'm', limitBytes: 1024 ** 3 })

void t.test('a checkout has the files, a commit their pointers, and a push brings both', { skip }, async (t) => {
  const scene = await open('local', { url: origin, lfs: true, branch: 'by/lfs' })
  const { mirrors, workspace, checkout } = scene
  const read = (name: string): Promise<Buffer> => readFile(join(workspace.path, name))
  t.ok((await read('one.bin')).equals(one))
  t.ok((await read('in/same.bin')).equals(one))
  t.ok((await read('two.bin')).equals(two), 'whatever .lfsconfig leaves out')
  t.equal(await withLfs(workspace.path, 'status', '--porcelain'), '')

  const [three, four] = [randomBytes(70_000), randomBytes(90_000)]
  // The run commits one by its own git, which has been told of git-lfs, and leaves another one.
  await writeFile(join(workspace.path, 'one.bin'), three)
  await git(workspace.path, 'commit', '-q', '-a', '-m', 'own')
  t.equal(await git(workspace.path, 'show', 'HEAD:one.bin'), pointerOf(three).trimEnd())
  await git(workspace.path, 'checkout', '-q', 'HEAD~1', '--', 'one.bin')
  t.ok((await read('one.bin')).equals(one), 'what was checked out is there for the run’s git')
  await git(workspace.path, 'checkout', '-q', 'HEAD', '--', 'one.bin')
  await writeFile(join(workspace.path, 'new.bin'), four)
  await writeFile(join(workspace.path, 'a.txt'), 'two\n')

  const committed = await commit(scene)
  t.match(committed, { commits: 2, filesChanged: 3, notCommitted: [] })
  t.same(committed.files.map(({ oid }) => oid).sort(), [sha256(three), sha256(four)].sort())
  t.equal(await git(checkout.keeper, 'show', `${committed.head}:new.bin`), pointerOf(four).trimEnd())
  const { patch } = await deliver(mirrors.means, checkout.keeper, checkout.state.branch, committed, {
    message: 'm',
    author: AUTHOR,
    limitBytes: 1024 ** 2,
  })
  t.match(patch.toString(), `+oid sha256:${sha256(four)}`)
  await writeFile(at('x.patch'), patch)
  await git(folder, 'clone', '-q', at('work'), at('taker'))
  await git(at('taker'), 'am', '-q', at('x.patch'))
  t.equal(await git(at('taker'), 'rev-parse', 'HEAD^{tree}'), committed.tree)

  const { head, files } = committed
  const target = { keeper: checkout.keeper, head, branch: 'by/lfs', files }
  t.equal(await pushBranch(mirrors, parseRepositoryUrl(origin), target), undefined)
  t.equal(await git(origin, 'rev-parse', 'by/lfs'), head)
  for (const bytes of [three, four]) t.ok((await readFile(placeIn(origin, bytes))).equals(bytes))
  t.equal(await someFileHolds(checkout.keeper, files, (text) => text.includes('nothing like this')), false)
  t.equal(await someFileHolds(checkout.keeper, files, (text) => text.includes(three.toString().slice(50, 99))), true)

  // A further run of the session: the files as they were left, and nothing to commit.
  await writeState(scene.place.folder, { ...checkout.state, head })
  const next = await provideCheckout(mirrors, 'next', undefined, scene.place, () => true)
  const further = await commit({ ...scene, checkout: next! })
  t.equal(await git(checkout.keeper, 'diff', '--stat', head, further.head), '')
  t.match(further, { commits: 0, head })
})

void t.test('without it they stay pointers, and git-lfs is not needed', async (t) => {
  const { workspace } = await open('pointers', { url: origin })
  t.equal((await readFile(join(workspace.path, 'one.bin'))).toString(), pointerOf(one))
})

void t.test('a worker without git-lfs says so', async (t) => {
  await mkdir(at('bin'), { recursive: true })
  for (const name of ['git', 'sh'])
    await symlink(
      execFileSync('sh', ['-c', `command -v ${name}`])
        .toString()
        .trim(),
      at('bin', name),
    )
  const bare = (mirrors: Mirrors): Mirrors => ({
    ...mirrors,
    means: { ...mirrors.means, containment: { ...containment, sandbox: undefined }, environment: { PATH: at('bin') } },
  })
  await t.rejects(open('without', { url: origin, lfs: true }, bare), {
    kind: 'failed',
    message: 'repository.lfs: the worker has no git-lfs; install it there.',
  })
  t.same(await readdir(at('without/workspace')), [])
})

void t.test('what is too large, missing or wrong is refused by name', { skip }, async (t) => {
  const bomb = randomBytes(1_000)
  const commits = {
    large: await commitFiles(
      at('work'),
      { 'large.bin': pointerOf(bomb, 60_000_000), 'l2.bin': pointerOf(bomb, 9e6) },
      'l',
    ),
    absent: await commitFiles(
      at('work'),
      { 'large.bin': pointerOf(bomb), 'l2.bin': pointerOf(randomBytes(9)) },
      'absent',
    ),
  }
  await git(at('work'), 'push', '-q', origin, 'HEAD:refs/heads/odd')
  await t.rejects(open('large', { url: origin, ref: commits.large, lfs: true }), {
    kind: 'too_large',
    message: /larger than 67108864 bytes/,
  })
  await t.rejects(open('absent', { url: origin, ref: commits.absent, lfs: true }), {
    kind: 'failed',
    message: /missing/,
  })
  for (const name of ['large', 'absent']) t.same(await readdir(at(name, 'workspace')), [])

  const scene = await open('links', { url: origin, ref: base, lfs: true })
  const { path } = scene.workspace
  // Commits that name files which the run does not have, or has as a link to somebody else's.
  const [mine, others] = [randomBytes(50), Buffer.from('a secret of the worker')]
  await writeFile(at('secret'), others)
  await writeFile(join(path, 'x.bin'), pointerOf(others))
  await writeFile(join(path, 'y.bin'), pointerOf(mine))
  await git(
    path,
    '-c',
    'filter.lfs.process=',
    '-c',
    'filter.lfs.clean=',
    '-c',
    'filter.lfs.required=false',
    'add',
    '-A',
  )
  const unfiltered = ['process=', 'clean=', 'required=false'].flatMap((each) => ['-c', `filter.lfs.${each}`])
  await git(path, ...unfiltered, 'add', '-A')
  await git(path, ...unfiltered, 'commit', '-q', '-m', 'odd')
  await mkdir(dirname(placeIn(join(path, '.git'), others)), { recursive: true })
  await symlink(at('secret'), placeIn(join(path, '.git'), others))
  await store(join(path, '.git'), mine)
  await writeFile(placeIn(join(path, '.git'), mine), 'z'.repeat(50))
  const { head, files } = await commit(scene)
  const target = { keeper: scene.checkout.keeper, head, branch: 'odd/files', files }
  t.match(await pushBranch(scene.mirrors, parseRepositoryUrl(origin), target), {
    code: 'PUSH_FAILED',
    message: /^2 files of Git LFS that the commits name are not there/,
  })
  await t.rejects(git(origin, 'rev-parse', '--verify', '-q', 'odd/files'))
})

void t.test('by http, with the operator’s credentials', { skip }, async (t) => {
  const files = new Map([one, two].map((bytes) => [sha256(bytes), bytes]))
  const server = await openHttpServer(t, at('served'), { user: 'operator', password: () => 'lfs-password-1', files })
  await writeFile(at('credentials'), `${server.url.replace('//', '//operator:lfs-password-1@')}\n`, { mode: 0o600 })
  const adjust = (mirrors: Mirrors): Mirrors => ({
    ...mirrors,
    settings: { ...mirrors.settings, credentialsFile: at('credentials') },
  })
  const url = `${server.url}/shop.git`
  const scene = await open('http', { url, ref: base, lfs: true }, adjust)
  t.ok((await readFile(join(scene.workspace.path, 'one.bin'))).equals(one))
  const asked = server.seen.length
  await provideCheckout(
    scene.mirrors,
    'again',
    { url, ref: base, lfs: true },
    { folder: at('http/again'), workspace: scene.workspace },
    () => true,
  )
  t.equal(server.seen.length, asked, 'what is there is not asked for again')
  const five = randomBytes(10_000)
  await writeFile(join(scene.workspace.path, 'five.bin'), five)
  const again = {
    ...scene,
    checkout: (await provideCheckout(scene.mirrors, 'http', undefined, scene.place, () => true))!,
  }
  const { head, files: brought } = await commit(again)
  const target = { keeper: scene.checkout.keeper, head, branch: 'by/http-lfs', files: brought }
  t.equal(await pushBranch(scene.mirrors, parseRepositoryUrl(url), target), undefined)
  t.ok(files.get(sha256(five))?.equals(five))
  t.notMatch(await readFile(join(scene.workspace.path, '.git/config'), 'utf8'), 'lfs-password-1')
})

void t.test(
  'a run works with the files, in its sandbox',
  { skip: skip || (!isAll && 'only in npm run test:all') },
  async (t) => {
    const service = await openTestService(t, {
      env: {
        CC_EXECUTOR_ALLOWED_ROOTS: folder,
        CC_EXECUTOR_REPOSITORIES: `${folder}/*`,
        CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS: 'true',
        CC_EXECUTOR_PERMISSION_MODE: 'bypassPermissions',
      },
    })
    const prompt = commands('sha256sum one.bin; git status --short; head -c 2000 one.bin > six.bin')
    const repository = { url: origin, ref: base, lfs: true, branch: 'by/run', push: 'verified' }
    const execution = await service.finished((await service.submit({ prompt, repository })).id)
    t.match(
      execution.outcome?.repository,
      { commits: 1, filesChanged: 1, pushed: true },
      JSON.stringify(execution.outcome),
    )
    t.equal(await git(origin, 'show', 'by/run:six.bin'), pointerOf(one.subarray(0, 2_000)).trimEnd())
    t.ok((await readFile(placeIn(origin, one.subarray(0, 2_000)))).equals(one.subarray(0, 2_000)))
    const events = await service.call('GET', `/executions/${execution.id}/events`)
    t.match(JSON.stringify(events.body), sha256(one))
  },
)
