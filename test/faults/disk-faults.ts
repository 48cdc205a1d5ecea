import { execFile } from 'node:child_process'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import type { Event } from '../../src/protocol/events.js'
import { startCli } from '../support/processes.js'
import { checkInvariants } from './invariants.js'
import { INIT, openScene, RESULT } from './scene.js'
import { until } from '../support/deadlines.js'

const run = promisify(execFile)

/** A small file system of its own; false where mounting is not allowed. */
async function mountSmall(t: Test, folder: string, options: string): Promise<boolean> {
  await mkdir(folder, { recursive: true })
  const isMounted = await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).then(
    () => true,
    () => false,
  )
  if (isMounted) t.teardown(async () => void (await run('umount', ['-l', folder])))
  return isMounted
}

/** As much and as many files as the disk takes; ends as the last command did. */
const FILL =
  'i=0; while : > file-$i; do i=$((i+1)); [ $i -gt 500 ] && break; done 2>/dev/null; head -c 8M /dev/zero > file-0'

/**
 * The disk of the workspaces is full; then the data folder takes nothing more in mid-life: what cannot run says so, and
 * the rest goes on.
 */
export async function fillDisks(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'fillDisks', seed })
  const { cluster, random } = scene
  const [workspaces, data] = [join(cluster.folder, 'workspaces'), join(cluster.folder, 'data')]
  if (!(await mountSmall(t, workspaces, 'size=1m,nr_inodes=20')) || !(await mountSmall(t, data, 'size=16m'))) {
    t.comment('mounting is not allowed here: the full disk was not tried')
    return
  }
  const env = { CC_EXECUTOR_WORKSPACE_ROOT: workspaces }
  await Promise.all([scene.openApi(env), scene.openApi(env), scene.openWorker(env), scene.openWorker(env)])
  const go = join(cluster.folder, 'go')
  const stream = await scene.submit(
    'running meanwhile',
    [{ ticks: 10_000, everyMs: random.between(20, 80), until: go }, RESULT],
    { workspace: 'shared' },
  )
  await until(() => stream.has('claude.message'), 'it runs')

  // Parked behind the stream, so that an API concludes them.
  const parked = await Promise.all(
    [1, 2].map((which) => scene.submit(`parked ${which}`, [INIT, RESULT], { workspace: 'shared' })),
  )

  // The tool sees it first, and the run goes on with what the tool says.
  const full = await scene.submit('fills the disk', [INIT, { tool: FILL }, RESULT], { allowedTools: ['Bash'] })
  t.match(await scene.ended(full), { status: 'succeeded' }, 'a tool that fails is no failure of the run')
  const finished = full.seen[0]?.find(({ type }) => type === 'tool.finished') as Event<'tool.finished'> | undefined
  t.equal(finished?.data.isError, true, 'the tool said so')
  const refused = await Promise.all([1, 2].map((which) => scene.submit(`without room ${which}`, [INIT, RESULT])))
  for (const execution of refused)
    t.match(
      await scene.ended(execution),
      { status: 'failed', code: 'WORKSPACE_ERROR', message: /ENOSPC.*disk is not full/ },
      execution.name,
    )
  const folder = join(workspaces, full.id)
  for (const name of await readdir(folder)) await rm(join(folder, name))
  t.match(await scene.ended(await scene.submit('with room again', [INIT, RESULT])), { status: 'succeeded' })

  for (const [index, { id }] of parked.entries()) {
    const [api] = scene.apis.slice(index)
    if (api)
      t.match(
        (await cluster.call(api, 'POST', `/executions/${id}/cancel`)).body,
        { status: 'cancelled' },
        'what an API ends by itself is signed, though the disk is full',
      )
  }
  await writeFile(go, '')
  t.match(await scene.ended(stream), { status: 'succeeded' }, 'what ran was not disturbed')

  // A run keeps a file open in the data folder, and so do others for moments: the kernel refuses until then.
  await until(
    () =>
      run('mount', ['-o', 'remount,ro', data]).then(
        () => true,
        () => false,
      ),
    'the data folder is read-only',
    20_000,
  )
  const unwritable = await scene.submit('data folder read-only', [INIT, RESULT])
  t.match(await scene.ended(unwritable), {
    status: 'failed',
    code: 'WORKSPACE_ERROR',
    message: /EROFS.*can be written/,
  })
  const late = startCli(t, ['worker'], { ...cluster.environment, ...env })
  const { code } = await late.ended
  t.not(code, 0, 'a worker that starts now says why it cannot')
  await late.drained
  t.match(
    late.stderr().trim().split('\n'),
    [/CC_EXECUTOR_DATA_DIR: .* cannot be used \(EROFS\); make it writable or choose another folder\./],
    'in one sentence',
  )
  await run('mount', ['-o', 'remount,rw', data])
  t.match(await scene.ended(await scene.submit('data folder writable again', [INIT, RESULT])), { status: 'succeeded' })
  await checkInvariants(t, scene)
}
