// The operator's hooks of task lists; the CLI is scripted.
import { readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { countTagged } from '../../src/supervision/containment.js'
import { act, openHooks, stay, tell, untilExists } from './scene.js'

const { service, folder, hookOf } = await openHooks(t)
const HANGING_IN_LIST = `list-hook-${process.pid}`
const hangingList = await service.submit({
  tasks: ['one'],
  metadata: act({
    'list-gate': 'exit 1',
    'list-patience': `trap "" TERM; ${stay(HANGING_IN_LIST)}`,
    'list-late': 'sleep 600',
    'list-after': 'exit 2',
  }),
})

/** What becomes of a task list, and the story of its log and of each task's. */
async function runList(tasks: unknown[], actions: Record<string, string>, more: Record<string, unknown> = {}) {
  const { id } = await service.submit({ tasks, metadata: act(actions), ...more })
  return readList(await service.finished(id))
}
async function readList(list: Execution) {
  const stories = await Promise.all(
    [list.id, ...(list.tasks ?? []).map((task) => task.id)].map(async (id) => tell(await service.events(id))),
  )
  return { list, log: stories[0] ?? [], tasks: stories.slice(1) }
}
const GATES = ['list-gate 0', 'list-patience 0', 'list-policy 0']
const GO = ['queued', 'gate 0', 'patience 0', 'policy 0', 'started']

void t.test(
  'a task list has hooks of its own: once before its first task and once after its last, in its own log, told what it is',
  async (t) => {
    const keep = (name: string): string =>
      `printf %s "$context" > ${folder}/${name}.json; env -0 > ${folder}/${name}.env; pwd > ${folder}/${name}.cwd`
    const servers = {
      mcpServers: {
        hidden: { type: 'http', url: 'https://mcp.example', headers: { Authorization: 'Bearer of-the-task' } },
      },
    }
    const { list, log, tasks } = await runList(
      ['one', { prompt: 'two', model: 'other', ...servers }],
      {
        'list-gate': keep('list-gate'),
        'list-policy': 'echo made > by-a-hook; pwd > $HOOK_WORKSPACE/where',
        'list-after': keep('list-after'),
        gate: `echo task >> ${folder}/gates`,
      },
      { timeout_per_task: 50 },
    )
    t.match(list, { status: 'succeeded', outcome: { result: 'heard: two' } })
    t.same(log, [
      'queued',
      ...GATES,
      'task.started 0',
      'task.finished 0',
      'task.started 1',
      'task.finished 1',
      'list-after 0',
      'list-late 0',
      'finished',
    ])
    t.same(
      tasks,
      [
        [...GO, 'after 0', 'finished'],
        [...GO, 'mcp.status', 'after 0', 'finished'],
      ],
      'beside those of each task',
    )
    const events = await service.events(list.id)
    t.same(
      events.map(({ seq }) => seq),
      events.map((_event, index) => index + 1),
      'without gaps',
    )
    t.match(await hookOf(list, 'list-gate'), { stage: 'pre-task-list', ending: 'exited', exitCode: 0 })

    const read = async (name: string): Promise<Record<string, unknown>> =>
      JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as Record<string, unknown>
    const workspace = join(service.config.workspaceRoot, list.id)
    const before = await read('list-gate')
    t.match(before, {
      stage: 'pre-task-list',
      hook: 'list-gate',
      executionId: list.id,
      kind: 'task_list',
      attempt: 0,
      workspace,
      request: { timeoutSeconds: 50, onTaskFailure: 'stop' },
    })
    t.match(before['tasks'], [
      { index: 0, prompt: 'one', executionId: list.tasks?.[0]?.id, status: 'queued' },
      { index: 1, prompt: 'two', model: 'other', mcpServers: ['hidden'], executionId: undefined },
    ])
    t.notMatch(JSON.stringify(before), /of-the-task/)
    const after = await read('list-after')
    t.match(after, {
      stage: 'post-task-list',
      kind: 'task_list',
      outcome: { status: 'succeeded', result: 'heard: two' },
      usage: { turns: 2 },
      tasks: [{ status: 'succeeded' }, { executionId: list.tasks?.[1]?.id, status: 'succeeded' }],
    })
    t.match(await readFile(join(folder, 'list-after.env'), 'utf8'), new RegExp(`HOOK_EXECUTION_ID=${list.id}`))
    t.equal((await readFile(join(workspace, 'where'), 'utf8')).trim(), workspace)
    t.equal(
      (
        await service.call('POST', '/receipts/verify', {
          body: { receipt: (await service.call('GET', `/executions/${list.id}/receipt`)).text },
        })
      ).body.valid,
      true,
    )
  },
)

void t.test(
  'exit 2 before a list refuses all of it, also where failures do not end it: no task is begun',
  async (t) => {
    const mark = join(folder, 'list-vetoed')
    const { list, log, tasks } = await runList(
      [JSON.stringify([{ mark }]), JSON.stringify([{ mark }])],
      { 'list-gate': 'echo not this week >&2; exit 2' },
      { onTaskFailure: 'continue' },
    )
    t.match(list, {
      status: 'failed',
      outcome: { code: 'HOOK_VETOED', message: "The operator's hook list-gate refused it: not this week" },
      tasks: [{ status: 'failed' }],
    })
    t.equal(list.tasks?.length, 1)
    t.same(
      log,
      ['queued', 'list-gate 2', 'task.finished 0', 'alarm 0', 'absent not_found', 'finished'],
      'on-failure of the list, and no post-task-list, as it was never begun',
    )
    t.same(tasks, [['queued', 'alarm 0', 'absent not_found', 'finished']])
    t.match(await service.finished(String(list.tasks?.[0]?.id)), { outcome: { code: 'HOOK_VETOED' }, attempt: 0 })
    t.notOk(existsSync(mark))
  },
)

void t.test(
  'whatever else goes wrong before a list stands in its way only where the hook is required; what hangs is ended',
  async (t) => {
    const { list, log } = await readList(await service.finished(hangingList.id))
    t.match(list, { status: 'succeeded' })
    t.same(log, [
      'queued',
      'list-gate 1',
      'list-patience timed_out',
      'list-policy 0',
      'task.started 0',
      'task.finished 0',
      'list-after 2',
      'list-late timed_out',
      'finished',
    ])
    t.equal(countTagged(HANGING_IN_LIST), 0)
    const refused = await runList(['one', 'two'], { 'list-policy': 'kill -SEGV $$' })
    t.match(refused.list, {
      status: 'failed',
      outcome: {
        code: 'HOOK_FAILED',
        message: /list-policy of the operator was terminated by a signal/,
      },
    })
  },
)

void t.test(
  'a list that failed has post-task-list and then on-failure, one that was cancelled only the former',
  async (t) => {
    const failed = await runList(['[{"exit":3}]', 'two'], {
      'list-after': `printf %s "$context" > ${folder}/list-failed.json`,
    })
    t.match(failed.list, { status: 'failed', outcome: { code: 'TASK_FAILED' } })
    t.same(failed.log.slice(4), [
      'task.started 0',
      'task.finished 0',
      'list-after 0',
      'list-late 0',
      'alarm 0',
      'absent not_found',
      'finished',
    ])
    t.match(JSON.parse(await readFile(join(folder, 'list-failed.json'), 'utf8')), {
      outcome: { code: 'TASK_FAILED' },
      tasks: [{ status: 'failed' }, { index: 1, status: undefined }],
    })

    const { id } = await service.submit({
      tasks: ['[{"line":{"type":"system","subtype":"init"}},{"hang":true}]', 'two'],
    })
    await service.until(id, 'task.started')
    await service.call('POST', `/executions/${id}/cancel`)
    const cancelled = await readList(await service.finished(id))
    t.match(cancelled.list, { status: 'cancelled' })
    t.same(
      cancelled.log.slice(4).filter((step) => step !== 'cancel_requested'),
      ['task.started 0', 'task.finished 0', 'list-after 0', 'list-late 0', 'finished'],
    )
  },
)

void t.test('a cancel ends the hooks of a list: before it nothing is begun, after it the outcome stays', async (t) => {
  const early = await service.submit({
    tasks: ['one', 'two'],
    onTaskFailure: 'continue',
    metadata: act({ 'list-gate': `touch ${folder}/list-gate-runs; sleep 600` }),
  })
  await untilExists(join(folder, 'list-gate-runs'))
  await service.call('POST', `/executions/${early.id}/cancel`)
  const nothing = await readList(await service.finished(early.id))
  t.match(nothing.list, { status: 'cancelled' })
  t.same(nothing.log, ['queued', 'cancel_requested', 'list-gate stopped', 'task.finished 0', 'finished'])

  const late = await service.submit({
    tasks: ['one', 'two'],
    metadata: act({ 'list-after': `touch ${folder}/list-after-runs; sleep 600` }),
  })
  await untilExists(join(folder, 'list-after-runs'))
  t.match((await service.call('GET', `/executions/${late.id}`)).body, {
    status: 'running',
    tasks: [{ status: 'succeeded' }, { status: 'succeeded' }],
  })
  await service.call('POST', `/executions/${late.id}/cancel`)
  const done = await readList(await service.finished(late.id))
  t.match(done.list, { status: 'succeeded', outcome: { result: 'heard: two' } })
  t.same(done.log.slice(-3), ['cancel_requested', 'list-after stopped', 'finished'])
})

void t.test(
  'the first task being cancelled takes the hooks of the list not with it: the next one is not begun without them',
  async (t) => {
    const { id } = await service.submit({
      tasks: ['one', 'two'],
      onTaskFailure: 'continue',
      metadata: act({ 'list-policy': `[[ -e ${folder}/policy-once ]] || { touch ${folder}/policy-once; sleep 600; }` }),
    })
    await untilExists(join(folder, 'policy-once'))
    const [first] = (await service.call('GET', `/executions/${id}`)).body.tasks
    await service.call('POST', `/executions/${first.id}/cancel`)
    const { list, log } = await readList(await service.finished(id))
    t.match(list, { status: 'failed', tasks: [{ status: 'cancelled' }, { status: 'succeeded' }] })
    t.same(log, [
      'queued',
      'list-gate 0',
      'list-patience 0',
      'list-policy stopped',
      'task.finished 0',
      'list-policy 0',
      'task.started 1',
      'task.finished 1',
      'list-after 0',
      'list-late 0',
      'alarm 0',
      'absent not_found',
      'finished',
    ])
  },
)
