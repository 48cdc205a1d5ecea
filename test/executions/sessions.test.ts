// An execution goes on with the conversation of an earlier one: with all that was said in it, in its workspace, on any
// worker, one at a time.
import { existsSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { openClient } from '../../src/client/open-client.js'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { lasting, scripted } from '../support/environment.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { startCli } from '../support/processes.js'
import { openTestService, type Answer } from '../support/service.js'
import { until } from '../support/deadlines.js'

const service = await openTestService(t, { workers: 2, env: { CC_EXECUTOR_CONCURRENCY: '8' } })
const OTHER = 'other-owner-0123456789abcdef0123456789abcdef'
await service.openApi({ CC_EXECUTOR_TOKENS: `other=${OTHER}` })

const NOWHERE = '5b0f8d6e-0000-4000-8000-000000000000'
const post = (body: Record<string, unknown>): Promise<Answer> => service.call('POST', '/execute', { body })
const resume = (
  reference: string,
  prompt: string,
  more: Record<string, unknown> = {},
  fork = false,
): Promise<Execution> => service.submit({ prompt, session: { resume: reference, ...(fork && { fork }) }, ...more })
const run = async (body: Record<string, unknown>): Promise<Execution> =>
  service.finished((await service.submit(body)).id)
const goOn = async (...args: Parameters<typeof resume>): Promise<Execution> =>
  service.finished((await resume(...args)).id)
const cancel = async ({ id }: Execution): Promise<Execution> =>
  (await service.call('POST', `/executions/${id}/cancel`)).body
const look = async ({ id }: Execution): Promise<Execution> => (await service.call('GET', `/executions/${id}`)).body
const forget = (execution: Execution): Promise<Answer> => service.call('DELETE', `/executions/${execution.id}`)

/** Every text of the conversation as the model was given it with this prompt. */
const heard = (prompt: string): string =>
  service.simulator.requests.findLast((request) => request.prompt?.includes(prompt) === true)?.said?.join('\n') ?? ''

async function eventsOf<Type extends EventType>({ id }: Execution, type: Type): Promise<Array<Event<Type>>> {
  // Safe: filtered by the type.
  return (await service.events(id)).filter((event) => event.type === type) as Array<Event<Type>>
}
const argvOf = async (execution: Execution): Promise<string[]> =>
  (await eventsOf(execution, 'execution.started')).at(-1)?.data.argv ?? []
/** The conversation that later scenes go on with, and its latest execution. */
let base: Execution
let latest: Execution
const isAll = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
const sessionCheck = ({ outcome }: Execution): unknown =>
  outcome?.verification?.checks.find(({ name }) => name === 'session')

void t.test('a follow-up, and a follow-up of it, go on with the conversation in its workspace', async (t) => {
  const first = await run({
    prompt: scripted(
      { text: 'The word is heron.' },
      { tool: 'Write', input: { file_path: '${cwd}/word.txt', content: 'heron\n' } },
      { text: 'Written: the word heron.' },
    ),
  })
  t.match(first, { status: 'succeeded', resumedFrom: undefined })
  const second = await goOn(first.id, 'What was the word, asks number two?')
  t.match(second, {
    status: 'succeeded',
    attempt: 1,
    sessionId: first.sessionId,
    workspace: first.workspace,
    resumedFrom: first.id,
  })
  t.match(
    heard('asks number two'),
    /user: .*Do as the script says[^]*assistant: Written: the word heron\.[^]*user: What was the word, asks number two\?/,
  )
  t.ok((await argvOf(second)).includes(`--resume=${first.sessionId}`))
  t.match(sessionCheck(second), { status: 'pass' })
  t.ok(
    second.usage.costUsd > 0 && second.usage.turns === 1 && second.usage.costUsd < first.usage.costUsd,
    'it counts from zero',
  )
  t.same((await service.events(second.id)).map(({ seq }) => seq).at(0), 1, 'with a log of its own')

  const third = await goOn(String(first.sessionId), 'And asks number three?')
  t.match(
    third,
    { status: 'succeeded', sessionId: first.sessionId, resumedFrom: second.id },
    'by the id of the session its latest execution is meant',
  )
  t.match(heard('asks number three'), /asks number two[^]*asks number three/)
  const fourth = await goOn(first.id, 'Number four reads the file.', { workspace: first.workspace })
  t.match(
    fourth,
    { status: 'succeeded', resumedFrom: third.id },
    'an earlier execution leads to the same session, and the workspace may be named',
  )
  t.match(await post({ prompt: 'x', session: { resume: first.id }, workspace: 'elsewhere' }), {
    status: 400,
    body: { code: 'INVALID_REQUEST', detail: /workspace: .*continues in its workspace/ },
  })
  base = first
  latest = fourth
})

void t.test('it goes on on another worker, with a timeout or a cancel behind it', async (t) => {
  const [worker] = service.workers
  const slow = [{ text: 'I know the bird.' }, { tool: 'Bash', input: { command: lasting() } }]
  const cancelled = await service.submit({
    prompt: scripted(...slow),
    allowedTools: ['Bash'],
    metadata: { bird: 'wren' },
  })
  const slowly = scripted({ text: 'The tree is an elm.' }, { delayMs: 3_600_000 }, { text: 'never' })
  const timedOut =
    isAll &&
    withLongerClocks(4, async (timeoutSeconds) => {
      const ended = await run({ prompt: slowly, timeoutSeconds })
      return (await eventsOf(ended, 'text.delta')).length > 0 ? ended : undefined
    })
  const named = await run({ prompt: 'Remember the river Inn.', workspace: 'kept' })
  await service.until(cancelled.id, 'tool.started')
  await cancel(cancelled)
  t.match(await service.finished(cancelled.id), { status: 'cancelled' })
  const late = await timedOut
  if (late) t.match(late, { status: 'timed_out' })
  await Promise.all(service.workers.splice(0).map((old) => old.close()))
  const heir = await service.openWorker()
  t.not(heir.state.id, worker?.state.id)

  const [afterCancel, afterTimeout, elsewhere] = await Promise.all([
    goOn(cancelled.id, 'Go on after the cancel.'),
    late && goOn(late.id, 'Go on after the timeout.'),
    goOn(named.id, 'Go on in the named folder.'),
  ])
  for (const [before, after] of [
    [cancelled, afterCancel],
    [late, afterTimeout],
    [named, elsewhere],
  ] as const) {
    if (!before) continue
    t.match(after, {
      status: 'succeeded',
      sessionId: (await look(before)).sessionId,
      workerId: heir.state.id,
      workspace: before.workspace,
    })
  }
  t.match(heard('Go on after the cancel.'), /I know the bird[^]*Go on after the cancel/)
  if (late) t.match(heard('Go on after the timeout.'), /Do as the script says[^]*Go on after the timeout/)
  t.match(
    heard('Go on in the named folder.'),
    /user: Remember the river Inn\.[^]*assistant: Hello[^]*Go on in the named folder/,
  )
  t.match(elsewhere, { workspace: 'kept' })
})

void t.test('a fork has a session of its own and leaves the first untouched', async (t) => {
  const first = base
  const folder = join(service.directory, 'data/sessions', first.id, 'home/.claude/projects')
  const [project = ''] = await readdir(folder)
  const transcript = join(folder, project, `${first.sessionId}.jsonl`)
  const before = await readFile(transcript, 'utf8')
  const forks = await Promise.all(['left', 'right'].map((way) => resume(first.id, `Take the ${way} way.`, {}, true)))
  const [left, right] = (await Promise.all(forks.map(({ id }) => service.finished(id)))) as [Execution, Execution]
  t.match(
    [left, right],
    [
      { status: 'succeeded', resumedFrom: latest.id },
      { status: 'succeeded', resumedFrom: latest.id },
    ],
    'side by side; their runs take turns in the workspace',
  )
  t.equal(new Set([first.sessionId, left.sessionId, right.sessionId]).size, 3)
  t.equal(await readFile(transcript, 'utf8'), before)
  for (const fork of [left, right]) t.match(sessionCheck(fork), { status: 'pass' })
  const more = await goOn(left.id, 'Further on the left.')
  t.match(more, { status: 'succeeded', sessionId: left.sessionId, resumedFrom: left.id })
  t.match(heard('Further on the left.'), /heron[^]*Take the left way[^]*Further on the left/)
  t.notMatch(heard('Further on the left.'), /Take the right way/)
})

void t.test('one execution at a time has a session', async (t) => {
  const first = await service.submit({ prompt: scripted({ delayMs: 600_000 }, { text: 'x' }) })
  t.match(
    await post({ prompt: 'x', session: { resume: first.id } }),
    { status: 409, body: { code: 'SESSION_BUSY', retryable: true, detail: new RegExp(first.id) } },
    'also while it has not started',
  )
  const { data } = await service.until(first.id, 'execution.started')
  for (const session of [{ resume: data.sessionId }, { resume: first.id, fork: true }])
    t.match(await post({ prompt: 'x', session }), { status: 409, body: { code: 'SESSION_BUSY' } })
  await service.until(first.id, 'claude.message')
  await cancel(first)
  await service.finished(first.id)

  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      post({
        prompt: scripted({ delayMs: 600_000 }, { text: `Racer ${index}.` }),
        session: { resume: index % 2 === 0 ? first.id : data.sessionId },
      }),
    ),
  )
  const [winner, ...others] = answers.filter(({ status }) => status === 202)
  t.same(others, [], 'exactly one gets it')
  t.same(answers.filter(({ body }) => body.code === 'SESSION_BUSY').length, 19)
  t.match(winner?.body, { resumedFrom: first.id })
  await cancel(winner?.body)
  await service.finished(winner?.body.id)

  const key = { 'idempotency-key': 'follow-up' }
  const asked = { prompt: 'Once.', session: { resume: first.id } }
  const [one, two] = await Promise.all([service.submit(asked, key), service.submit(asked, key)])
  t.equal(one.id, two.id, 'the same key is the same execution, not a second that finds it busy')
  await cancel(one)
})

void t.test('a fork that has not begun keeps its session as it was', async (t) => {
  const first = await run({ prompt: 'The metal is zinc.', workspace: 'shared' })
  /** Whoever looks at it may have it at that moment. */
  const isCancelled = async (execution: Execution): Promise<void> => {
    await cancel(execution)
    const { sessionId } = execution
    t.match(await service.finished(execution.id), { status: 'cancelled', sessionId, attempt: 0 })
  }
  const holder = await service.submit({ prompt: scripted({ delayMs: 600_000 }, { text: 'x' }), workspace: 'shared' })
  await service.until(holder.id, 'execution.started')
  const fork = await resume(first.id, 'Forked.', {}, true)
  await until(async () => (await look(fork)).waitingFor === 'workspace', 'the fork waits for the workspace')
  t.match(await post({ prompt: 'x', session: { resume: first.id } }), {
    status: 409,
    body: { code: 'SESSION_BUSY', detail: new RegExp(fork.id) },
  })
  await isCancelled(fork)
  const follower = await resume(first.id, 'Follow.')
  t.equal(follower.sessionId, first.sessionId)
  await isCancelled(follower)
  t.match(await post({ prompt: 'x', session: { resume: fork.id } }), {
    status: 404,
    body: { code: 'SESSION_NOT_FOUND', detail: /ended before it was started/ },
  })
  const again = await resume(follower.id, 'Follow, again.')
  t.match(again, { sessionId: first.sessionId }, 'a follow-up that never ran leads on to its session')
  await isCancelled(again)
  await cancel(holder)
})

void t.test(
  'deleting takes an execution out of a conversation; its folder goes with the last one, and nothing is left',
  async (t) => {
    const first = await run({
      prompt: scripted(
        { tool: 'Write', input: { file_path: '${cwd}/tale.txt', content: 'once\n' } },
        { text: 'Once upon a time.' },
      ),
    })
    const second = await goOn(first.id, 'Then?')
    const fork = await goOn(first.id, 'Or else?', {}, true)
    const tale = join(service.config.workspaceRoot, first.id, 'tale.txt')
    t.match(await forget(first), { status: 204 })
    t.match(await post({ prompt: 'x', session: { resume: first.id } }), { status: 404 })
    const third = await goOn(String(first.sessionId), 'And then?')
    t.match(third, { status: 'succeeded', resumedFrom: second.id, workspace: first.id })
    t.match(heard('And then?'), /Once upon a time[^]*Then\?[^]*And then\?/)
    t.match(await forget(third), { status: 204 })
    t.match(await forget(second), { status: 204 })
    t.match(
      await post({ prompt: 'x', session: { resume: first.sessionId } }),
      { status: 404 },
      'of the first session nobody is left',
    )
    t.ok(existsSync(tale), 'the fork still needs the folder')
    t.match(await forget(fork), { status: 204 })

    const redis = new Redis(service.redis.url)
    const names = [first, second, third, fork].flatMap(({ id, sessionId }) => [id, String(sessionId)])
    const isNamed = (text: string): boolean => names.some((name) => text.includes(name))
    const folders = async (): Promise<string[]> =>
      [
        ...(await readdir(service.config.workspaceRoot)),
        ...(await readdir(join(service.config.dataDir, 'sessions'))),
      ].filter(isNamed)
    try {
      await until(async () => (await folders()).length === 0, 'the workers have removed the folders')
      await until(async () => (await redis.keys('*')).filter(isNamed).length === 0, 'no key is left')
    } finally {
      redis.disconnect()
    }
  },
)

void t.test(
  'the folder of a task list stays as long as somebody goes on with the conversation of one of its tasks',
  async (t) => {
    const list = await run({
      tasks: [
        scripted(
          { tool: 'Write', input: { file_path: '${cwd}/kept.txt', content: 'by a task\n' } },
          { text: 'The fish is a perch.' },
        ),
      ],
    })
    const [task] = list.tasks ?? []
    const kept = join(service.config.workspaceRoot, list.id, 'kept.txt')
    t.match(await post({ prompt: 'x', session: { resume: list.id } }), {
      status: 404,
      body: { code: 'SESSION_NOT_FOUND', detail: /task list.*tasks/ },
    })
    const follower = await goOn(String(task?.id), 'Which fish?')
    t.match(follower, { status: 'succeeded', workspace: list.id, resumedFrom: task?.id })
    const fork = await goOn(follower.id, 'Or another fish?', {}, true)
    // Another worker's sweep may come first; what is removed by the deletion itself is removed when this one is
    // answered.
    t.match(await forget(list), { status: 204 })
    const control = await run({ prompt: 'Removed, too.' })
    await forget(control)
    await until(
      () => !existsSync(join(service.config.workspaceRoot, control.id)),
      'the workers have removed what was deleted later',
    )
    t.ok(existsSync(kept), 'the follow-up needs it')
    t.match(await goOn(follower.id, 'The same fish?'), { status: 'succeeded', workspace: list.id })
    t.match(heard('The same fish?'), /The fish is a perch[^]*Which fish\?[^]*The same fish/)
    const executions = (await service.call('GET', '/executions?limit=2')).body.executions as Execution[]
    for (const execution of [...executions.filter(({ workspace }) => workspace === list.id), follower])
      if (execution.id !== fork.id) t.match(await forget(execution), { status: 204 })
    t.ok(existsSync(kept), 'and so does the fork')
    t.match(await forget(fork), { status: 204 })
    await until(() => !existsSync(kept), 'the last one takes it along')
  },
)

void t.test('a conversation with the scripted model is not continued by Claude, nor the other way round', async (t) => {
  const first = base
  const real = service.apis.length
  const unsimulated = { CC_EXECUTOR_SIMULATOR_URL: undefined }
  await service.openApi(unsimulated)
  for (const resume of [first.id, first.sessionId]) {
    const answer = await service.call('POST', '/execute', { api: real, body: { prompt: 'x', session: { resume } } })
    t.match(answer, { status: 404, body: { code: 'SESSION_NOT_FOUND', detail: /scripted model/, retryable: false } })
  }
  await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
  const queued = await resume(first.id, 'It waits for a worker.')
  await service.openWorker({
    ...unsimulated,
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    ANTHROPIC_API_KEY: 'of-a-scripted-cli',
  })
  t.match(
    await service.finished(queued.id),
    { status: 'failed', attempt: 0, outcome: { code: 'SESSION_NOT_FOUND', message: /scripted model/ } },
    'also where it was accepted before',
  )
  const byClaude = await service.finished(
    (await service.call('POST', '/execute', { api: real, body: { prompt: 'A word of Claude’s.' } })).body.id,
  )
  t.match(byClaude, { status: 'succeeded', simulated: false })
  t.match(await post({ prompt: 'x', session: { resume: byClaude.id } }), {
    status: 404,
    body: { code: 'SESSION_NOT_FOUND', detail: /Claude itself/ },
  })
  await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
  await service.openWorker()
  latest = await goOn(first.id, 'And a scripted one.')
  t.match(latest, { status: 'succeeded', sessionId: first.sessionId })
})

/** The CLI writes its transcript a moment after it has spoken. */
async function untilWritten(execution: Execution, pattern: RegExp): Promise<void> {
  const projects = join(service.config.dataDir, 'sessions', execution.workspace, 'home/.claude/projects')
  const { sessionId } = await look(execution)
  const read = async (): Promise<string> => {
    const [project = ''] = await readdir(projects)
    return readFile(join(projects, project, `${sessionId}.jsonl`), 'utf8').catch(() => '')
  }
  await until(async () => pattern.test(await read()), `the transcript of ${execution.id} holds ${String(pattern)}`)
}

const skip = isAll ? false : 'only in npm run test:all: many starts of the CLI'
void t.test(
  'a follow-up that its worker had to hand over goes on where it was, or begins again where it had done nothing',
  { skip },
  async (t) => {
    const work = [
      { tool: 'Bash', input: { command: 'echo made >> marks' } },
      { text: 'And on.' },
      { tool: 'Bash', input: { command: lasting() } },
    ]
    const silence = [{ delayMs: 8_000 }, { text: 'Said at last.' }]
    const firsts = await Promise.all(['one', 'two', 'three', 'four'].map((name) => run({ prompt: `Base ${name}.` })))
    const ask = (index: number, steps: unknown[], fork: boolean): Promise<Execution> =>
      resume(String(firsts[index]?.id), scripted(...steps), { allowedTools: ['Bash'], onWorkerLost: 'continue' }, fork)
    const busy = [await ask(0, work, false), await ask(1, work, true)] as const
    for (const execution of busy) {
      await service.until(execution.id, 'tool.started')
      await untilWritten(execution, /"tool_result"[^]*And on/)
    }
    const silent = [await ask(2, silence, false), await ask(3, silence, true)] as const
    for (const execution of silent) await service.until(execution.id, 'claude.message')
    const sessions = await Promise.all([...busy, ...silent].map(async (execution) => (await look(execution)).sessionId))
    await Promise.all(service.workers.splice(0).map((old) => old.close()))
    await service.openWorker()
    const [resumed, forked, again, forkedAgain] = (await Promise.all(
      [...busy, ...silent].map(({ id }) => service.finished(id)),
    )) as [Execution, Execution, Execution, Execution]
    for (const [index, execution] of [resumed, forked].entries()) {
      t.match(execution, { status: 'succeeded', attempt: 2, sessionId: sessions[index] })
      t.ok((await argvOf(execution)).includes(`--resume=${sessions[index]}`))
      t.match(
        (await eventsOf(execution, 'execution.started')).map(({ data }) => data.resumed),
        [undefined, true],
      )
      t.equal(
        await readFile(join(service.config.workspaceRoot, execution.workspace, 'marks'), 'utf8'),
        'made\n',
        'nothing is done twice',
      )
    }
    for (const execution of [again, forkedAgain]) {
      t.match(execution, { status: 'succeeded', attempt: 2, outcome: { result: 'Said at last.' } })
      t.match(
        (await eventsOf(execution, 'execution.started')).map(({ data }) => data.resumed),
        [undefined, undefined],
      )
    }
    t.equal(again.sessionId, firsts[2]?.sessionId)
    t.ok((await argvOf(forkedAgain)).includes(`--resume=${firsts[3]?.sessionId}`), 'a fork is made anew')
    t.match(await goOn(forkedAgain.id, 'After the fork.'), { status: 'succeeded', sessionId: forkedAgain.sessionId })
    t.match(
      await post({ prompt: 'x', session: { resume: sessions[3] } }),
      { status: 404 },
      'and the one that had done nothing is no session any more',
    )
  },
)

void t.test('a command, JSON-RPC and the command line say the same', async (t) => {
  const first = base
  const second = await run({ command: `claude --resume ${first.id} -p 'Again, by a command.'` })
  t.match(
    second,
    { status: 'succeeded', sessionId: first.sessionId, resumedFrom: latest.id },
    JSON.stringify(second.outcome),
  )
  t.match(heard('Again, by a command.'), /heron/)
  const client = openClient({ url: service.url(), token: service.token })
  t.teardown(() => client.close())
  await t.rejects(client.execute({ prompt: 'x', session: { resume: NOWHERE } }), { code: 'SESSION_NOT_FOUND' })
  const cli = startCli(
    t,
    ['run', '--resume', String(first.sessionId), '--fork', '--json', 'Again, by the command line.'],
    { ...service.environment, CC_EXECUTOR_URL: service.url() },
  )
  t.match(await cli.ended, { code: 0 })
  await cli.drained
  t.match(JSON.parse(cli.stdout()), { status: 'succeeded', resumedFrom: second.id })
  t.match(heard('Again, by the command line.'), /heron[^]*Again, by a command/)
  const alone = startCli(t, ['run', '--fork', 'x'], { ...service.environment, CC_EXECUTOR_URL: service.url() })
  t.match(await alone.ended, { code: 2 })
})

void t.test('what is not there, or not yours, is not found', async (t) => {
  const first = base
  for (const reference of [NOWHERE, 'x:y', '*'])
    t.match(await post({ prompt: 'x', session: { resume: reference } }), {
      status: 404,
      body: { code: 'SESSION_NOT_FOUND', retryable: false },
    })
  for (const reference of [first.id, first.sessionId]) {
    const answer = await service.call('POST', '/execute', {
      api: 1,
      headers: { authorization: `Bearer ${OTHER}` },
      body: { prompt: 'x', session: { resume: reference } },
    })
    t.match(answer, { status: 404, body: { code: 'SESSION_NOT_FOUND' } })
    t.notMatch(answer.text, /busy|owner|other/i)
  }
  for (const session of [{}, { resume: '' }, { resume: first.id, more: 1 }, { fork: true }])
    t.match(await post({ prompt: 'x', session }), { status: 400, body: { code: 'INVALID_REQUEST' } })
})

void t.test('without its transcript a session does not begin with nothing', async (t) => {
  const first = base
  await rm(join(service.config.dataDir, 'sessions', first.id, 'home'), { recursive: true })
  const lost = await goOn(first.id, 'Do you remember?')
  t.match(lost, { status: 'failed', attempt: 0, outcome: { code: 'SESSION_NOT_FOUND', message: /no transcript/ } })
  t.equal(heard('Do you remember?'), '')
})
