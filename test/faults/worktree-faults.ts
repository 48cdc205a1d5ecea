import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { listWorktrees } from '../../src/worktrees/worktree-record.js'
import { until } from '../support/deadlines.js'
import { listMentioning } from '../support/processes.js'
import { checkInvariants } from './invariants.js'
import { INIT, openScene, RESULT, type Scene, type Watched } from './scene.js'

const run = promisify(execFile)
const FILES = 200
const CHANGE = { tool: 'echo changed > a.txt; echo new > new.txt' }

const git = async (folder: string, ...args: string[]): Promise<string> =>
  (
    await run('git', ['-C', folder, '-c', 'safe.directory=*', '-c', 'user.name=t', '-c', 'user.email=t@b', ...args])
  ).stdout.trim()

async function makeRepository(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  await git(folder, 'init', '-q', '-b', 'main')
  for (let index = 0; index < FILES; index += 1) await writeFile(join(folder, `f${index}.txt`), `${index}\n`)
  await writeFile(join(folder, 'a.txt'), 'a\n')
  await git(folder, 'add', '.')
  await git(folder, 'commit', '-q', '-m', 'first')
  return git(folder, 'rev-parse', 'HEAD')
}

/**
 * A git of which the next call of a kind waits once that is asked for, and then goes on, whoever has died meanwhile.
 */
async function openHeldGit({ cluster: { folder, environment } }: Scene) {
  const real = await findExecutable(['git'], splitPath(environment['PATH']))
  if (real === undefined) throw new Error('there is no git')
  const [bin, flags] = [join(folder, 'held-git'), join(folder, 'flags')]
  await mkdir(bin)
  await mkdir(flags)
  await writeFile(
    join(bin, 'git'),
    `#!/bin/sh\nfor call in rev-parse read-tree status; do case " $* " in *" $call "*)\n` +
      `mv ${flags}/hold-$call ${flags}/held-$call 2>/dev/null &&\n` +
      `while [ -e ${flags}/held-$call ]; do sleep 0.1; done;; esac; done\nexec ${real} "$@"\n`,
    { mode: 0o755 },
  )
  return {
    env: { PATH: `${bin}:${environment['PATH'] ?? ''}` },
    hold: (call: string) => writeFile(join(flags, `hold-${call}`), ''),
    reached: (call: string) =>
      until(async () => (await readdir(flags)).includes(`held-${call}`), `git ${call} is reached`),
    async release() {
      for (const name of await readdir(flags)) await rm(join(flags, name))
      await until(() => listMentioning(bin, 'cmdline').length === 0, 'what was held has ended')
    },
  }
}

/**
 * A worker is killed at the calls of git by which it makes a worktree, and by which it looks at what was left in one;
 * git goes on after that, while the next worker begins anew.
 */
export async function killAroundWorktrees(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'killAroundWorktrees', seed })
  const { cluster } = scene
  const projects = join(cluster.folder, 'projects')
  const repository = join(projects, 'shop')
  const base = await makeRepository(repository)
  const roots = { CC_EXECUTOR_ALLOWED_ROOTS: await realpath(projects) }
  await scene.openApi(roots)
  const submit = (name: string, ...steps: readonly object[]): Promise<Watched> =>
    scene.submit(name, [INIT, ...(steps as (typeof INIT)[]), RESULT], {
      workspace: repository,
      worktree: { ref: 'main', branch: `of/${name}` },
      allowedTools: ['Bash'],
    })

  const held = await openHeldGit(scene)
  const doomed = await scene.openWorker({ ...roots, ...held.env })
  const killed: Array<{ readonly call: string; readonly execution: Watched }> = []
  for (const call of ['rev-parse', 'read-tree', 'status']) {
    await held.hold(call)
    const execution = await submit(call, CHANGE)
    await held.reached(call)
    killed.push({ call, execution })
  }
  await scene.end(doomed, 'SIGKILL')
  // The next worker is at work while the git of the dead one goes on.
  await scene.openWorker(roots)
  await held.release()
  const untouched = await submit('untouched', CHANGE)
  for (const { call, execution } of [...killed, { call: 'untouched', execution: untouched }]) {
    const outcome = await scene.ended(execution)
    // What it did was done; only who told of it has died.
    if (call === 'status') t.match(outcome, { status: 'failed', code: 'WORKER_LOST' }, call)
    else
      t.match(
        outcome,
        { status: 'succeeded', worktree: { baseCommit: base, commits: 0, uncommitted: 2 } },
        `${call}: ${JSON.stringify(outcome)}`,
      )
  }

  t.equal(await git(repository, 'status', '--porcelain', '--branch'), '## main', 'the checkout is as it was')
  t.equal(await git(repository, 'rev-parse', 'HEAD'), base)
  t.equal(await git(repository, 'fsck', '--no-progress'), '')
  const records = await listWorktrees({ dataDir: join(cluster.folder, 'data') })
  t.same(records.map(({ id }) => id).sort(), [...killed.map(({ execution }) => execution.id), untouched.id].sort())
  for (const record of records) {
    t.equal(record.state, 'ready', record.branch)
    t.equal(await readFile(join(record.workspace, 'a.txt'), 'utf8'), 'changed\n', 'nothing of it is lost')
    const names = await readdir(record.workspace)
    t.same(names.filter((name) => name.startsWith('.cc-executor-')).length, 0, 'nothing half made is left')
    t.equal(names.filter((name) => /^f\d+\.txt$/.test(name)).length, FILES)
    t.equal((await git(record.workspace, 'status', '--porcelain')).split('\n').length, 2)
  }
  const listed = (await git(repository, 'worktree', 'list', '--porcelain')).match(/^worktree /gm) ?? []
  t.equal(listed.length, 1 + records.length, 'git knows each of them once')
  await checkInvariants(t, scene)
}
