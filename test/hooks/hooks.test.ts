// The operator's hooks, with all that a program can do wrong; the CLI is scripted. What their file may say is in
// hooks-file.test.ts.
import { readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { countTagged } from '../../src/supervision/containment.js'
import { makeFolder } from '../support/processes.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { once, repeat, until } from '../support/deadlines.js'

const MIB = 1024 * 1024
const SECRET = 'a-secret-that-only-one-hook-may-see'
const HOOK = join(ROOT, 'test/fixtures/hook.sh')
/** Of hooks that must not reach it everywhere else, on a machine that holds a process up for seconds. */
const PATIENCE_SECONDS = 20

const folder = await makeFolder(t)
const hooksFile = join(folder, 'hooks.json')
const hook = (name: string, more: object = {}): object => ({ name, command: [HOOK, name], timeoutSeconds: 60, ...more })
await writeFile(
  hooksFile,
  JSON.stringify({
    timeoutSeconds: 60,
    env: { GREETING: 'good day' },
    'pre-execute': [
      hook('gate', { passEnv: ['HOOK_TEST_SECRET'] }),
      hook('patience', { timeoutSeconds: PATIENCE_SECONDS }),
      hook('policy', { required: true, cwd: 'workspace' }),
    ],
    'post-execute': hook('after'),
    'pre-task-list': [
      hook('list-gate'),
      hook('list-patience', { timeoutSeconds: PATIENCE_SECONDS }),
      hook('list-policy', { required: true, cwd: 'workspace' }),
    ],
    'post-task-list': [hook('list-after'), hook('list-late', { timeoutSeconds: PATIENCE_SECONDS })],
    'on-failure': [hook('alarm'), { name: 'absent', command: ['./not-there.sh'] }],
  }),
)

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_AUTH: 'open',
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_CONCURRENCY: '8',
    CC_EXECUTOR_HOOKS: hooksFile,
    CC_EXECUTOR_TOKENS: `ops=${SECRET}-too`,
    ANTHROPIC_API_KEY: `${SECRET}-three`,
    HOOK_TEST_SECRET: SECRET,
  },
})

/** Metadata that tell a hook what to do. */
const act = (actions: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(actions).map(([name, code]) => [name, Buffer.from(code).toString('base64')]))
const submit = (actions: Record<string, string>, more: Record<string, unknown> = {}): Promise<Execution> =>
  service.submit({ prompt: 'hello', metadata: act(actions), ...more })
const run = async (actions: Record<string, string>, more: Record<string, unknown> = {}): Promise<Execution> =>
  service.finished((await submit(actions, more)).id)
/** The log as a story: types, and of hooks stage, name and how they ended. */
const tell = (events: readonly Event[]): string[] =>
  events
    .filter(({ type }) => !['text.delta', 'claude.message', 'progress'].includes(type))
    .map((event) =>
      is(event, 'hook.finished')
        ? `${event.data.name} ${event.data.exitCode ?? event.data.ending}`
        : `${event.type.replace('execution.', '')}${'index' in event.data ? ` ${event.data.index}` : ''}`,
    )
const is = <Type extends EventType>(event: Event, type: Type): event is Event<Type> => event.type === type
async function hookOf({ id }: Execution, name: string): Promise<Event<'hook.finished'>['data']> {
  const found = (await service.events(id)).find(
    (event): event is Event<'hook.finished'> => is(event, 'hook.finished') && event.data.name === name,
  )
  if (!found) throw new Error(`there is no event of ${name}`)
  return found.data
}

// What hangs until its deadline does so while the others run.
const HANGING = `hook-survivor-${process.pid}`
const HANGING_IN_LIST = `list-hook-${process.pid}`
const stay = (tag: string): string => `bash -c 'trap "" TERM HUP; while :; do sleep 5; done' ${tag}`
const hanging = await submit({
  patience:
    `trap "" TERM; setsid ${stay(HANGING)} & (setsid nohup env -i ${stay(HANGING)} >/dev/null 2>&1 &); ` +
    `echo before; ${stay(HANGING)}`,
})
const hangingList = await service.submit({
  tasks: ['one'],
  metadata: act({
    'list-gate': 'exit 1',
    'list-patience': `trap "" TERM; ${stay(HANGING_IN_LIST)}`,
    'list-late': 'sleep 600',
    'list-after': 'exit 2',
  }),
})
const untilExists = (path: string): Promise<void> => until(() => existsSync(path), path)

void t.test('they run in order, each an event, and the end comes last', async (t) => {
  const execution = await run({})
  t.match(execution, { status: 'succeeded', outcome: { result: 'heard: hello' }, attempt: 1 })
  const events = await service.events(execution.id)
  t.same(tell(events), ['queued', 'gate 0', 'patience 0', 'policy 0', 'started', 'after 0', 'finished'])
  t.same(
    events.map(({ seq }) => seq),
    events.map((_event, index) => index + 1),
    'without gaps',
  )
  t.match(await hookOf(execution, 'gate'), {
    stage: 'pre-execute',
    exitCode: 0,
    output: '',
    outputBytes: 0,
    ending: 'exited',
  })
})

void t.test('a hook reads its execution as JSON, and sees no secret that it was not given', async (t) => {
  const mcpServers = {
    local: { type: 'http', url: 'https://mcp.example', headers: { Authorization: 'Bearer of-the-caller' } },
  }
  const write = (name: string): string =>
    `printf %s "$context" > ${folder}/${name}.json; env -0 > ${folder}/${name}.env; pwd > ${folder}/${name}.cwd`
  const execution = await run(
    { gate: `${write('gate')}; echo "it is $HOOK_TEST_SECRET"`, policy: write('policy'), after: write('after') },
    { mcpServers, workspace: 'named' },
  )
  const read = async (name: string): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as Record<string, unknown>
  const workspace = join(service.config.workspaceRoot, 'named')
  const gate = await read('gate')
  t.match(gate, {
    stage: 'pre-execute',
    hook: 'gate',
    executionId: execution.id,
    attempt: 1,
    workspace,
    request: { prompt: 'hello', timeoutSeconds: 600, mcpServers: ['local'] },
  })
  t.notMatch(JSON.stringify(gate), /of-the-caller/)
  t.notOk('outcome' in gate)
  t.match(await read('after'), {
    stage: 'post-execute',
    outcome: { status: 'succeeded', result: 'heard: hello' },
    usage: { turns: 1 },
    sessionId: execution.sessionId,
  })

  const environment = async (name: string): Promise<Map<string, string>> =>
    new Map(
      (await readFile(join(folder, `${name}.env`), 'utf8'))
        .split('\0')
        .map((entry) => [entry.split('=')[0] ?? '', entry.split('=').slice(1).join('=')]),
    )
  const [named, unnamed] = [await environment('gate'), await environment('after')]
  t.match(Object.fromEntries(named), {
    GREETING: 'good day',
    HOOK_TEST_SECRET: SECRET,
    HOOK_STAGE: 'pre-execute',
    HOOK_EXECUTION_ID: execution.id,
    HOOK_WORKSPACE: workspace,
  })
  t.notMatch(JSON.stringify([...unnamed]), SECRET)
  t.same(
    [...unnamed.keys()].filter((name) => /^(?:REDIS|ANTHROPIC|CLAUDE|CC_EXECUTOR_(?!ATTEMPT$))/.test(name)),
    [],
  )
  t.equal((await hookOf(execution, 'gate')).output, 'it is …\n', 'nor does its caller see it')
  t.same(
    await Promise.all(
      ['gate', 'policy'].map(async (name) => (await readFile(join(folder, `${name}.cwd`), 'utf8')).trim()),
    ),
    [folder, workspace],
  )
})

void t.test('what a hook puts into the workspace is not counted as the run’s', async (t) => {
  const { id } = await run({ policy: 'echo made > by-a-hook' })
  const receipt = (await service.call('GET', `/executions/${id}/receipt`)).body
  t.match(receipt.files, { created: 0, before: { entries: 1 } }, JSON.stringify(receipt.files))
})

void t.test('exit 2 before an execution is a veto with its reason: the CLI never starts', async (t) => {
  const mark = join(folder, 'vetoed')
  const execution = await run({ gate: 'echo not on a Sunday >&2; exit 2' }, { prompt: JSON.stringify([{ mark }]) })
  t.match(execution, {
    status: 'failed',
    attempt: 0,
    outcome: { code: 'HOOK_VETOED', message: "The operator's hook gate refused it: not on a Sunday" },
  })
  t.notOk(existsSync(mark))
  t.same(tell(await service.events(execution.id)), ['queued', 'gate 2', 'alarm 0', 'absent not_found', 'finished'])
  t.equal((await service.call('GET', `/executions/${execution.id}/receipt`)).body.outcome.code, 'HOOK_VETOED')
})

void t.test('any other failure stands in the way only where the hook is required', async (t) => {
  t.match(await run({ gate: 'exit 1', after: 'exit 2' }), { status: 'succeeded' })
  const refused = await run({ policy: 'echo the list cannot be read; exit 1' })
  t.match(refused, {
    status: 'failed',
    outcome: {
      code: 'HOOK_FAILED',
      message: 'The required hook policy of the operator exited with 1: the list cannot be read',
    },
  })
})

void t.test(
  'a hook that hangs is ended at its deadline with all that it started, and the execution goes on',
  async (t) => {
    const execution = await service.finished(hanging.id)
    t.match(execution, { status: 'succeeded' })
    const report = await hookOf(execution, 'patience')
    t.match(report, { exitCode: null, ending: 'timed_out', output: 'before\n' })
    t.ok(report.durationMs >= PATIENCE_SECONDS * 1_000, `${report.durationMs} ms`)
    t.equal(countTagged(HANGING), 0)
  },
)

void t.test('nor does anything live on that a hook leaves behind when it exits', async (t) => {
  const tag = `hook-daemon-${process.pid}`
  const execution = await run({ gate: `(setsid bash -c 'while :; do sleep 5; done' ${tag} &)` })
  t.match(execution, { status: 'succeeded' })
  t.match(await hookOf(execution, 'gate'), { exitCode: 0 })
  t.equal(countTagged(tag), 0)
})

void t.test('a flood of 100 MB is drained in bounded memory, and its beginning and end are told', async (t) => {
  const before = process.memoryUsage().arrayBuffers
  let peak = 0
  const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage().arrayBuffers)), 5)
  const execution = await run({ gate: "echo the beginning; head -c 100000000 /dev/zero | tr '\\0' x; echo the end" })
  clearInterval(sampler)
  t.match(execution, { status: 'succeeded' })
  const { output, outputBytes } = await hookOf(execution, 'gate')
  t.equal(outputBytes, 100_000_000 + 'the beginning\nthe end\n'.length)
  t.match(output, /^the beginning\nxxx[^]*… \d+ bytes omitted …[^]*xxxthe end\n$/)
  t.ok(output.length < 9_000, `${output.length} characters`)
  t.ok(peak - before < 60 * MIB, `buffers grew by ${Math.round((peak - before) / MIB)} MiB`)
})

void t.test('a hook that dies by a signal, or does not read what it is given, harms nothing', async (t) => {
  const execution = await run({ gate: 'kill -SEGV $$', after: 'exec 0<&-; exit 0' }, { prompt: 'x'.repeat(MIB) })
  t.match(execution, { status: 'succeeded' })
  t.match(await hookOf(execution, 'gate'), { exitCode: null, ending: 'signalled', signal: 'SIGSEGV' })
})

void t.test('where what the CLI reads cannot be put in its folder, the run fails for that, and says so', async (t) => {
  const sessions = join(service.config.dataDir, 'sessions')
  const execution = await run(
    { gate: `mkdir -p ${sessions}/$HOOK_EXECUTION_ID/input/system-prompt` },
    { systemPrompt: 'Be short.' },
  )
  t.match(execution, {
    status: 'failed',
    attempt: 0,
    outcome: { code: 'WORKSPACE_ERROR', message: /The folders of the run could not be prepared/ },
  })
  t.match((await service.events(execution.id)).at(-1), { type: 'execution.finished' })
})

void t.test('a cancel ends a hook that runs, and nothing is started', async (t) => {
  const mark = join(folder, 'cancelled')
  const tag = `hook-cancelled-${process.pid}`
  const { id } = await submit(
    { gate: `touch ${folder}/gate-runs; bash -c 'while :; do sleep 5; done' ${tag}` },
    { prompt: JSON.stringify([{ mark }]) },
  )
  await untilExists(join(folder, 'gate-runs'))
  t.equal((await service.call('POST', `/executions/${id}/cancel`)).status, 202)
  t.match(await service.finished(id), { status: 'cancelled', attempt: 0, outcome: { code: 'CANCELLED' } })
  t.same(tell(await service.events(id)), ['queued', 'gate stopped', 'cancel_requested', 'finished'])
  t.notOk(existsSync(mark))
  t.equal(countTagged(tag), 0)
})

void t.test(
  'an execution that was cancelled has its post-execute and no on-failure; one that failed has both',
  async (t) => {
    const running = await submit(
      { after: `printf %s "$context" > ${folder}/after-cancel.json` },
      { prompt: '[{"line":{"type":"system","subtype":"init"}},{"hang":true}]' },
    )
    await service.until(running.id, 'claude.message')
    await service.call('POST', `/executions/${running.id}/cancel`)
    t.match(await service.finished(running.id), { status: 'cancelled' })
    t.same(tell(await service.events(running.id)).slice(4), ['started', 'cancel_requested', 'after 0', 'finished'])
    t.match(JSON.parse(await readFile(join(folder, 'after-cancel.json'), 'utf8')), { outcome: { status: 'cancelled' } })
    const failed = await run({}, { prompt: '[{"exit":3}]' })
    t.same(tell(await service.events(failed.id)).slice(5), ['after 0', 'alarm 0', 'absent not_found', 'finished'])
  },
)

void t.test('a cancel that comes after the result ends the hooks, and what happened stays', async (t) => {
  const { id } = await submit({ after: `touch ${folder}/after-runs; sleep 600` })
  await untilExists(join(folder, 'after-runs'))
  await service.call('POST', `/executions/${id}/cancel`)
  t.match(await service.finished(id), { status: 'succeeded', outcome: { result: 'heard: hello' } })
  t.same(tell(await service.events(id)).slice(5), ['cancel_requested', 'after stopped', 'finished'])
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

void t.test('hook_status tells the original’s clients', async (t) => {
  const socket = new WebSocket(`${service.url().replace('http', 'ws')}/ws/mcp`)
  const ask = async (): Promise<Record<string, unknown>> => {
    socket.send('{"jsonrpc":"2.0","id":1,"method":"hook_status"}')
    return repeat(async () => {
      // Safe: the service's own answers.
      const message = JSON.parse(String((await once(socket, 'message'))[0])) as {
        id?: number
        result: Record<string, unknown>
      }
      return message.id === 1 ? message.result : undefined
    }, 'it is answered')
  }
  await once(socket, 'open')
  await until(
    async () => JSON.stringify((await ask())['recent_executions']).includes('hook_type'),
    'the worker has told of its runs',
  )
  t.match(await ask(), {
    enabled: true,
    config_path: hooksFile,
    hooks_configured: ['pre-execute', 'post-execute', 'pre-task-list', 'post-task-list', 'on-failure'],
    timeout: 60,
    parallel: false,
    recent_executions: [
      {
        hook_type: /^(?:(?:pre|post)-(?:execute|task-list)|on-failure)$/,
        name: String,
        duration: Number,
        timestamp: String,
      },
    ],
    statistics: { total: Number, failed: Number, vetoed: Number },
  })
  socket.close()
})

void t.test('a worker that stops ends a hook and hands its execution back', async (t) => {
  const { id } = await submit({ gate: `[[ -e ${folder}/once ]] || { touch ${folder}/once; sleep 600; }` })
  await untilExists(join(folder, 'once'))
  await service.workers[0]?.close('at once')
  await service.openWorker()
  t.match(await service.finished(id), { status: 'succeeded' })
  t.same(tell(await service.events(id)), [
    'queued',
    'gate stopped',
    'gate 0',
    'patience 0',
    'policy 0',
    'started',
    'after 0',
    'finished',
  ])
})
