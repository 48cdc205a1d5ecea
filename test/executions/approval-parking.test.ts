// A run that waits for a person gives its worker back, and continues that very call when somebody has decided: with the
// real CLI, in the run of all tests with both ends of the range and in every situation.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Approval } from '../../src/protocol/approvals.js'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { startCli } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command, description: 'a call' } })
const write = (file: string): unknown => ({ tool: 'Write', input: { file_path: `\${cwd}/${file}`, content: 'x' } })
const READ_BACK = { text: 'Then: ${lastToolResult}' }
const isWholeRange = process.env['CC_EXECUTOR_TEST_ALL'] === '1'

for (const { name, env } of listClaudeVersions())
  void t.test(`with ${name}`, async (t) => {
    const service = await openTestService(t, {
      workers: 0,
      env: { CC_EXECUTOR_CONCURRENCY: '3', CC_EXECUTOR_MAX_HELD: '1', CC_EXECUTOR_DRAIN_SECONDS: '0', ...env },
    })
    let worker = await service.openWorker()
    const submit = (steps: readonly unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
      service.submit({
        prompt: scripted({ text: 'I begin.' }, ...steps),
        onPermissionNeeded: 'ask',
        permissionMode: 'default',
        approvalHoldSeconds: 0,
        ...more,
      })
    const asked = async (id: string, count = 1): Promise<Approval> =>
      (await service.until(id, 'approval.requested', count)).data.approval
    const decide = (id: string, body: unknown) => service.call('POST', `/approvals/${id}/decision`, { body })
    async function decided(id: string, body: unknown, count = 1): Promise<Approval> {
      await service.until(id, 'execution.parked', count)
      const { status, body: approval, text } = await decide((await asked(id, count)).id, body)
      if (status !== 200) throw new Error(`not decided: ${status} ${text}`)
      return approval
    }
    const look = async (id: string): Promise<Execution> => (await service.call('GET', `/executions/${id}`)).body
    const getApproval = async (id: string): Promise<Approval> => (await service.call('GET', `/approvals/${id}`)).body
    const held = async (id: string): Promise<string> => {
      await until(async () => (await getApproval(id)).heldBecause !== undefined, 'its approval says why it is held')
      return (await getApproval(id)).heldBecause ?? ''
    }
    const marksOf = (id: string): Promise<string> =>
      readFile(join(service.config.workspaceRoot, id, 'marks'), 'utf8').catch(() => '')
    const typesOf = async (id: string): Promise<string[]> =>
      (await service.events(id)).map(({ type }) => type).filter((type) => /^approval|^tool|parked/.test(type))
    const jobs: Array<PromiseLike<unknown>> = []
    t.jobs = 3
    const together = (title: string, run: (t: Test) => Promise<void>): void => void jobs.push(t.test(title, run))

    await t.test('the very call continues, once, after a restart of everything; its files are all told', async (t) => {
      const { id } = await submit([bash('echo one >> marks'), { text: 'on' }, bash('echo two >> more'), READ_BACK])
      await decided(id, { decision: 'allow' })
      const approval = await asked(id, 2)
      const parked = await service.until(id, 'execution.parked', 2)
      t.match(parked.data, { reason: 'approval', until: approval.expiresAt })
      t.match(await look(id), {
        status: 'waiting_approval',
        waitingFor: 'approval',
        pendingApprovalIds: [approval.id],
        parkedUntil: approval.expiresAt,
        attempt: 2,
        workerId: undefined,
        usage: { isCostIncomplete: undefined },
      })
      const { costUsd } = (await look(id)).usage
      t.ok(costUsd > 0, 'what it has spent is known')
      t.match((await service.call('GET', '/queue')).body, { running: 0, waitingForApproval: 1 })
      t.match((await service.call('GET', '/executions?status=waiting_approval')).body.executions, [{ id }])
      t.match((await service.call('POST', `/executions/${id}/pause`)).body, {
        code: 'NOT_RUNNING',
        detail: /waits for a decision/,
      })
      await worker.close()
      worker = await service.openWorker()
      t.match((await decide(approval.id, { decision: 'allow' })).body, { status: 'allowed' })
      const done = await service.finished(id)
      t.match(done, { status: 'succeeded', attempt: 3, outcome: { result: /^Then: / } })
      t.ok(done.usage.costUsd > costUsd && done.usage.isCostIncomplete === undefined)
      t.equal(await marksOf(id), 'one\n')
      const call = [
        'tool.started',
        'approval.requested',
        'execution.parked',
        'approval.decided',
        'execution.unparked',
        'tool.finished',
      ]
      t.same(await typesOf(id), [...call, ...call])
      t.match((await service.call('GET', `/executions/${id}/receipt`)).body, {
        approvals: [{ toolUseId: String }, { toolUseId: approval.toolUseId, status: 'allowed' }],
        files: { created: 2, changes: [{ path: 'marks' }, { path: 'more' }] },
      })
    })

    await t.test('what a person said counts, also where the operator has allowed the tool by then', async (t) => {
      const denied = await submit([bash('echo never >> marks'), READ_BACK])
      const changed = await submit([bash('echo asked >> marks'), { text: 'on' }, bash('echo free >> marks'), READ_BACK])
      await service.until(denied.id, 'execution.parked')
      await service.until(changed.id, 'execution.parked')
      await worker.close()
      worker = await service.openWorker({ CC_EXECUTOR_ALLOWED_TOOLS: 'Bash' })
      await decided(denied.id, { decision: 'deny', message: 'No: “never” means never.' })
      await decided(changed.id, { decision: 'allow', input: { command: 'echo changed >> marks' } })
      t.match((await service.finished(denied.id)).outcome, {
        result: 'Then: No: “never” means never.',
        permissionDenials: [{ tool: 'Bash', by: 'default' }],
      })
      await service.finished(changed.id)
      t.same([await marksOf(denied.id), await marksOf(changed.id)], ['', 'changed\nfree\n'], 'other calls are free')
      await worker.close()
      worker = await service.openWorker()
    })

    if (isWholeRange) {
      together('questions and plans are kept as well', async (t) => {
        const options = [
          { label: 'A', description: 'a' },
          { label: 'B', description: 'b' },
        ]
        const questions = [{ question: 'Which?', header: 'W', options, multiSelect: false }]
        const question = await submit([{ tool: 'AskUserQuestion', input: { questions } }, READ_BACK])
        const plan = await submit(
          [
            { tool: 'ExitPlanMode', input: { plan: 'write it' } },
            { text: 'now' },
            write('planned.txt'),
            { text: 'done' },
          ],
          { permissionMode: 'plan' },
        )
        await decided(question.id, { decision: 'answer', answers: [{ questionIndex: 0, labels: ['B'] }] })
        await decided(plan.id, { decision: 'allow', permissionMode: 'acceptEdits' })
        t.match((await service.finished(question.id)).outcome?.result, /"Which\?"="B"/)
        t.match(await service.finished(plan.id), { status: 'succeeded' })
        t.equal(existsSync(join(service.config.workspaceRoot, plan.id, 'planned.txt')), true, 'edits are accepted then')
        const starts = (await service.events(plan.id)).filter(({ type }) => type === 'execution.started')
        for (const { data } of starts as Array<{ data: { argv: string[] } }>)
          t.ok(
            data.argv.includes('--permission-mode=plan') && !data.argv.join().includes('bypass'),
            'never with bypass',
          )
      })

      together('what a person allowed for the execution is asked about once', async (t) => {
        const { id } = await submit([bash('touch a'), { text: 'and' }, bash('touch a'), READ_BACK])
        await decided(id, { decision: 'allow', appliesTo: 'execution' })
        t.match(await service.finished(id), { status: 'succeeded', attempt: 2 })
        t.equal((await typesOf(id)).filter((type) => type === 'approval.requested').length, 1)
      })

      together('of several calls in one reply each is held, and the last one is kept', async (t) => {
        const { id } = await submit([bash('echo one >> marks'), bash('echo two >> marks'), READ_BACK])
        const first = await asked(id)
        t.match(await held(first.id), /Other calls of the same reply/)
        t.match(await look(id), { status: 'running', waitingFor: 'approval' })
        t.match((await decide(first.id, { decision: 'allow' })).body, { status: 'allowed', heldBecause: undefined })
        const second = await asked(id, 2)
        await service.until(id, 'execution.parked')
        t.equal((await decide(second.id, { decision: 'allow' })).status, 200)
        t.match(await service.finished(id), { status: 'succeeded', attempt: 2 })
        t.equal(await marksOf(id), 'one\ntwo\n')
      })

      together('a task of a list is parked by itself, and found', async (t) => {
        const list = await service.submit({
          tasks: [scripted({ text: 'I begin.' }, bash('echo one >> marks'), READ_BACK), 'and then'],
          onPermissionNeeded: 'ask',
          permissionMode: 'default',
          approvalHoldSeconds: 0,
        })
        const { executionId: task } = (await service.until(list.id, 'task.started')).data
        const { id: approval } = await asked(task)
        await service.until(task, 'execution.parked')
        t.match(await look(list.id), {
          status: 'running',
          pendingApprovals: 1,
          tasks: [{ status: 'waiting_approval' }],
        })
        const listed = (await service.call('GET', '/executions?status=waiting_approval')).body.executions
        t.ok(listed.some(({ id }: Execution) => id === task))
        t.equal((await decide(approval, { decision: 'allow' })).status, 200)
        t.match(await service.finished(list.id), { status: 'succeeded', pendingApprovals: undefined })
      })

      together('nobody decides: it is denied, or the run fails; a cancel ends both', async (t) => {
        const denied = await submit([bash('touch late'), READ_BACK], { approvalTimeoutSeconds: 8 })
        const failed = await submit([bash('touch late')], { approvalTimeoutSeconds: 8, onApprovalTimeout: 'fail' })
        const cancelled = await submit([bash('touch late')])
        for (const { id } of [denied, failed, cancelled]) await service.until(id, 'execution.parked')
        await service.call('POST', `/executions/${cancelled.id}/cancel`)
        t.match(await service.finished(cancelled.id), { status: 'cancelled', pendingApprovals: undefined })
        t.match(await getApproval((await asked(cancelled.id)).id), { status: 'withdrawn' })
        t.match((await service.finished(failed.id)).outcome, { status: 'failed', code: 'APPROVAL_TIMEOUT' })
        t.match((await service.finished(denied.id)).outcome, { result: /Nobody decided on this call within 8 s/ })
        t.match((await service.until(denied.id, 'execution.unparked')).data, { by: 'approval timeout' })
        const receipt = (await service.call('GET', `/executions/${failed.id}/receipt`)).body
        t.match(receipt.approvals, [{ status: 'expired' }])
      })

      together('a message to a parked run is read when it continues', async (t) => {
        const { id } = await submit([bash('echo one >> marks'), READ_BACK])
        await service.until(id, 'execution.parked')
        await service.call('POST', `/executions/${id}/messages`, { body: { text: 'said meanwhile' } })
        await decided(id, { decision: 'allow' })
        t.match(await service.finished(id), { status: 'succeeded' })
        t.equal((await service.until(id, 'message.delivered')).attempt, 2)
        t.equal(await marksOf(id), 'one\n')
      })

      together('its timeout goes on where it stood, and ends it', async (t) => {
        const wait = (seconds: number): unknown => ({
          tool: 'Bash',
          input: { command: `perl -e 'select(undef,undef,undef,${seconds})'`, description: 'runs' },
        })
        const { id } = await submit([wait(8), { text: 'on' }, wait(300)], { timeoutSeconds: 40 })
        await decided(id, { decision: 'allow' })
        await service.until(id, 'execution.parked', 2)
        const spentMs = (await look(id)).usage.durationMs
        t.ok(spentMs >= 8_000, `${spentMs} ms of work are counted`)
        // Longer than what is left of it.
        await sleep(35_000)
        t.match(await look(id), { status: 'waiting_approval' })
        await decide((await asked(id, 2)).id, { decision: 'allow' })
        const done = await service.finished(id)
        t.match(done, { status: 'timed_out', attempt: 3, outcome: { status: 'timed_out' } })
        t.ok(done.usage.durationMs >= 40_000 && done.usage.durationMs < 75_000, `${done.usage.durationMs} ms`)
        t.match(await getApproval((await asked(id, 2)).id), { status: 'allowed' })
      })

      together('the clocks stand still, held and parked', async (t) => {
        const { id } = await submit([bash('echo one >> marks'), READ_BACK], {
          timeoutSeconds: 60,
          idleTimeoutSeconds: 50,
          approvalHoldSeconds: 2,
        })
        await service.until(id, 'execution.parked')
        await decided(id, { decision: 'allow' })
        const { activeMs } = { activeMs: (await service.finished(id)).usage.durationMs }
        t.match(await look(id), { status: 'succeeded' })
        t.ok(activeMs > 0)
      })
    }

    await Promise.all(jobs)
    if (!isWholeRange) return
    t.jobs = 1

    await t.test('a call of a subagent is held; where too many are, the oldest is given up', async (t) => {
      const first = await submit([bash('echo one >> marks'), bash('echo two >> marks'), READ_BACK])
      const { id: given } = await asked(first.id)
      t.match(await held(given), /Other calls/)
      const second = await submit([
        {
          tool: 'Agent',
          input: {
            description: 'a helper',
            prompt: scripted(bash('echo sub >> marks'), { text: 'helped' }),
            subagent_type: 'general-purpose',
          },
        },
        { text: 'end' },
      ])
      const { id: approval } = await asked(second.id)
      t.match(await held(approval), /subagent/)
      await until(async () => (await getApproval(given)).status === 'withdrawn', 'the older one is given up')
      t.match(await look(second.id), { status: 'running', waitingFor: 'approval' })
      await service.until(first.id, 'execution.parked')
      t.equal((await decide((await asked(first.id, 2)).id, { decision: 'allow' })).status, 200)
      t.equal((await decide(approval, { decision: 'allow' })).status, 200)
      for (const { id } of [first, second]) t.match(await service.finished(id), { status: 'succeeded' })
      t.same([await marksOf(first.id), await marksOf(second.id)], ['two\n', 'sub\n'])
      const said = service.simulator.requests.flatMap((request) => request.said ?? []).join()
      t.match(said, /Make it again later, in the main conversation/)
    })

    await t.test('a paused run stays so; a worker that is stopped parks what it holds', async (t) => {
      const { id } = await submit([bash('echo one >> marks'), READ_BACK], { approvalHoldSeconds: 3 })
      const { id: approval } = await asked(id)
      t.equal((await service.call('POST', `/executions/${id}/pause`)).status, 202)
      await service.until(id, 'execution.paused')
      t.match(await held(approval), /paused/)
      t.match(await look(id), { status: 'paused' })
      t.equal((await service.call('POST', `/executions/${id}/resume`)).status, 202)
      await service.until(id, 'execution.parked')
      const drained = await submit([bash('echo two >> marks'), READ_BACK], { approvalHoldSeconds: 600 })
      await asked(drained.id)
      await worker.close()
      t.match(await look(drained.id), { status: 'waiting_approval' }, 'whatever onWorkerLost says')
      worker = await service.openWorker()
      await decided(drained.id, { decision: 'allow' })
      await decided(id, { decision: 'allow' })
      for (const execution of [id, drained.id]) t.match(await service.finished(execution), { status: 'succeeded' })
      t.same([await marksOf(id), await marksOf(drained.id)], ['one\n', 'two\n'])
    })

    await t.test('a worker that dies leaves a parked run as it is, also one that continues lost workers', async (t) => {
      await worker.close()
      const victim = startCli(t, ['worker'], { ...service.environment, REDIS_URL: service.redis.url })
      await victim.said(/worker \S+: \d+ at once/)
      const { id } = await submit([bash('echo one >> marks'), READ_BACK], { onWorkerLost: 'continue' })
      await service.until(id, 'execution.parked')
      victim.kill('SIGKILL')
      await victim.ended
      worker = await service.openWorker()
      await decided(id, { decision: 'allow' })
      t.match(await service.finished(id), { status: 'succeeded', attempt: 2 })
      t.equal(await marksOf(id), 'one\n')
    })
  })
