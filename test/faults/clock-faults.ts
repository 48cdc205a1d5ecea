import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { FIXTURES } from '../support/paths.js'
import { until } from '../support/processes.js'
import { checkInvariants } from './invariants.js'
import { INIT, openScene, RESULT, type Step } from './scene.js'

const HOUR_MS = 3_600_000
const WRONG_CLOCK = [process.execPath, '--import', join(FIXTURES, 'shift-clock.mjs')]

/** An overloaded model: it passes, so another attempt follows where one is left. */
const OVERLOADED: readonly Step[] = [
  { line: { type: 'assistant', message: { id: 'm', model: '<synthetic>', content: [{ type: 'text', text: 'API Error: Repeated 529 Overloaded errors.' }] }, error: 'unknown' } },
  { line: { type: 'result', subtype: 'success', is_error: true, api_error_status: null, result: 'API Error: Repeated 529 Overloaded errors. The API is at capacity', num_turns: 1 } },
]

/** Every process has a clock of its own, an hour fast or slow, and each jumps by two in mid-run: nothing comes early, late or in another order. */
export async function shiftEveryClock(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'shiftEveryClock', seed, env: { CC_EXECUTOR_CONCURRENCY: '2' } })
  const { cluster, random, apis, workers } = scene
  const wrong = (sign: number): NodeJS.ProcessEnv => ({ CLOCK_SHIFT_MS: String(sign * HOUR_MS) })
  const [slow, fast] = await Promise.all([-1, 1].map((sign) => scene.openApi(wrong(sign), WRONG_CLOCK)))
  await Promise.all([-1, 1].map((sign) => scene.openWorker(wrong(sign), WRONG_CLOCK)))
  if (!slow || !fast) throw new Error('there are two')
  const go = join(cluster.folder, 'go')
  const running = await Promise.all([1, 2, 3, 4].map((which) => scene.submit(`running ${which}`, [{ ticks: 10_000, everyMs: 50, until: go }, RESULT], { timeoutSeconds: 300 })))
  await until(() => running.every((execution) => execution.has('claude.message')), 'all run')
  // All places are taken: what comes now waits, with deadlines of which some are over soon and some are not.
  const patient = await Promise.all([slow, fast].map((api, index) => scene.submit(`patient ${index}`, [INIT, RESULT], { queueTimeoutSeconds: 120 }, api)))
  const impatient = await Promise.all([slow, fast].map((api, index) => scene.submit(`impatient ${index}`, [INIT, RESULT], { queueTimeoutSeconds: 1 }, api)))
  const positions = await Promise.all([...patient, ...impatient].map(async ({ id }) => (await cluster.get(slow, id)).position ?? 0))
  t.ok(Math.max(...positions.slice(0, 2)) < Math.min(...positions.slice(2).map((position) => position || Infinity)), `who came first is first: ${positions.join()}`)
  for (const execution of impatient) t.match(await scene.ended(execution), { status: 'failed', code: 'QUEUE_TIMEOUT' }, execution.name)
  for (const member of random.shuffle([...apis, ...workers])) member.kill('SIGUSR2')
  const counts = running.map(({ seen }) => seen.map(({ length }) => length))
  await until(() => running.every(({ seen }, index) => seen.every(({ length }, which) => length > (counts[index]?.[which] ?? 0) + 20)), 'all go on after the jump')
  await writeFile(go, '')
  for (const execution of [...running, ...patient]) t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  // Its second attempt is due in some seconds, by whichever worker.
  const retried = await scene.submit('retried', OVERLOADED, { maxAttempts: 2 }, fast)
  t.match(await scene.ended(retried), { status: 'failed', code: 'CLAUDE_OVERLOADED' })
  const { attempt, createdAt, startedAt, finishedAt } = await cluster.get(slow, retried.id)
  t.equal(attempt, 2)
  t.ok(createdAt <= String(startedAt) && String(startedAt) <= String(finishedAt), `${createdAt} ${String(startedAt)} ${String(finishedAt)}`)
  await checkInvariants(t, scene)
}
