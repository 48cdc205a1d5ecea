import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { checkInvariants } from './invariants.js'
import { INIT, openScene, RESULT, type Scene, type Watched, type Worker } from './scene.js'
import { until } from '../support/deadlines.js'

const exists = (path: string): Promise<boolean> =>
  readFile(path).then(
    () => true,
    () => false,
  )
/** Until its worker dies, however long that takes. */
const STREAM = { ticks: 1e6, everyMs: 200 }
const LOST = { status: 'failed', code: 'WORKER_LOST' }

/** Whatever leaves a tool's process group, session or environment. */
const daemons = (tag: string): string =>
  `setsid sleep ${tag}1 & ( (sleep ${tag}2 &) & ) ; env -i setsid sleep ${tag}3 & sleep ${tag}4`

/** A bwrap that waits while the flag exists: the worker has claimed, and the CLI is not yet there. */
async function holdStarts(
  scene: Scene,
): Promise<
  { env: NodeJS.ProcessEnv; hold(): Promise<void>; reached(): Promise<void>; release(): Promise<void> } | undefined
> {
  const { folder, environment } = scene.cluster
  const bwrap = await findExecutable(['bwrap'], splitPath(environment['PATH']))
  if (bwrap === undefined) return undefined
  const [bin, flag] = [join(folder, 'bin'), join(folder, 'hold')]
  await mkdir(bin)
  await writeFile(
    join(bin, 'bwrap'),
    `#!/bin/sh\nwhile [ -e ${flag} ]; do touch ${flag}.reached; sleep 0.1; done\nexec ${bwrap} "$@"\n`,
  )
  await chmod(join(bin, 'bwrap'), 0o755)
  return {
    env: { PATH: `${bin}:${environment['PATH'] ?? ''}` },
    hold: () => writeFile(flag, ''),
    reached: () => until(() => exists(`${flag}.reached`), 'a worker starts a run'),
    release: () => rm(flag),
  }
}

/** A worker is killed while it holds an execution in every phase, and APIs beside it. */
export async function killWorkerAtEveryPhase(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'killWorkerAtEveryPhase', seed })
  const starts = await holdStarts(scene)
  const [doomed, victim] = await Promise.all([scene.openApi(), scene.openWorker(starts?.env)])
  const { random, cluster, tag } = scene

  const go = join(cluster.folder, 'go')
  const [streaming, inTool, afterResult, concluding] = await Promise.all([
    scene.submit('streaming', [STREAM, RESULT]),
    scene.submit('in a tool call', [{ tool: daemons(tag) }, RESULT], { allowedTools: ['Bash'] }),
    scene.submit('between result and exit', [{ file: go }, RESULT, { hang: true }]),
    scene.submit('concluding', [{ file: go }, RESULT]),
  ])
  await until(
    () =>
      [streaming, inTool, afterResult, concluding].every((execution) => execution.has('claude.message')) &&
      inTool.has('tool.started'),
    'all run',
  )
  await starts?.hold()
  const starting = starts
    ? await Promise.all([1, 2].map((which) => scene.submit(`starting ${which}`, [{ ticks: 5, everyMs: 10 }, RESULT])))
    : []
  await starts?.reached()
  // More than it has places for: some wait in the queue, whatever happens.
  const queued = await Promise.all(
    [1, 2, 3, 4].map((which) =>
      scene.submit(`queued ${which}`, [{ ticks: random.between(1, 20), everyMs: 20 }, RESULT]),
    ),
  )

  // Redis takes the end of the one, and the worker never hears of it.
  const concluded = victim.link.holdAnswersAfter('execution.finished')
  await writeFile(go, '')
  await concluded
  await sleep(random.between(0, 200))
  await Promise.all([scene.end(victim, 'SIGKILL'), scene.end(doomed, 'SIGKILL')])
  // What was held up finds that its worker is gone.
  await starts?.release()
  await Promise.all([scene.hostWorker(), scene.hostApi()])

  t.match(await scene.ended(concluding), { status: 'succeeded' }, 'what was stored stands')
  for (const execution of [streaming, inTool, afterResult]) t.match(await scene.ended(execution), LOST, execution.name)
  for (const execution of [...starting, ...queued])
    t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  await checkInvariants(t, scene)
}

/** A worker is stopped for longer than its lease and goes on; another is killed while everybody cancels. */
export async function freezeWorkerBeyondItsLease(t: Test, seed: string): Promise<void> {
  // Places for just as many as come: both workers have something to do.
  const env = { CC_EXECUTOR_CONCURRENCY: '3' }
  const scene = await openScene(t, { name: 'freezeWorkerBeyondItsLease', seed, env })
  await Promise.all([scene.hostApi(), scene.hostApi()])
  const both = await Promise.all([scene.openWorker(), scene.openWorker()])
  const { random, cluster, tag } = scene
  const executions = await Promise.all(
    [1, 2, 3, 4, 5, 6].map((which) =>
      scene.submit(`run ${which}`, which % 3 === 0 ? [{ tool: `sleep ${tag}${which}` }, RESULT] : [STREAM, RESULT], {
        allowedTools: ['Bash'],
      }),
    ),
  )
  await until(() => executions.every((execution) => execution.has('claude.message')), 'all run')
  const of = (worker: Worker): Watched[] => executions.filter((execution) => scene.workerOf(execution) === worker)
  const [frozen, doomed] = random.shuffle(both)
  if (!frozen || !doomed) throw new Error('there are two workers')
  const [lost, raced] = [of(frozen), of(doomed)]
  t.ok(lost.length > 0 && raced.length > 0, 'both have something to do')
  await sleep(random.between(0, 500))
  frozen.kill('SIGSTOP')

  // Cancels from everywhere at once, while the worker that should obey dies.
  const answers = raced.flatMap(({ id }) =>
    Array.from({ length: 20 }, () =>
      sleep(random.between(0, 40)).then(() =>
        cluster.insist(() => cluster.call(random.pick(scene.apis), 'POST', `/executions/${id}/cancel`)),
      ),
    ),
  )
  const death = sleep(random.between(0, 60)).then(() => scene.end(doomed, 'SIGKILL'))
  const codes = new Set((await Promise.all(answers)).map(({ status }) => status))
  t.ok(
    [...codes].every((code) => code === 200 || code === 202),
    `every cancel is heard: ${[...codes].join()}`,
  )
  await death
  for (const execution of raced) {
    const outcome = await scene.ended(execution)
    t.ok(outcome.code === 'CANCELLED' || outcome.code === 'WORKER_LOST', `one outcome: ${outcome.code}`)
  }
  for (const execution of lost) t.match(await scene.ended(execution), LOST, `${execution.name} was frozen`)
  frozen.kill('SIGCONT')
  // It finds itself fenced off, and takes new work: by then it has dealt with the old.
  const after = await Promise.all([1, 2].map((which) => scene.submit(`after ${which}`, [INIT, RESULT])))
  for (const execution of after) t.match(await scene.ended(execution), { status: 'succeeded' })
  // Time for it to write what it must not.
  await sleep(1_000)
  await checkInvariants(t, scene)
}
