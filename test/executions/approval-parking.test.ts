// A run that waits for a person gives its worker back, and continues that very call when somebody has decided: with the
// real CLI, in the run of all tests with both ends of the range.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Approval } from '../../src/protocol/approvals.js'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command, description: 'a call' } })
const READ_BACK = { text: 'Then: ${lastToolResult}' }

for (const { name, env } of listClaudeVersions())
  void t.test(`with ${name}`, async (t) => {
    const service = await openTestService(t, { env: { CC_EXECUTOR_CONCURRENCY: '1', ...env } })
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
    const look = async (id: string): Promise<Execution> => (await service.call('GET', `/executions/${id}`)).body
    const marksOf = (id: string): Promise<string> =>
      readFile(join(service.config.workspaceRoot, id, 'marks'), 'utf8').catch(() => '')

    await t.test('the very call continues, once', async (t) => {
      const { id } = await submit([bash('echo one >> marks'), READ_BACK])
      const approval = await asked(id)
      const parked = await service.until(id, 'execution.parked')
      t.match(parked.data, { reason: 'approval', until: approval.expiresAt })
      t.match(await look(id), {
        status: 'waiting_approval',
        waitingFor: 'approval',
        pendingApprovalIds: [approval.id],
        parkedUntil: approval.expiresAt,
        attempt: 1,
        workerId: undefined,
        usage: { isCostIncomplete: undefined },
      })
      t.ok((await look(id)).usage.costUsd > 0)
      t.match((await decide(approval.id, { decision: 'allow' })).body, { status: 'allowed' })
      const done = await service.finished(id)
      t.match(done, { status: 'succeeded', attempt: 2, outcome: { result: /^Then: / } })
      t.equal(await marksOf(id), 'one\n')
      const types = (await service.events(id)).map(({ type }) => type)
      t.same(
        types.filter((type) => /^approval|^tool|parked/.test(type)),
        [
          'tool.started',
          'approval.requested',
          'execution.parked',
          'approval.decided',
          'execution.unparked',
          'tool.finished',
        ],
      )
    })
  })
