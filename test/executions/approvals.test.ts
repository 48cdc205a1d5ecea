// What a run asks of people, with the real CLI: held until somebody decides, on every way in, and told in the log, the
// outcome and the receipt. In the run of all tests with both ends of the range.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { Approval } from '../../src/protocol/approvals.js'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import type { ReceiptReport } from '../../src/protocol/receipt.js'
import { isWhole } from '../support/cluster.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { openTestService, type TestService } from '../support/service.js'
import { once } from '../support/deadlines.js'

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command, description: 'a call' } })
const write = (file: string, content = 'text'): unknown => ({
  tool: 'Write',
  input: { file_path: `\${cwd}/${file}`, content },
})
/** What the call before it gave to the model. */
const READ_BACK = { text: '${lastToolResult}' }
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

function toolsOf(service: TestService) {
  const submit = (steps: readonly unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
    service.submit({ prompt: scripted(...steps), onPermissionNeeded: 'ask', permissionMode: 'default', ...more })
  const asked = async (id: string, count = 1): Promise<Approval> =>
    (await service.until(id, 'approval.requested', count)).data.approval
  const decide = (id: string, body: unknown, token?: string) =>
    service.call('POST', `/approvals/${id}/decision`, {
      body,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    })
  async function decided(id: string, body: unknown, count = 1): Promise<Approval> {
    const { status, body: approval, text } = await decide((await asked(id, count)).id, body)
    if (status !== 200) throw new Error(`not decided: ${status} ${text}`)
    return approval
  }
  const look = async (id: string): Promise<Execution> => (await service.call('GET', `/executions/${id}`)).body
  async function of<Type extends EventType>(id: string, type: Type): Promise<Array<Event<Type>['data']>> {
    // Safe: filtered by the type.
    return (await service.events(id))
      .filter((event) => event.type === type)
      .map(({ data }) => data as Event<Type>['data'])
  }
  const list = async (query: string, token?: string): Promise<Approval[]> =>
    (
      await service.call('GET', `/approvals${query}`, {
        ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      })
    ).body.approvals
  const makeToken = async (more: Record<string, unknown>): Promise<string> =>
    (await service.call('POST', '/tokens', { body: { name: 'somebody', ...more } })).body.secret
  return { service, submit, asked, decide, decided, look, of, list, makeToken }
}
type Tools = ReturnType<typeof toolsOf>

const checkOf = ({ outcome }: Execution, name: string): string | undefined =>
  outcome?.verification?.checks.find((check) => check.name === name)?.status

async function isSealed(t: Test, { service }: Tools, id: string, wanted: object[]): Promise<void> {
  const { text } = await service.call('GET', `/executions/${id}/receipt`)
  const receipt = JSON.parse(text) as { approvals: Array<{ id: string; inputSha256: string }> }
  t.match(receipt.approvals, wanted)
  const report = async (changed: string): Promise<ReceiptReport> =>
    (await service.call('POST', '/receipts/verify', { body: { receipt: changed } })).body
  t.match(await report(text), { valid: true })
  const [first] = receipt.approvals
  const flipped = text.replace(first?.inputSha256 ?? '', (digest) =>
    digest.replace(/^./, (one) => (one === '0' ? '1' : '0')),
  )
  t.match(await report(flipped), { valid: false, mismatches: [{ name: 'approvals' }] })
  const markdown = await service.call('GET', `/executions/${id}/receipt`, { headers: { accept: 'text/markdown' } })
  t.match(markdown.text, /## Approvals[^]*\| `Bash`[^]*by `default`/)
}

function testOn(name: string, env: NodeJS.ProcessEnv, isWholeRange: boolean): void {
  void t.test(`with ${name}`, async (t) => {
    const service = await openTestService(t, {
      env: {
        CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS: 'true',
        CC_EXECUTOR_MAX_OPEN_APPROVALS: '2',
        CC_EXECUTOR_CONCURRENCY: '3',
        ...env,
      },
    })
    const tools = toolsOf(service)
    const { submit, asked, decide, decided, look, of, list, makeToken } = tools
    t.jobs = 3
    const others: Array<PromiseLike<unknown>> = []
    const together = (title: string, run: (t: Test) => Promise<void>): void => void others.push(t.test(title, run))

    together(
      'a call waits on every surface; of two deciders one counts, and the other hears who and when',
      async (t) => {
        const { status, body: held } = await service.call('POST', '/execute', {
          body: {
            prompt: scripted(bash('touch a.txt'), { text: 'done' }),
            permissionMode: 'default',
            onPermissionNeeded: 'ask',
          },
          headers: { prefer: 'wait=50' },
        })
        t.equal(status, 202, 'who waits for the end is told that it waits for him')
        const { id } = held as Execution
        const approval = await asked(id)
        t.match(held, {
          status: 'running',
          waitingFor: 'approval',
          pendingApprovals: 1,
          pendingApprovalIds: [approval.id],
        })
        const { executions } = (await service.call('GET', '/executions')).body
        const listed = executions.find((one: Execution) => one.id === id)
        t.match(listed, { waitingFor: 'approval', pendingApprovalIds: [approval.id] }, 'in a list, too')
        t.match((await service.call('GET', `/executions/${id}/result`)).body, { code: 'NOT_FINISHED' })
        t.match(approval, {
          kind: 'tool',
          status: 'pending',
          tool: 'Bash',
          input: { command: 'touch a.txt' },
          suggestions: ['Bash(touch a.txt)'],
        })
        const token = await makeToken({ scopes: ['read', 'approve'], executionId: id })
        const reader = await makeToken({ scopes: ['read'], executionId: id })
        const stranger = await makeToken({ scopes: ['read', 'approve'] })
        t.match(await list(`?executionId=${id}`), [{ id: approval.id }])
        t.match(await list('', token), [{ id: approval.id }], 'a token of one execution sees that one')
        t.same(await list('', stranger), [], 'another token sees nothing')
        t.equal(await list(`?executionId=${id}`, stranger), undefined, 'nor that there is such an execution')
        const admin = await makeToken({ scopes: ['admin'] })
        for (const query of ['', `?executionId=${id}`])
          t.ok(
            (await list(query, admin)).some((one) => one.id === approval.id),
            'who administers sees those of all',
          )
        t.match(await decide(approval.id, { decision: 'allow' }, stranger), {
          status: 404,
          body: { code: 'APPROVAL_NOT_FOUND' },
        })
        t.match(await decide(approval.id, { decision: 'allow' }, reader), { status: 403 })
        t.match(await decide(UNKNOWN, { decision: 'allow' }), { status: 404 })
        for (const wrong of [
          { decision: 'answer', message: 'x' },
          { decision: 'allow', permissionMode: 'acceptEdits' },
          { decision: 'deny', input: {} },
          { decision: 'allow', appliesTo: 'execution', input: {} },
        ])
          t.match(await decide(approval.id, wrong), { status: 400 }, JSON.stringify(wrong))
        const answers = await Promise.all([
          decide(approval.id, { decision: 'allow' }, token),
          decide(approval.id, { decision: 'deny', message: 'too late' }),
        ])
        const [won] = answers.filter((answer) => answer.status === 200)
        const [lost] = answers.filter((answer) => answer.status === 409)
        const isAllowed = won?.body.status === 'allowed'
        t.match(won?.body, { decidedBy: isAllowed ? 'somebody' : 'default', appliesTo: 'call' })
        const closed = { status: won?.body.status, decidedBy: won?.body.decidedBy, decidedAt: won?.body.decidedAt }
        t.match(lost?.body, { code: 'APPROVAL_CLOSED', approval: closed })
        const again = isAllowed ? { decision: 'allow' } : { decision: 'deny', message: 'too late' }
        t.match(await decide(approval.id, again, isAllowed ? token : undefined), { status: 200, body: closed })
        t.match(
          await decide(approval.id, again, isAllowed ? undefined : token),
          { status: 409 },
          'of another token it is another',
        )
        const execution = await service.finished(id)
        t.match(execution, { status: 'succeeded', waitingFor: undefined, pendingApprovals: undefined })
        t.equal(existsSync(join(service.config.workspaceRoot, id, 'a.txt')), isAllowed)
        const types = (await service.events(id)).map(({ type }) => type)
        t.same(
          types.filter((type) => /^approval|^tool/.test(type)),
          [
            'tool.started',
            'approval.requested',
            'approval.decided',
            ...(isAllowed ? [] : ['tool.denied']),
            'tool.finished',
          ],
        )
        isWhole(t, await service.events(id))
      },
    )

    together('allowed for the execution, with another input, or denied word for word', async (t) => {
      const { id } = await submit([
        bash('touch a.txt'),
        { text: 'one' },
        bash('touch a.txt'),
        { text: 'two' },
        bash('touch wrong.txt'),
        { text: 'three' },
        bash('touch never.txt'),
        READ_BACK,
      ])
      await decided(id, { decision: 'allow', appliesTo: 'execution' })
      const changed = { command: 'touch right.txt', description: 'another one' }
      t.match(await decided(id, { decision: 'allow', input: changed }, 2), { changedInput: changed })
      await decided(id, { decision: 'deny', message: 'No: “never” means never.' }, 3)
      const execution = await service.finished(id)
      t.match(execution.outcome, {
        status: 'succeeded',
        result: 'No: “never” means never.',
        permissionDenials: [{ tool: 'Bash', by: 'default' }],
      })
      t.equal(checkOf(execution, 'permissions'), 'pass', 'a person’s denial is no fault of the settings')
      for (const [file, isThere] of [
        ['a.txt', true],
        ['right.txt', true],
        ['wrong.txt', false],
        ['never.txt', false],
      ] as const)
        t.equal(existsSync(join(service.config.workspaceRoot, id, file)), isThere, file)
      await isSealed(t, tools, id, [
        { status: 'allowed', appliesTo: 'execution', decidedBy: 'default', tool: 'Bash' },
        { status: 'allowed', changedInputSha256: /^[0-9a-f]{64}$/ },
        { status: 'denied', answerSha256: /^[0-9a-f]{64}$/ },
      ])
      t.equal((await list(`?executionId=${id}&status=denied,allowed`)).length, 3)
    })

    together('questions: several, of which some are answered; plans, with the mode that follows', async (t) => {
      const options = [
        { label: 'A', description: 'a' },
        { label: 'B', description: 'b' },
      ]
      const question = (text: string, multiSelect = false) => ({ question: text, header: text, options, multiSelect })
      const { id } = await submit([
        {
          tool: 'AskUserQuestion',
          input: { questions: [question('One'), question('Many', true), question('Free'), question('None')] },
        },
        READ_BACK,
      ])
      const { id: approvalId, questions } = await asked(id)
      t.match(questions, [{ index: 0, question: 'One', options }, { index: 1, multiSelect: true }, {}, {}])
      const answer = (...answers: object[]) => decide(approvalId, { decision: 'answer', answers })
      for (const wrong of [
        { questionIndex: 4, text: 'x' },
        { questionIndex: 0, labels: ['C'] },
        { questionIndex: 0, labels: ['A', 'B'] },
        { questionIndex: 0 },
      ])
        t.match(
          await answer(wrong),
          { status: 400, body: { errors: [{ path: /^answers\[0\]/ }] } },
          JSON.stringify(wrong),
        )
      t.match(await decide(approvalId, { decision: 'allow' }), { status: 400 })
      const given = [
        { questionIndex: 0, labels: ['B'], text: 'a note' },
        { questionIndex: 1, labels: ['A', 'B'] },
        { questionIndex: 2, text: 'neither of them' },
      ]
      t.match(await answer(...given), { status: 200, body: { status: 'answered' } })
      const { outcome } = await service.finished(id)
      for (const said of [/"One"="B".*a note/s, /"Many"="A, B"/, /"Free"="neither of them"/])
        t.match(outcome?.result, said)
      t.notMatch(outcome?.result, /"None"/)

      const plan = await submit(
        [
          { tool: 'ExitPlanMode', input: { plan: 'write it' } },
          { text: 'now' },
          write('planned.txt'),
          { text: 'done' },
        ],
        { permissionMode: 'plan' },
      )
      t.match(await asked(plan.id), { kind: 'plan', tool: 'ExitPlanMode' })
      await decided(plan.id, { decision: 'allow', permissionMode: 'acceptEdits' })
      t.match(await service.finished(plan.id), { status: 'succeeded' })
      t.equal((await of(plan.id, 'approval.requested')).length, 1, 'edits are accepted then')
      t.equal(existsSync(join(service.config.workspaceRoot, plan.id, 'planned.txt')), true)
    })

    if (!isWholeRange) return

    together('nobody decides: it is denied, or the run fails; what ends is withdrawn', async (t) => {
      const denied = await submit([bash('touch late.txt'), READ_BACK], { approvalTimeoutSeconds: 0.2 })
      const failed = await submit([bash('touch late.txt'), READ_BACK], {
        approvalTimeoutSeconds: 0.2,
        onApprovalTimeout: 'fail',
      })
      const cancelled = await submit([bash('touch late.txt'), READ_BACK])
      const { id: pending } = await asked(cancelled.id)
      await service.call('POST', `/executions/${cancelled.id}/cancel`)
      t.match((await service.finished(denied.id)).outcome, {
        status: 'succeeded',
        result: /Nobody decided on this call/,
      })
      t.match((await service.finished(failed.id)).outcome, { status: 'failed', code: 'APPROVAL_TIMEOUT' })
      t.match(await service.finished(cancelled.id), { status: 'cancelled', pendingApprovals: undefined })
      t.equal((await of(denied.id, 'approval.expired')).length, 1)
      t.match(await of(cancelled.id, 'approval.withdrawn'), [{ approvalId: pending }])
      t.match(await decide(pending, { decision: 'allow' }), {
        status: 409,
        body: { approval: { status: 'withdrawn' } },
      })
      t.match(await service.call('GET', `/executions/${cancelled.id}/receipt`), {
        body: { approvals: [{ status: 'withdrawn' }] },
      })
      t.equal(checkOf(await look(denied.id), 'permissions'), 'fail', 'it was no person who denied it')
    })

    together(
      'a task list tells of its tasks’ approvals; more at once than the limit are denied with the reason',
      async (t) => {
        const read = (file: string): unknown => ({ tool: 'Read', input: { file_path: file } })
        const { body: held } = await service.call('POST', '/execute', {
          body: {
            tasks: [
              {
                prompt: scripted(read('/etc/hosts'), read('/etc/hostname'), read('/etc/os-release'), READ_BACK),
                onPermissionNeeded: 'ask',
              },
              { prompt: scripted(bash('touch b.txt'), { text: 'denied' }), onPermissionNeeded: 'deny' },
            ],
            permissionMode: 'default',
          },
          headers: { prefer: 'wait=50' },
        })
        const { id } = held as Execution
        t.match(held, { kind: 'task_list', status: 'running', waitingFor: 'approval' })
        const [task] = (await look(id)).tasks ?? []
        await asked(task?.id ?? '', 2)
        t.equal((await look(id)).pendingApprovals, 2)
        const approvals = await list(`?executionId=${id}`)
        t.equal(approvals.length, 2, 'the list’s are its tasks’')
        t.ok(approvals.every(({ executionId }) => executionId === task?.id))
        for (const approval of approvals) await decide(approval.id, { decision: 'allow' })
        const { outcome } = await service.finished(task?.id ?? '')
        t.match(outcome?.permissionDenials, [{ tool: 'Read', by: undefined }])
        t.match(await service.finished(id), { status: 'succeeded', pendingApprovals: undefined })
        const [, other] = (await look(id)).tasks ?? []
        t.match((await look(other?.id ?? '')).outcome?.permissionDenials, [{ by: undefined }])
      },
    )

    together('where nobody can be asked nobody is: dontAsk is refused, bypass gets into no plan mode', async (t) => {
      const ask = (more: object) =>
        service.call('POST', '/execute', { body: { prompt: 'x', onPermissionNeeded: 'ask', ...more } })
      t.match(await ask({ permissionMode: 'dontAsk' }), {
        status: 400,
        body: { errors: [{ path: 'onPermissionNeeded' }] },
      })
      t.match(await ask({ prompt: undefined, tasks: ['x', { prompt: 'y', permissionMode: 'dontAsk' }] }), {
        status: 400,
      })
      const { id } = await submit([{ tool: 'EnterPlanMode', input: {} }, READ_BACK], {
        permissionMode: 'bypassPermissions',
      })
      t.match((await service.finished(id)).outcome?.result, /No such tool available/)
      const [{ argv } = { argv: [] }] = await of(id, 'execution.started')
      t.match(argv.join(' '), /--permission-prompt-tool=stdio --disallowedTools=EnterPlanMode/)
    })

    together('a client of the original is asked nothing, whatever the operator has set', async (t) => {
      const socket = new WebSocket(`${service.url().replace('http', 'ws')}/ws/mcp`, [
        'cc-executor',
        `bearer.${service.token}`,
      ])
      await once(socket, 'message')
      const params = { command: "claude -p 'Say hello'" }
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execute', params }))
      const [answer] = await once(socket, 'message')
      socket.terminate()
      const { result } = JSON.parse(String(answer)) as { result: { execution_id: string } }
      t.match((await look(result.execution_id)).request, { onPermissionNeeded: 'deny' })
    })

    void t.test(
      'a worker that stops parks a call that waits; what was allowed for the execution stays so',
      async (t) => {
        await Promise.all(others)
        const { id } = await submit([
          bash('touch a.txt'),
          { text: 'first' },
          bash('echo once >> marks'),
          { text: 'end' },
        ])
        await decided(id, { decision: 'allow', appliesTo: 'execution' })
        const second = await asked(id, 2)
        await service.workers[0]?.close('at once')
        t.match(await look(id), { status: 'waiting_approval', pendingApprovalIds: [second.id] })
        t.match(await decide(second.id, { decision: 'allow' }), { status: 200 })
        await service.openWorker()
        await service.until(id, 'execution.started', 2)
        const { argv } = (await of(id, 'execution.started')).at(-1) ?? { argv: [] }
        t.match(argv.join(' '), /--allowedTools=Bash\(touch a\.txt\)/, 'what was allowed for the execution stays so')
        t.match(await service.finished(id), { status: 'succeeded', attempt: 2 })
        isWhole(t, await service.events(id))
        t.equal(await readFile(join(service.config.workspaceRoot, id, 'marks'), 'utf8').catch(() => ''), 'once\n')
      },
    )
  })
}

for (const [index, { name, env }] of listClaudeVersions().entries()) testOn(name, env, index === 0)
