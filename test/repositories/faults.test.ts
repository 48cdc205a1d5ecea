// What becomes of mirrors and checkouts when workers are killed, and when many ask at once while a mirror goes away.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { openFolder } from '../../src/platform/open-folder.js'
import { splitPath } from '../../src/platform/redis-server.js'
import { parseRepositoryUrl } from '../../src/platform/repository-url.js'
import { isHalfMade, provideCheckout } from '../../src/repositories/checkout.js'
import { placeOfMirror } from '../../src/repositories/mirror.js'
import { pruneMirrors } from '../../src/repositories/prune-mirrors.js'
import { chooseContainment } from '../../src/supervision/containment.js'
import { testEnvironment } from '../support/environment.js'
import { ROOT } from '../support/paths.js'
import { listMentioning } from '../support/processes.js'
import { until } from '../support/deadlines.js'
import { openRoom } from './room.js'
import { commitFiles, git, makeRepository } from './scene.js'

const isAll = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined
const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-repository-faults-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const origin = at('origin')
const files = Object.fromEntries(
  Array.from({ length: isAll ? 500 : 50 }, (_none, index) => [`d${index % 20}/f${index}.txt`, `${index}\n`]),
)
const base = await makeRepository(origin, { 'a.txt': 'one\n', ...files })

interface Report {
  readonly calls: number
  readonly base: string
  readonly head: string
  readonly tree: string
}

const program = join(ROOT, 'dist/test/repositories/checkout-program.js')
/** undefined: it was killed. */
async function work(name: string, kill: number, moment = 0): Promise<Report | undefined> {
  const args = [at(name), at(name, 'mirrors'), origin, String(kill), String(moment)]
  const ended = await promisify(execFile)(process.execPath, [program, ...args], {
    env: { ...process.env, PATH: testEnvironment(folder)['PATH'] },
    timeout: 240_000,
  }).catch((error: { readonly signal?: string; readonly stderr?: string }) => {
    if (error.signal !== 'SIGKILL') throw new Error(error.stderr)
    return undefined
  })
  return ended && (JSON.parse(ended.stdout) as Report)
}

async function listAll(place: string): Promise<string[]> {
  return (await readdir(place, { recursive: true })).filter((name) => /\.lock$|tmp_|part-|busy$/.test(name))
}

const whole = await work('whole', 0)

void t.test('a worker that is killed at any of its steps leaves no half checkout to anybody', async (t) => {
  const steps = whole?.calls ?? 0
  t.ok(steps >= 8, `${steps} calls of git`)
  // The checkout; all of them in test:all, each at two moments.
  const all = Array.from({ length: steps }, (_none, index) => index + 1)
  const chosen = isAll ? all.flatMap((step) => [0, 25].map((moment) => [step, moment] as const)) : [[5, 5]]
  for (const [step = 0, moment = 0] of chosen) {
    const name = `killed-${step}-${moment}`
    const killed = await work(name, step, moment)
    await until(() => listMentioning(at(name)).length === 0, `nothing of ${name} runs`)
    if (killed === undefined && (await isHalfMade(at(name, 'repository'))))
      t.notOk((await readdir(at(name, 'workspace'))).includes('.git'), `${name}: what is half made is no repository`)
    const again = await work(name, 0)
    t.match(again, { base, tree: whole?.tree }, name)
    t.same(await listAll(at(name, 'mirrors')), [], `${name}: nothing half done is left`)
    t.equal(await git(at(name, 'workspace'), 'fsck', '--no-progress'), '', name)
    await rm(at(name), { recursive: true })
  }
})

void t.test('many at once on one repository, whose mirror is repacked, moved on and removed meanwhile', async (t) => {
  const count = isAll ? 50 : 4
  const containment = await chooseContainment({
    policy: 'auto',
    extraPath: splitPath(testEnvironment(folder)['PATH']),
  })
  const mirrors = at('shared')
  const place = placeOfMirror(mirrors, parseRepositoryUrl(origin))
  let isDone = false
  const disturb = async (): Promise<void> => {
    const { settings, means } = await openRoom(at('disturber'), containment, { mirrors })
    for (let round = 0; !isDone && round < 5_000; round += 1) {
      await pruneMirrors(mirrors, { ...settings, mirrorsLimitBytes: 0 }, means.signal)
      await git(join(place, 'mirror.git'), 'repack', '-q', '-a', '-d').catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const disturbing = disturb()
  const bases: string[] = []
  const one = async (index: number): Promise<void> => {
    const room = await openRoom(at(`many-${index}`), containment, { mirrors })
    const workspace = await openFolder(at(`many-${index}`, 'workspace'))
    const where = { folder: at(`many-${index}`, 'repository'), workspace }
    const checkout = await provideCheckout(room, `many-${index}`, { url: origin, ref: 'main' }, where, () => true)
    bases.push(checkout?.base ?? '')
    t.equal(await git(workspace.path, 'status', '--porcelain'), '')
    t.equal(await git(workspace.path, 'fsck', '--connectivity-only', '--no-progress'), '')
    // What it does to its own objects is nobody else's matter.
    for (const name of await readdir(join(workspace.path, '.git/objects/pack'))) {
      await rm(join(workspace.path, '.git/objects/pack', name))
      await writeFile(join(workspace.path, '.git/objects/pack', name), 'damaged')
    }
    await workspace.close()
  }
  const running = Array.from({ length: count }, (_none, index) => one(index))
  const moved = await commitFiles(origin, { 'moved.txt': 'on\n' }, 'moved on')
  await Promise.all(running)
  t.same(
    bases.filter((one) => one !== base && one !== moved),
    [],
    'each has a commit that main was at',
  )
  isDone = true
  await disturbing
  t.same(
    (await readdir(mirrors)).filter((name) => /\.lock$|\.gone-/.test(name)),
    [],
  )
  t.equal(await readFile(at('many-0/workspace/a.txt'), 'utf8'), 'one\n')
})
