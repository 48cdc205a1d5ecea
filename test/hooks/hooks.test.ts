// The operator's hooks, with all that a program can do wrong; the CLI is scripted. Those of task lists are in
// list-hooks.test.ts; what their file may say is in hooks-file.test.ts.
import { readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import { countTagged } from '../../src/supervision/containment.js'
import { once, repeat, until } from '../support/deadlines.js'
import { MIB, PATIENCE_SECONDS, SECRET, openHooks, stay, tell, untilExists } from './scene.js'

const { service, folder, hooksFile, submit, run, hookOf } = await openHooks(t)

// What hangs until its deadline does so while the others run.
const HANGING = `hook-survivor-${process.pid}`
const hanging = await submit({
  patience:
    `trap "" TERM; setsid ${stay(HANGING)} & (setsid nohup env -i ${stay(HANGING)} >/dev/null 2>&1 &); ` +
    `echo before; ${stay(HANGING)}`,
})

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
