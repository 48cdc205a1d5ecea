// A worker is killed while calls of its runs wait for people, and while one runs that somebody allowed: with the real
// CLI, both ends of the range. In the run of all tests; without a CLI: approvals-half-done.test.ts.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { openRandom } from '../faults/random.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { startCli } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { hasTranscript } from '../support/transcripts.js'
import { until } from '../support/deadlines.js'

const LONG = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? false : 'only in the run of all tests'
const bash = (command: string): unknown => ({ tool: 'Bash', input: { command, description: 'a call' } })

for (const { name, env } of listClaudeVersions())
  void t.test(
    `with ${name}: nothing runs that nobody allowed, nothing twice, and the model is told`,
    { skip: LONG },
    async (t) => {
      const service = await openTestService(t, {
        workers: 0,
        // Longer than a busy machine holds a worker up.
        env: { CC_EXECUTOR_LOCK_SECONDS: '20', ...env },
      })
      const openWorker = async () => {
        const worker = startCli(t, ['worker'], { ...service.environment, REDIS_URL: service.redis.url })
        await worker.said(/worker \S+: \d+ at once/)
        return worker
      }
      const victim = await openWorker()
      const submit = (...steps: unknown[]): Promise<Execution> =>
        service.submit({
          prompt: scripted(bash('echo one >> marks'), { text: 'then' }, ...steps, { text: 'end' }),
          permissionMode: 'default',
          onPermissionNeeded: 'ask',
          onWorkerLost: 'continue',
        })
      const allow = async (id: string, count: number): Promise<void> => {
        const { approval } = (await service.until(id, 'approval.requested', count)).data
        await service.call('POST', `/approvals/${approval.id}/decision`, { body: { decision: 'allow' } })
      }
      const marksOf = (id: string): Promise<string> =>
        readFile(join(service.config.workspaceRoot, id, 'marks'), 'utf8').catch(() => '')
      const waiting = await submit(bash('echo never >> marks'))
      const running = await submit(bash('echo begun >> marks; tail -f -s 377 /dev/null'))
      for (const { id } of [waiting, running]) await allow(id, 1)
      await allow(running.id, 2)
      const held = (await service.until(waiting.id, 'approval.requested', 2)).data.approval
      await until(async () => (await marksOf(running.id)).includes('begun'), 'the call that was allowed runs')
      for (const { id } of [waiting, running])
        await until(() => hasTranscript(service, id, 'tool_result'), 'the transcript knows the first call')
      victim.kill('SIGKILL')
      await victim.ended
      await openWorker()
      for (const { id } of [waiting, running]) t.match(await service.finished(id), { status: 'succeeded', attempt: 2 })
      t.same([await marksOf(waiting.id), await marksOf(running.id)], ['one\n', 'one\nbegun\n'])
      t.match(await service.call('POST', `/approvals/${held.id}/decision`, { body: { decision: 'allow' } }), {
        status: 409,
        body: { approval: { status: 'withdrawn' } },
      })
      const prompts = service.simulator.requests.map(({ prompt = '' }) => prompt)
      const toldOf = (call: string): string =>
        prompts.find((prompt) => prompt.includes(call) && /died/.test(prompt)) ?? ''
      t.match(toldOf('echo never'), /were not run, and nobody has refused them/)
      t.match(toldOf('echo begun'), /were allowed by a person, and whether they ran is not known/)
    },
  )

const seed = process.env['CC_EXECUTOR_FAULT_SEED'] ?? randomBytes(4).toString('hex')

/** What the worker is killed in the midst of, so and so long after that has begun. */
const PHASES = ['held', 'its hold ends', 'parked', 'decided while it is held', 'decided while it is parked', 'it runs']

void t.test(
  'killed between the question and its execution, a call runs once at most, and only as decided',
  { skip: LONG },
  async (t) => {
    for (const { name, env } of listClaudeVersions()) await t.test(`with ${name}`, (t) => killInBetween(t, name, env))
  },
)

async function killInBetween(t: Test, name: string, env: NodeJS.ProcessEnv): Promise<void> {
  t.comment(`seed ${seed}; again with CC_EXECUTOR_FAULT_SEED=${seed}`)
  const random = openRandom(`${seed}/${name}`)
  const service = await openTestService(t, {
    workers: 0,
    env: { CC_EXECUTOR_LOCK_SECONDS: '20', CC_EXECUTOR_CONCURRENCY: '12', ...env },
  })
  const victim = startCli(t, ['worker'], { ...service.environment, REDIS_URL: service.redis.url })
  await victim.said(/worker \S+: \d+ at once/)
  const runs = await Promise.all(
    random.shuffle(PHASES.flatMap((phase) => [phase, phase])).map(async (phase, index) => {
      const isParked = /hold ends|parked/.test(phase)
      const { id } = await service.submit({
        prompt: scripted(
          { text: 'I begin.' },
          bash(`echo ${index} >> marks${phase === 'it runs' ? '; tail -f -s 378 /dev/null' : ''}`),
          { text: '${lastToolResult}' },
        ),
        permissionMode: 'default',
        onPermissionNeeded: 'ask',
        onWorkerLost: random.pick(['continue', 'fail'] as const),
        approvalHoldSeconds: isParked ? 1 : 600,
      })
      return { id, phase, index }
    }),
  )
  const allow = async (id: string): Promise<number> => {
    const { approval } = (await service.until(id, 'approval.requested')).data
    return (await service.call('POST', `/approvals/${approval.id}/decision`, { body: { decision: 'allow' } })).status
  }
  const marksOf = (id: string): Promise<string> =>
    readFile(join(service.config.workspaceRoot, id, 'marks'), 'utf8').catch(() => '')
  for (const { id, phase } of runs) {
    await service.until(id, 'approval.requested')
    if (phase === 'it runs') {
      await allow(id)
      await until(async () => (await marksOf(id)) !== '', 'the call runs')
    }
    if (/parked/.test(phase)) await service.until(id, 'execution.parked')
  }
  const decided = runs.filter(({ phase }) => phase.startsWith('decided'))
  await Promise.all(
    random.shuffle(decided).map(async ({ id }) => {
      await sleep(random.between(0, 1_500))
      await allow(id)
    }),
  )
  await sleep(random.between(0, 1_500))
  victim.kill('SIGKILL')
  await victim.ended
  await service.openWorker()
  for (const { id, phase } of runs) if (phase === 'parked') await allow(id)
  // What was lost in the midst of its hold may have been parked, or not.
  for (const { id, phase } of runs)
    if (phase === 'its hold ends') {
      const isGone = (): Promise<boolean> =>
        service.events(id).then((events) => events.some(({ type }) => /parked|retrying|finished/.test(type)))
      await until(isGone, 'it is parked, or its worker is known to be lost')
      await allow(id)
    }
  for (const { id, phase, index } of runs) {
    const { status, outcome } = await service.finished(id)
    const marks = await marksOf(id)
    const events = await service.events(id)
    const at = (type: string): number => events.findIndex((event) => event.type === type)
    const what = `${phase}: ${status} ${outcome?.code ?? ''} ${JSON.stringify(marks)}`
    t.ok(marks === '' || marks === `${index}\n`, `never twice; ${what}`)
    if (marks !== '') t.ok(at('approval.decided') > 0, `never without a decision; ${what}`)
    t.ok(status === 'succeeded' || outcome?.code === 'WORKER_LOST', what)
    const isKnown = events.some((event: Event) => event.type === 'tool.finished')
    const told = service.simulator.requests.some(
      ({ prompt = '' }) =>
        prompt.includes(`echo ${index} >>`) && /were not run|whether they ran is not known/.test(prompt),
    )
    if (status === 'succeeded' && !isKnown) t.ok(told, `what is not known is told as unknown; ${what}`)
    if (phase === 'parked') t.match([status, marks], ['succeeded', `${index}\n`], 'nothing was lost')
  }
}
