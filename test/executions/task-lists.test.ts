// Task lists, with a scripted CLI where many tasks are wanted; the real one is in task-lists-real.test.ts.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { openWaiters } from '../support/waiters.js'
import { until as untilTrue } from '../support/deadlines.js'

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_CONCURRENCY: '4',
    CC_EXECUTOR_TOKENS: 'tester=a-long-enough-token:execute+read,other=another-long-token:admin',
  },
})
const TOKEN = { authorization: 'Bearer a-long-enough-token' }

type Step = Record<string, unknown>
const RESULT = {
  type: 'result',
  subtype: 'success',
  is_error: false,
  num_turns: 1,
  total_cost_usd: 0.25,
  usage: { input_tokens: 3, output_tokens: 4 },
  permission_denials: [],
}
const script = (...steps: Step[]): string => JSON.stringify(steps)
const answer = (result: string): Step => ({ line: { ...RESULT, result } })
const FAILS = script({ exit: 3 })
const HANGS = script({ line: { type: 'system', subtype: 'init', session_id: 's' } }, { hang: true })

const call = (method: string, path: string, body?: unknown) => service.call(method, path, { headers: TOKEN, body })
async function submit(body: Step): Promise<Execution> {
  const { status, body: execution, text } = await call('POST', '/execute', body)
  if (status !== 202) throw new Error(text)
  return execution
}
const waiters = openWaiters((method, path) => call(method, path))
const finished = ({ id }: Pick<Execution, 'id'>): Promise<Execution> => waiters.finished(id)
const events = ({ id }: Pick<Execution, 'id'>): Promise<Event[]> => waiters.events(id)
const until = <Type extends EventType>({ id }: Pick<Execution, 'id'>, type: Type, count = 1): Promise<Event<Type>> =>
  waiters.until(id, type, count)
const tasksOf = async ({ id }: Pick<Execution, 'id'>): Promise<Execution[]> =>
  (await call('GET', `/executions?parentId=${id}&limit=200`)).body.executions.toReversed()
const workspace = (name: string, file: string): string => join(service.directory, 'data/workspaces', name, file)

/** What a list's log must be, whatever happened: gapless, each task told once and in order, one end. */
function isOrderly(t: Test, log: readonly Event[], count: number): void {
  t.same(
    log.map(({ seq }) => seq),
    log.map((_event, index) => index + 1),
    'from 1, without a gap or a duplicate',
  )
  const told = log.flatMap(({ type, data }) => ('index' in data ? [`${type} ${data.index}`] : []))
  t.same(
    told,
    Array.from({ length: count }, (_none, index) => [`task.started ${index}`, `task.finished ${index}`]).flat(),
    'one after the other',
  )
  t.same(
    log.flatMap(({ type }, index) => (type === 'execution.finished' ? [index] : [])),
    [log.length - 1],
    'one end, the last',
  )
}

void t.test(
  'twenty tasks run strictly one after the other in one workspace, each in a context of its own, beside single runs',
  async (t) => {
    const step = (index: number): string =>
      script({ tool: `echo begin ${index} >> order; echo end ${index} >> order` }, answer(`done ${index}`))
    const list = await submit({
      tasks: Array.from({ length: 20 }, (_none, index) => step(index)),
      metadata: { team: 'docs' },
      timeoutSeconds: 600,
    })
    t.match(list, {
      kind: 'task_list',
      status: 'queued',
      taskCount: 20,
      tasks: [{ index: 0, status: 'queued' }],
      attempt: 0,
    })
    // None of them comes to its last task before the single run has had its turn.
    const gate = join(service.directory, 'go-single')
    const others = await Promise.all(
      [1, 2, 3, 4].map(() => submit({ tasks: ['another', 'another', 'another', script({ file: gate }, answer('x'))] })),
    )
    const single = await submit({ prompt: 'a single run' })
    t.match(await finished(single), { status: 'succeeded' }, 'lists do not starve a single run')
    await writeFile(gate, '')

    const done = await finished(list)
    t.match(done, {
      status: 'succeeded',
      outcome: { result: 'done 19' },
      usage: { turns: 20, inputTokens: 60, outputTokens: 80, costUsd: 5 },
    })
    t.same(
      done.tasks?.map(({ index, status }) => [index, status]),
      Array.from({ length: 20 }, (_none, index) => [index, 'succeeded']),
    )
    isOrderly(t, await events(list), 20)
    t.same(
      (await readFile(workspace(list.id, 'order'), 'utf8')).trim().split('\n'),
      Array.from({ length: 20 }, (_none, index) => [`begin ${index}`, `end ${index}`]).flat(),
    )
    const tasks = await tasksOf(list)
    t.equal(new Set(tasks.map(({ sessionId }) => sessionId)).size, 20, 'a session each')
    for (const [index, task] of tasks.entries())
      t.match(task, {
        kind: 'task',
        parentId: list.id,
        taskIndex: index,
        workspace: list.workspace,
        attempt: 1,
        metadata: { team: 'docs' },
      })

    const receipt = await call('GET', `/executions/${list.id}/receipt`)
    for (const { index, executionId, receipt: named } of receipt.body.tasks) {
      const { text, body } = await call('GET', `/executions/${executionId}/receipt`)
      t.equal(named.sha256, createHash('sha256').update(text).digest('hex'), `the receipt of tasks[${index}] is named`)
      t.match(body, { parentId: list.id, taskIndex: index })
    }
    const ndjson = await service.call('GET', `/executions/${list.id}/events`, {
      headers: { ...TOKEN, accept: 'application/x-ndjson' },
    })
    t.match((await call('POST', '/receipts/verify', { receipt: receipt.text, events: ndjson.text })).body, {
      valid: true,
    })
    for (const other of others) isOrderly(t, (await finished(other), await events(other)), 4)
  },
)

void t.test(
  'a task that fails ends the list, or does not, as was asked; its own fields stand in place of the list’s',
  async (t) => {
    const stopped = await submit({ tasks: ['one', FAILS, 'three'] })
    const continued = await submit({
      tasks: [
        'one',
        FAILS,
        { prompt: HANGS, timeoutSeconds: 0.3, metadata: { own: 'yes' } },
        { prompt: 'four', model: 'other' },
      ],
      onTaskFailure: 'continue',
      timeout_per_task: 20,
      model: 'all',
      metadata: { team: 'x' },
    })
    const first = await finished(stopped)
    t.match(first, {
      status: 'failed',
      outcome: {
        code: 'TASK_FAILED',
        message: /^tasks\[1\] of 3 ended as failed \(CLAUDE_EXITED\).* 1 of 3 tasks was not started\.$/,
      },
    })
    t.same(
      first.tasks?.map(({ status }) => status),
      ['succeeded', 'failed'],
    )
    isOrderly(t, await events(stopped), 2)

    t.match(await finished(continued), {
      status: 'failed',
      outcome: { code: 'TASK_FAILED', message: '2 of 4 tasks did not succeed: tasks[1], tasks[2].' },
    })
    isOrderly(t, await events(continued), 4)
    const [one, , three, four] = await tasksOf(continued)
    t.match(one?.request, { prompt: 'one', model: 'all', timeoutSeconds: 20 })
    t.match(three, { status: 'timed_out', request: { timeoutSeconds: 0.3 }, metadata: { team: 'x', own: 'yes' } })
    t.match(four, { status: 'succeeded', request: { prompt: 'four', model: 'other' } })
    t.notOk(four?.request.tasks)
    t.match(
      (await events(continued))
        .filter(({ type }) => type === 'task.finished')
        .map(({ data }) => ('code' in data ? data.code : undefined)),
      [undefined, 'CLAUDE_EXITED', 'TIMED_OUT', undefined],
    )
  },
)

void t.test(
  'cancelling a list cancels the task that runs and begins no other; a queued list never begins',
  async (t) => {
    const running = await submit({ tasks: ['one', HANGS, 'three'] })
    const { data: started } = await until(running, 'task.started', 2)
    t.match(await call('GET', `/executions/${running.id}`), { body: { status: 'running' } })
    t.match(await call('POST', `/executions/${running.id}/pause`), {
      status: 409,
      body: { code: 'NOT_RUNNING', detail: new RegExp(started.executionId) },
    })
    t.match(await call('DELETE', `/executions/${running.id}`), { status: 409, body: { code: 'NOT_FINISHED' } })
    t.match(await call('DELETE', `/executions/${(await tasksOf(running))[0]?.id}`), {
      status: 409,
      body: { code: 'NOT_FINISHED' },
    })
    await Promise.all([1, 2, 3].map(() => call('POST', `/executions/${running.id}/cancel`, { reason: 'enough' })))
    const done = await finished(running)
    t.match(done, {
      status: 'cancelled',
      outcome: {
        code: 'CANCELLED',
        message: 'Cancelled by tester: enough. 1 of 3 tasks succeeded, 1 was not started.',
      },
    })
    t.same(
      done.tasks?.map(({ status }) => status),
      ['succeeded', 'cancelled'],
    )
    const log = await events(running)
    isOrderly(t, log, 2)
    t.equal(log.filter(({ type }) => type === 'execution.cancel_requested').length, 1, 'the request is told once')
    t.match(await call('POST', `/executions/${running.id}/cancel`), { status: 200, body: { status: 'cancelled' } })

    const holder = await submit({ prompt: HANGS, workspace: 'taken' })
    await until(holder, 'execution.started')
    const waiting = await submit({ tasks: ['one', 'two'], workspace: 'taken' })
    await call('POST', `/executions/${waiting.id}/cancel`)
    t.match(await finished(waiting), { status: 'cancelled', tasks: [{ status: 'cancelled' }] })
    t.same(
      (await events(waiting)).map(({ type }) => type),
      ['execution.queued', 'execution.cancel_requested', 'task.finished', 'execution.finished'],
    )
    await call('POST', `/executions/${holder.id}/cancel`)
  },
)

void t.test('cancelling one task counts as its failure', async (t) => {
  const list = await submit({ tasks: [HANGS, 'two'], onTaskFailure: 'continue' })
  const { data } = await until(list, 'task.started')
  await call('POST', `/executions/${data.executionId}/cancel`)
  t.match(await finished(list), {
    status: 'failed',
    outcome: { code: 'TASK_FAILED' },
    tasks: [{ status: 'cancelled' }, { status: 'succeeded' }],
  })
})

void t.test('a list has its named workspace from its first task to its end', async (t) => {
  const gate = workspace('shared', 'gate')
  const list = await submit({
    tasks: [
      script({ tool: 'echo 1 >> order' }, answer('1')),
      script({ file: gate }, { tool: 'echo 2 >> order' }, answer('2')),
    ],
    workspace: 'shared',
  })
  await until(list, 'task.started', 2)
  const after = await submit({ prompt: script({ tool: 'echo after >> order' }, answer('x')), workspace: 'shared' })
  await untilTrue(
    async () => (await call('GET', `/executions/${after.id}`)).body.waitingFor === 'workspace',
    'the other one waits',
  )
  await writeFile(gate, '')
  t.match(await finished(after), { status: 'succeeded' })
  t.equal(await readFile(workspace('shared', 'order'), 'utf8'), '1\n2\nafter\n')
})

void t.test('tasks are listed by their list, and deleted with it', async (t) => {
  const list = await submit({ tasks: ['one', 'two', 'three'], metadata: { listed: 'yes' } })
  await finished(list)
  const listed = async (query: string) => (await call('GET', `/executions?metadata.listed=yes&${query}`)).body
  t.match((await listed('')).executions, [{ id: list.id, kind: 'task_list', taskCount: 3, tasks: undefined }])
  t.equal((await listed('')).executions.length, 1, 'its tasks are not among them')
  t.same((await listed('kind=run')).executions, [])
  t.match(await call('GET', '/executions?kind=task'), { status: 400, body: { errors: [{ path: 'kind' }] } })
  const page = await listed(`parentId=${list.id}&limit=2`)
  t.same(
    page.executions.map(({ taskIndex }: Execution) => taskIndex),
    [2, 1],
  )
  const rest = await listed(`parentId=${list.id}&limit=2&cursor=${page.nextCursor}`)
  t.match(rest, { executions: [{ taskIndex: 0 }], nextCursor: null })
  t.match(
    await service.call('GET', `/executions?parentId=${list.id}`, {
      headers: { authorization: 'Bearer another-long-token' },
    }),
    { status: 404 },
  )

  t.equal((await call('DELETE', `/executions/${list.id}`)).status, 204)
  for (const id of [list.id, ...page.executions.map((task: Execution) => task.id)])
    t.match(await call('GET', `/executions/${id}`), { status: 404 })
  await untilTrue(() => !existsSync(workspace(list.id, '.')), 'its folder is removed')
})

void t.test('what is wrong is named where it stands', async (t) => {
  const refuse = async (body: Step): Promise<unknown> => {
    const refused = await call('POST', '/execute', body)
    return [refused.status, refused.body.code, refused.body.errors?.map(({ path }: { path: string }) => path)]
  }
  t.same(await refuse({ tasks: [] }), [400, 'INVALID_REQUEST', ['tasks']])
  t.same(await refuse({ tasks: Array.from({ length: 501 }, () => 'x') }), [400, 'INVALID_REQUEST', ['tasks']])
  t.same(await refuse({ tasks: ['a', 'b', 'c', ''] }), [400, 'INVALID_REQUEST', ['tasks[3]']])
  t.same(await refuse({ tasks: ['a', 5] }), [400, 'INVALID_REQUEST', ['tasks[1]']])
  t.same(await refuse({ tasks: ['a', 'b', 'c', { prompt: '' }] }), [400, 'INVALID_REQUEST', ['tasks[3].prompt']])
  t.same(await refuse({ tasks: ['a', { model: 'x' }] }), [400, 'INVALID_REQUEST', ['tasks[1].prompt']])
  t.same(await refuse({ tasks: [{ prompt: 'a', workspace: 'b' }] }), [400, 'INVALID_REQUEST', ['tasks[0].workspace']])
  t.same(await refuse({ tasks: [{ prompt: 'a', json: false, outputSchema: {} }] }), [
    400,
    'INVALID_REQUEST',
    ['tasks[0].json'],
  ])
  t.same(await refuse({ tasks: ['a', { prompt: 'b', outputSchema: { type: 'array' } }] }), [
    400,
    'INVALID_REQUEST',
    ['tasks[1].outputSchema'],
  ])
  t.same(await refuse({ tasks: ['a', 'b'], outputSchema: { type: 'array' } }), [
    400,
    'INVALID_REQUEST',
    ['outputSchema'],
  ])
  t.same(await refuse({ tasks: ['a', { prompt: 'b', permissionMode: 'bypassPermissions' }] }), [
    403,
    'FORBIDDEN',
    ['tasks[1].permissionMode'],
  ])
  t.same(await refuse({ tasks: ['a'], prompt: 'b' }), [400, 'INVALID_REQUEST', ['prompt']])
  t.same(await refuse({ tasks: ['a'], session: { resume: 'x' } }), [400, 'INVALID_REQUEST', ['session']])
  t.same(await refuse({ tasks: [{ prompt: 'a', session: { resume: 'x' } }] }), [
    400,
    'INVALID_REQUEST',
    ['tasks[0].session'],
  ])
  t.same(await refuse({ tasks: ['a'], command: 'claude -p b', timeout: 5 }), [400, 'INVALID_REQUEST', ['command']])
  t.same(await refuse({ prompt: 'a', onTaskFailure: 'stop', timeout_per_task: 5 }), [
    400,
    'INVALID_REQUEST',
    ['onTaskFailure', 'timeout_per_task'],
  ])
  t.same(await refuse({ tasks: ['a', `${'x'.repeat(4 * 1024 * 1024)}x`] }), [413, 'PAYLOAD_TOO_LARGE', ['tasks[1]']])
})

void t.test('one key makes one list', async (t) => {
  const submitted = await Promise.all(
    [1, 2, 3, 4, 5].map(() =>
      service.call('POST', '/execute', {
        body: { tasks: ['one', 'two'] },
        headers: { ...TOKEN, 'idempotency-key': 'twice' },
      }),
    ),
  )
  t.equal(new Set(submitted.map(({ body }) => body.id)).size, 1)
  t.same(submitted.filter(({ status }) => status === 202).length, 1)
  isOrderly(t, (await finished(submitted[0]?.body), await events(submitted[0]?.body)), 2)
})
