// A worker dies in mid-run, as a process that is killed: what another one goes on with, and what it must not.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import type { Message } from '../../src/protocol/messages.js'
import { isWhole } from '../support/cluster.js'
import { describe, listMentioning, startCli, type CliProcess } from '../support/processes.js'
import { lasting, scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const service = await openTestService(t, {
  workers: 0,
  // Longer than a busy machine holds a worker up.
  env: { CC_EXECUTOR_LOCK_SECONDS: '20', CC_EXECUTOR_CONCURRENCY: '10' },
})

async function openWorker(t: Test): Promise<CliProcess> {
  const worker = startCli(t, ['worker'], { ...service.environment, REDIS_URL: service.redis.url })
  await worker.said(/worker \S+: \d+ at once/)
  return worker
}

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command } })
const submit = (steps: unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
  service.submit({ prompt: scripted(...steps), allowedTools: ['Bash'], onWorkerLost: 'continue', ...more })
const look = async ({ id }: Execution): Promise<Execution> => (await service.call('GET', `/executions/${id}`)).body
const cancel = async ({ id }: Execution): Promise<Execution> =>
  (await service.call('POST', `/executions/${id}/cancel`)).body

async function eventsOf<Type extends EventType>({ id }: Execution, type: Type): Promise<Array<Event<Type>>> {
  // Safe: filtered by the type.
  return (await service.events(id)).filter((event) => event.type === type) as Array<Event<Type>>
}

async function transcriptOf(execution: Execution): Promise<string> {
  const projects = join(
    service.directory,
    'data/sessions',
    execution.resumedFrom ?? execution.id,
    'home/.claude/projects',
  )
  const [folder = ''] = await readdir(projects).catch((): string[] => [])
  return join(projects, folder, `${(await look(execution)).sessionId}.jsonl`)
}

/** The CLI writes its transcript a moment after it has spoken. */
async function untilWritten(execution: Execution, pattern: RegExp): Promise<void> {
  await until(
    async () => pattern.test(await readFile(await transcriptOf(execution), 'utf8').catch(() => '')),
    `the transcript of ${execution.id} holds ${String(pattern)}`,
  )
}

/** A finished call which leaves a mark, and one that never ends. */
const WORK = [{ text: 'I begin.' }, bash('echo made >> marks'), { text: 'And on.' }, bash(lasting())]
/** One that says nothing until it is ended. */
const MUTE = [{ delayMs: 3_600_000 }, { text: 'x' }]
const tag = `${process.pid}${Math.floor(Math.random() * 1e6)}`

void t.test('what a killed worker was at is continued where that was asked for and can be', async (t) => {
  const victim = await openWorker(t)
  const resumed = await submit(
    [{ text: 'I begin.' }, bash('echo made >> marks'), { text: 'And on.' }, bash(lasting(`300.${tag}`))],
    { workspace: 'kept', maxBudgetUsd: 5, maxTurns: 20 },
  )
  const forgotten = await submit(WORK)
  const lost = await submit(WORK)
  const bases = await Promise.all(
    ['stork', 'crane'].map((bird) => service.submit({ prompt: `The bird is a ${bird}.` })),
  )
  for (const { id } of bases) t.match(await service.finished(id), { status: 'succeeded' })
  const [followed, left] = (await Promise.all(
    bases.map(({ id }, index) =>
      submit(WORK, { session: { resume: id }, ...(index === 1 && { onWorkerLost: 'fail', maxAttempts: 3 }) }),
    ),
  )) as [Execution, Execution]
  const refused = await submit(MUTE, { maxAttempts: 1 })
  const wanted = await submit(WORK)
  for (const execution of [resumed, forgotten, lost, followed, left])
    await untilWritten(execution, /"tool_result"[^]*And on/)
  await until(() => listMentioning(lasting(`300.${tag}`), 'cmdline').length > 0, 'the tool runs')
  await service.until(refused.id, 'claude.message')
  await service.until(wanted.id, 'tool.finished')
  const doomed = await submit(MUTE)
  await service.until(doomed.id, 'claude.message')
  const next = await service.submit({ prompt: 'next in the same folder', workspace: 'kept' })
  // The last one, so that it is killed before it speaks.
  const silent = await submit([{ delayMs: 20_000 }, { text: 'said at last' }])
  await service.until(silent.id, 'claude.message')
  const send = async ({ id }: Execution, text: string): Promise<Message> =>
    (await service.call('POST', `/executions/${id}/messages`, { body: { text } })).body
  // Both are in a call that never comes back.
  for (const execution of [followed, left]) {
    await send(execution, 'sent before it died')
    await service.until(execution.id, 'message.accepted')
  }
  victim.kill('SIGKILL')
  await victim.ended
  // As if the CLI had died before it wrote down what had come back, and as on a host without the folder.
  const transcript = await transcriptOf(forgotten)
  await writeFile(
    transcript,
    (await readFile(transcript, 'utf8'))
      .split('\n')
      .filter((line) => !line.includes('"tool_result"'))
      .join('\n'),
  )
  await rm(await transcriptOf(lost))

  await t.test(
    'no worker is left: an API decides, nothing of the runs is alive, and a cancel in between ends one at once',
    async (t) => {
      for (const execution of [left, refused]) {
        t.match(await service.finished(execution.id), {
          status: 'failed',
          attempt: 1,
          outcome: { code: 'WORKER_LOST', message: /died or lost/ },
        })
      }
      t.match((await service.until(wanted.id, 'execution.retrying')).data, {
        reason: 'WORKER_LOST',
        nextAttempt: 2,
        message: String,
      })
      t.match(await look(wanted), { status: 'queued', attempt: 1 })
      t.match(await cancel(wanted), {
        status: 'cancelled',
        attempt: 1,
        outcome: { code: 'CANCELLED', message: /next attempt/ },
      })
      const { usage } = await look(wanted)
      t.ok(usage.inputTokens > 0 && usage.isCostIncomplete, 'with what it has used')
      isWhole(t, await service.events(wanted.id))
      await service.until(resumed.id, 'execution.retrying')
      t.same(describe(listMentioning(lasting(`300.${tag}`), 'cmdline')), [])
    },
  )

  await service.until(followed.id, 'execution.retrying')
  await send(followed, 'sent while nobody had it')
  const heir = await openWorker(t)
  await t.test('the same session goes on, nothing that had finished is done again, and the log is one', async (t) => {
    const ended = await service.finished(resumed.id)
    t.match(ended, { status: 'succeeded', attempt: 2, outcome: { result: /simulated/ }, usage: { turns: Number } })
    const events = await service.events(resumed.id)
    isWhole(t, events)
    const [first, second, ...none] = await eventsOf(resumed, 'execution.started')
    t.same(none, [])
    t.equal(second?.data.sessionId, first?.data.sessionId)
    t.match(second, { attempt: 2, data: { attempt: 2, resumed: true, workerId: new RegExp(`-${heir.pid}-`) } })
    t.ok(second?.data.argv.includes(`--resume=${first?.data.sessionId}`), 'it is resumed')
    const border = events.findIndex(({ type }) => type === 'execution.retrying')
    t.ok(
      events.every(({ attempt, type }, index) => type === 'execution.queued' || attempt === (index <= border ? 1 : 2)),
      'each event bears its attempt',
    )
    t.equal(await readFile(join(service.config.workspaceRoot, 'kept/marks'), 'utf8'), 'made\n')
    t.equal((await eventsOf(resumed, 'tool.finished')).length, 1)
    const texts = (await eventsOf(resumed, 'text.delta')).map(({ attempt, data }) => [attempt, data.message])
    t.ok(
      texts.filter(([attempt]) => attempt === 2).every(([, message]) => Number(message) >= 2),
      'messages go on counting',
    )
    const told = service.simulator.requests.find(
      ({ prompt = '' }) => prompt.includes(tag) && prompt.includes('died in the middle of the task'),
    )
    t.match(told?.prompt ?? '', /do not repeat it/, 'the model is told what happened, and which call was open')
    t.match(
      (await service.call('GET', `/executions/${resumed.id}/receipt`)).body,
      { files: { created: 1, changes: [{ path: 'marks', change: 'created' }], before: { incomplete: undefined } } },
      'its files are those of both attempts',
    )
  })

  await t.test(
    'so does a follow-up, in the session that it went on with; one that is lost leaves a session to go on with',
    async (t) => {
      t.match(await service.finished(followed.id), {
        status: 'succeeded',
        attempt: 2,
        sessionId: followed.sessionId,
        resumedFrom: bases[0]?.id,
      })
      t.match(
        (await eventsOf(followed, 'execution.started')).map(({ data }) => data.resumed),
        [undefined, true],
      )
      for (const { workspace } of [followed, left])
        t.equal(
          await readFile(join(service.config.workspaceRoot, workspace, 'marks'), 'utf8'),
          'made\n',
          'nothing is done twice',
        )
      for (const [index, { id }] of [followed, left].entries()) {
        if (index === 0 && process.env['CC_EXECUTOR_TEST_ALL'] !== '1') continue
        const prompt = `And follow-up ${index}?`
        t.match(await service.finished((await service.submit({ prompt, session: { resume: id } })).id), {
          status: 'succeeded',
          sessionId: bases[index]?.sessionId ?? (await look(bases[index] as Execution)).sessionId,
        })
        t.match(
          service.simulator.requests.findLast((request) => request.prompt?.includes(prompt))?.said?.join('\n') ?? '',
          new RegExp(`The bird is a ${index === 0 ? 'stork' : 'crane'}[^]*And on[^]*${prompt.replace('?', '')}`),
        )
      }
    },
  )

  await t.test('a message survives its worker: the next attempt reads it once', async (t) => {
    const { body } = await service.call('GET', `/executions/${followed.id}/messages`)
    t.match(body.messages, [
      { text: 'sent before it died', status: 'delivered' },
      { text: 'sent while nobody had it', status: 'delivered' },
    ])
    const events = await service.events(followed.id)
    isWhole(t, events)
    t.same(
      events.flatMap(({ type, attempt }) => (type.startsWith('message.') ? `${type} ${attempt}` : [])),
      ['message.accepted 1', 'message.accepted 1', 'message.delivered 2', 'message.delivered 2'],
    )
    const said = service.simulator.requests.map(({ said: texts = [] }) => texts.join('\n'))
    const last = said.findLast((texts) => texts.includes('sent while nobody had it')) ?? ''
    for (const { text = '' } of body.messages as Message[]) t.equal(last.split(text).length, 2, 'once before the model')
    const lost = await service.call('GET', `/executions/${left.id}/messages`)
    t.match(lost.body.messages, [{ status: 'dropped', reason: 'failed' }])
    isWhole(t, await service.events(left.id))
  })

  await t.test('its workspace was its own until its end', async (t) => {
    const [one, two] = await Promise.all([service.finished(resumed.id), service.finished(next.id)])
    t.match(two, { status: 'succeeded' })
    t.ok(String(two.startedAt) >= String(one.finishedAt))
  })

  await t.test('what the transcript does not know of ends it, since it would be done again', async (t) => {
    t.match(await service.finished(forgotten.id), {
      status: 'failed',
      attempt: 1,
      outcome: { code: 'WORKER_LOST', message: /tool call that had finished is missing/ },
    })
    t.match(await service.finished(lost.id), {
      status: 'failed',
      outcome: { code: 'WORKER_LOST', message: /transcript is not on the worker/ },
    })
    for (const { id } of [forgotten, lost])
      t.equal(await readFile(join(service.config.workspaceRoot, id, 'marks'), 'utf8'), 'made\n')
  })

  await t.test('one that had said nothing begins afresh; and when its attempts are used up it is lost', async (t) => {
    t.match(await service.finished(silent.id), { status: 'succeeded', attempt: 2, outcome: { result: 'said at last' } })
    const [first, second] = await eventsOf(silent, 'execution.started')
    t.not(second?.data.sessionId, first?.data.sessionId)
    t.notOk(second?.data.resumed)
    await until(async () => {
      const { status, attempt } = await look(doomed)
      return status === 'running' && attempt === 2
    }, 'it runs again')
    heir.kill('SIGKILL')
    t.match(await service.finished(doomed.id), { status: 'failed', attempt: 2, outcome: { code: 'WORKER_LOST' } })
    isWhole(t, await service.events(doomed.id))
  })
})
