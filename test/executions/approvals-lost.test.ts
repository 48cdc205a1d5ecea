// A worker is killed while calls of its runs wait for people, and while one runs that somebody allowed: with the real
// CLI, both ends of the range. In the run of all tests; without a CLI: approvals-half-done.test.ts.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { startCli, until } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { hasTranscript } from '../support/transcripts.js'

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
