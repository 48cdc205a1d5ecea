// A CLI that was started before anybody asked: what is handed to it, what it leaves behind, and what never gets it.
import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { until } from '../support/deadlines.js'
import { scripted } from '../support/environment.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { openTestService, type TestService } from '../support/service.js'

const STANDBY = { CC_EXECUTOR_STANDBY: '1' }

const standsBy = (service: TestService, count: number): Promise<void> =>
  until(
    () => service.workers.reduce((sum, worker) => sum + worker.standby().ready, 0) === count,
    `${count} CLIs stand by`,
  )
const run = async (service: TestService, body: Record<string, unknown>): Promise<Execution> =>
  service.finished((await service.submit(body)).id)
const started = (service: TestService, { id }: Execution): Promise<Event<'execution.started'>> =>
  service.until(id, 'execution.started')
const receiptOf = async (service: TestService, { id }: Execution) =>
  (await service.call('GET', `/executions/${id}/receipt`)).body
const names = (folder: string): string[] => readdirSync(folder).filter((name) => name !== 'lost+found')

/** Every folder of a run on this host, by the ids that they bear. */
const foldersOf = ({ config }: TestService): string[] => [
  ...new Set([...names(join(config.dataDir, 'sessions')), ...names(config.workspaceRoot)]),
]

for (const { name: version, env } of listClaudeVersions())
  void t.test(`a run that asks for nothing is handed the one that waits: ${version}`, async (t) => {
    const service = await openTestService(t, { env: { ...STANDBY, ...env } })
    await standsBy(service, 1)
    await until(
      async () => (await service.call('GET', '/health/ready')).body.parts.workers.standby === 1,
      'it is told that one stands by',
    )
    const { text: metrics } = await service.call('GET', '/metrics')
    t.match(metrics, /^cc_executor_standby\{state="ready"\} 1$/m)
    t.match(metrics, /^cc_executor_standby\{state="missing"\} 0$/m)
    const [waiting = ''] = foldersOf(service)
    const execution = await run(service, {
      prompt: scripted(
        { text: 'The word is heron.' },
        { tool: 'Write', input: { file_path: '${cwd}/word.txt', content: 'heron\n' } },
        { text: 'Written: the word heron.' },
      ),
    })
    t.match(execution, { status: 'succeeded', attempt: 1, workspace: waiting, outcome: { result: /Written/ } })
    t.not(execution.id, waiting)
    t.equal(await readFile(join(service.config.workspaceRoot, waiting, 'word.txt'), 'utf8'), 'heron\n')
    t.match((await started(service, execution)).data, { standby: true, workspace: waiting })
    t.match(await receiptOf(service, execution), { standby: true, workspace: waiting, executionId: execution.id })
    const { verification } = execution.outcome ?? {}
    t.same(
      verification?.checks.filter(({ status }) => status === 'fail'),
      [],
      'what it did is seen as of any other run',
    )
    const files = await service.call('GET', `/executions/${execution.id}/files/word.txt`)
    t.equal(files.text, 'heron\n')
    t.notOk(existsSync(join(service.config.dataDir, 'sessions', waiting, 'input')), 'what it was given is gone')

    const second = await run(service, { prompt: 'What was the word?', session: { resume: execution.id } })
    t.match(second, { status: 'succeeded', workspace: waiting, sessionId: execution.sessionId })
    t.equal((await receiptOf(service, second)).standby, undefined, 'a follow-up starts by itself')

    for (const { id } of [second, execution]) t.equal((await service.call('DELETE', `/executions/${id}`)).status, 204)
    await until(() => !foldersOf(service).includes(waiting), 'its folders are gone with the last of the conversation')
  })

void t.test('one after the other, each gets the next', async (t: Test) => {
  const service = await openTestService(t, { env: STANDBY })
  const seen = new Set<string>()
  for (let count = 0; count < 3; count += 1) {
    await standsBy(service, 1)
    const execution = await run(service, { prompt: 'Hello' })
    t.equal((await receiptOf(service, execution)).standby, true)
    seen.add(`${execution.workspace} ${execution.sessionId}`)
  }
  t.equal(seen.size, 3)
})
