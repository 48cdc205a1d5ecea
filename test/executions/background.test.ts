// What a run leaves in the background, with the real CLI: it is awaited, limited, cancelled, paused, lost, and never
// called done.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { EventLog } from '../../src/events/event-log.js'
import { readSessionHistory } from '../../src/executions/read/read-session-history.js'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { openTestService } from '../support/service.js'
import {
  ALL,
  FOR_EVER,
  type Steps,
  TURN,
  agent,
  awaiting,
  bash,
  behind,
  checkOf,
  findClis,
  isComplete,
  once,
  play,
  resultsOf,
  waiting,
} from './background-scene.js'

const LONG = 'only in the run of all tests'
t.jobs = 2

/** As an older CLI tells it: its task is stopped with the error, and it has another turn about that. */
void t.test('the next attempt hears of a task that was stopped with the one before, whatever came then', async (t) => {
  const start = (id: string) => ({
    type: 'system',
    subtype: 'task_started',
    task_id: id,
    task_type: 'local_bash',
    description: `the task ${id}`,
    is_backgrounded: true,
  })
  const end = (id: string, status: string) => ({ type: 'system', subtype: 'task_notification', task_id: id, status })
  const init = { type: 'system', subtype: 'init' }
  const answer = { type: 'assistant', message: { content: [] } }
  const result = { type: 'result', subtype: 'success' }
  const readLost = async (...messages: object[]): Promise<string[]> => {
    const events = messages.map((message, index) => ({
      seq: index + 1,
      type: 'claude.message',
      bytes: Buffer.from(JSON.stringify({ type: 'claude.message', data: { message } })),
    }))
    // Safe: nothing else of the log is asked for.
    const log = { readAfter: () => Promise.resolve({ events, lastSeq: events.length }) } as unknown as EventLog
    return [...(await readSessionHistory(log, 'x')).lostTasks.keys()]
  }
  const begun = [init, start('a'), start('b'), answer]
  t.same(await readLost(...begun), ['a', 'b'], 'both live')
  t.same(await readLost(...begun, result, end('a', 'stopped'), init, answer, result), ['a', 'b'])
  t.same(await readLost(...begun, result, end('a', 'completed'), init, answer, result), ['b'])
  t.same(await readLost(...begun, result, init, answer, end('a', 'stopped'), result), ['b'], 'stopped by the model')
})

for (const [name, env] of Object.entries(findClis())) {
  void t.test(name, { jobs: 1 }, async (t) => {
    const warnings: string[] = []
    const onWarning = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`)
    process.on('warning', onWarning)
    t.teardown(() => void process.off('warning', onWarning))
    const service = await openTestService(t, { env: { ...env, CC_EXECUTOR_CONCURRENCY: '24' } })
    const submit = (steps: Steps, more: Record<string, unknown> = {}): Promise<Execution> =>
      service.submit({ prompt: scripted(...steps), allowedTools: ['Bash', 'Agent'], ...more })

    const look = async (id: string): Promise<Execution> => (await service.call('GET', `/executions/${id}`)).body

    // All of them wait for seconds by their nature: they go on at the same time.
    const late = withLongerClocks(25, async (timeoutSeconds) => {
      const steps = [agent(bash(waiting(FOR_EVER)), { text: 'x' }), { text: 'So far.' }]
      const played = await play(service, await submit(steps, { timeoutSeconds }))
      return played.of('background.waiting').length > 0 ? played : undefined
    })
    // Whoever awaits it later is told.
    late.catch(() => undefined)
    const paused = await submit(
      [once('go.txt', 'echo on > on.txt'), { text: 'It runs.' }, TURN, { text: 'It went on.' }],
      { verify: { files: ['on.txt'] } },
    )
    const command = await submit(
      [once('go.txt', 'echo done > done.txt'), { text: 'It runs.' }, TURN, { text: 'It is done.' }],
      { verify: { files: ['done.txt'], background: true } },
    )
    // In `npm test` the one that leaves something behind speaks for it.
    const subagent = ALL
      ? await submit(
          [
            agent(bash(awaiting('go.txt', 'echo done > done.txt')), { text: 'The agent is done.' }),
            { text: 'It works.' },
            TURN,
            { text: 'It has worked.' },
          ],
          { verify: { files: ['done.txt'] } },
        )
      : undefined
    const nested = await submit(
      [
        agent(once('go.txt', `${waiting(3)}; echo inner > inner.txt`), { text: 'Begun.' }, TURN, { text: 'Ended.' }),
        { text: 'It works.' },
        TURN,
        { text: 'The agent has reported.' },
        TURN,
        { text: 'All of it is done.' },
      ],
      { verify: { files: ['inner.txt'] } },
    )
    const chained = await submit(
      [
        once('first.txt'),
        { text: 'First.' },
        TURN,
        once('go.txt', 'echo 2 > second.txt'),
        { text: 'Second.' },
        TURN,
        { text: 'Both.' },
      ],
      { verify: { files: ['second.txt'] } },
    )
    const endless = await submit([behind(FOR_EVER), { text: 'A server runs.' }], { backgroundTimeoutSeconds: 3 })
    const unwanted = await submit([behind(FOR_EVER), { text: 'A server ran.' }], { backgroundTimeoutSeconds: 0 })
    const asked = await submit([agent(bash(waiting(FOR_EVER)), { text: 'x' }), { text: 'An agent worked.' }], {
      backgroundTimeoutSeconds: 0,
      verify: { background: true },
    })
    const cancelled = await submit([behind(FOR_EVER), { text: 'So far.' }])
    const erring = await submit([behind(FOR_EVER), { status: 400, message: 'no such thing', times: 'always' }])
    const unasked = { tool: 'WebFetch', input: { url: 'http://127.0.0.1/', prompt: 'x' } }
    const retried = await submit([behind(FOR_EVER), unasked, { status: 500, times: 3 }, { text: 'It went on.' }], {
      maxAttempts: 2,
    })
    const erringLater = ALL
      ? await submit([
          behind(FOR_EVER),
          once('go.txt'),
          { text: 'Both run.' },
          TURN,
          { status: 400, message: 'no such thing', times: 'always' },
        ])
      : undefined
    const list = await service.submit({
      tasks: [
        scripted(once('go.txt', 'echo one > one.txt'), { text: 'One.' }, TURN, { text: 'One is done.' }),
        scripted(bash(waiting(5, 'cat one.txt')), { text: 'Two.' }),
      ],
      allowedTools: ['Bash'],
    })
    const answered = await submit(
      [
        once('go.txt'),
        { structured: { n: 'no number' } },
        TURN,
        { structured: { n: 2 } },
        TURN,
        { structured: { n: 3 } },
      ],
      { outputSchema: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } },
    )
    // Without the real CLI: test/claude/ends.test.ts.
    const [refused, cut] = ALL
      ? await Promise.all([
          submit(Array.from({ length: 2 }, () => [{ text: 'I will not.' }, { stop: 'refusal' }]).flat()),
          submit(Array.from({ length: 5 }, () => [{ text: 'half an answer' }, { stop: 'max_tokens' }]).flat()),
        ])
      : []
    const longer = ALL
      ? await Promise.all([
          submit([behind(60, 'echo done > done.txt'), { text: 'x' }, TURN, { text: 'After a minute.' }], {
            verify: { files: ['done.txt'] },
          }),
          submit(
            [
              agent(bash(waiting(30, 'echo done > done.txt')), { text: 'x' }),
              { text: 'x' },
              TURN,
              { text: 'After half a minute.' },
            ],
            { verify: { files: ['done.txt'] }, idleTimeoutSeconds: 25 },
          ),
        ])
      : []

    /** Writes what a task waits for as soon as the run has told so often that it waits. */
    const release = async (id: string, file: string, waits = 1): Promise<void> => {
      for (let after = 0, seen = 0; seen < waits;) {
        const query = `after=${after}&types=background.waiting,execution.finished&limit=1&waitSeconds=30`
        const { body } = await service.call('GET', `/executions/${id}/events?${query}`)
        if (body.events[0]?.type === 'execution.finished') throw new Error(`${id} ended before wait ${waits}`)
        seen += body.events.length
        after = body.nextAfter
      }
      await writeFile(join(service.config.workspaceRoot, (await look(id)).workspace, file), '')
    }
    const released = Promise.all([
      release(command.id, 'go.txt'),
      subagent && release(subagent.id, 'go.txt'),
      release(nested.id, 'go.txt'),
      release(chained.id, 'first.txt').then(() => release(chained.id, 'go.txt', 2)),
      erringLater && release(erringLater.id, 'go.txt'),
      release(answered.id, 'go.txt'),
      release(list.tasks?.[0]?.id ?? '', 'go.txt'),
    ])
    // Whoever awaits it later is told.
    released.catch(() => undefined)

    await t.test('a pause in the middle of the wait holds the task, and it goes on', async (t) => {
      await service.until(paused.id, 'background.waiting')
      t.equal((await service.call('POST', `/executions/${paused.id}/pause`)).status, 202)
      await service.until(paused.id, 'execution.paused')
      // What the task waits for comes while it stands still.
      await writeFile(join(service.config.workspaceRoot, paused.id, 'go.txt'), '')
      t.equal((await service.call('POST', `/executions/${paused.id}/resume`)).status, 202)
      const played = await play(service, paused)
      t.match(
        played.execution,
        { status: 'succeeded', outcome: { result: 'It went on.' } },
        JSON.stringify(played.execution.outcome),
      )
      const order = played.events
        .map(({ type }) => type)
        .filter((type) => /^(?:background|execution)\.(?:waiting|paused|resumed|finished)/.test(type))
      // Its processes go on a moment before that is told.
      t.same(
        order.filter((type) => type !== 'execution.resumed'),
        ['background.waiting', 'execution.paused', 'background.finished', 'execution.finished'],
      )
      t.ok(order.indexOf('execution.resumed') > order.indexOf('execution.paused'))
    })

    await t.test('a command and a subagent are awaited, and the last result counts', async (t) => {
      for (const [submitted, answer, kind] of [
        [command, 'It is done.', 'local_bash'],
        [subagent, 'It has worked.', 'local_agent'],
      ] as const) {
        if (!submitted) continue
        await released
        const played = await play(service, submitted)
        t.match(
          played.execution,
          {
            status: 'succeeded',
            outcome: { result: answer, exitCode: 0, stopReason: 'end_turn', verification: { status: 'passed' } },
          },
          JSON.stringify(played.execution.outcome),
        )
        t.notOk(played.execution.outcome?.unfinished)
        t.equal(resultsOf(played), 2)
        const [wait, ...more] = played.of('background.waiting')
        t.same(more, [])
        t.match(wait?.data, {
          tasks: [{ id: String, kind, description: String }],
          message: /cancel.*backgroundTimeoutSeconds/,
        })
        t.ok(Date.parse(wait?.data.until ?? '') > Date.parse(wait?.at ?? '') + 300_000, 'until the end of its timeout')
        t.match(
          played.of('background.finished').map(({ data }) => data),
          [{ id: wait?.data.tasks[0]?.id, kind, status: 'completed' }],
        )
        t.equal(checkOf(played.execution, 'background_tasks'), 'pass')
        t.equal(checkOf(played.execution, 'finished'), 'pass')
        isComplete(t, played)
      }
    })

    await t.test('what a subagent leaves behind, and what begins when another ends, is awaited too', async (t) => {
      await released
      const [inner, chain] = await Promise.all([play(service, nested), play(service, chained)])
      // An older CLI tells nobody of the end of what a subagent left that is gone: the answer before stands.
      t.match(
        inner.execution,
        { status: 'succeeded', outcome: { result: /^(?:The agent has reported|All of it is done)\.$/ } },
        JSON.stringify(inner.execution.outcome),
      )
      t.match(inner.of('background.waiting')[0]?.data.tasks, [{ kind: 'local_agent' }])
      t.ok(
        inner.of('background.finished').some(({ data }) => data.kind === 'local_bash' && data.status === 'completed'),
      )
      t.match(
        chain.execution,
        { status: 'succeeded', outcome: { result: 'Both.' } },
        JSON.stringify(chain.execution.outcome),
      )
      t.equal(chain.of('background.waiting').length, 2)
      t.equal(resultsOf(chain), 3)
      for (const played of [inner, chain]) isComplete(t, played)
    })

    await t.test('one that never ends is ended at its limit, by name, and the last answer is kept', async (t) => {
      const { execution, of } = await play(service, endless)
      t.match(
        execution,
        {
          status: 'failed',
          outcome: {
            code: 'BACKGROUND_UNFINISHED',
            result: 'A server runs.',
            isPartial: true,
            stopReason: 'end_turn',
            unfinished: [{ kind: 'task', description: /^waits/ }],
            message: /backgroundTimeoutSeconds/,
          },
        },
        JSON.stringify(execution.outcome),
      )
      const [wait] = of('background.waiting')
      t.ok(Date.parse(wait?.data.until ?? '') < Date.parse(wait?.at ?? '') + 10_000)
      t.equal(checkOf(execution, 'background_tasks'), 'fail')
      const receipt = await service.call('GET', `/executions/${execution.id}/receipt`)
      t.match(receipt.body.outcome, { code: 'BACKGROUND_UNFINISHED', stopReason: 'end_turn', unfinished: 1 })
    })

    await t.test(
      'with 0 it ends with the answer, which is told, and fails the run only where that was asked for',
      async (t) => {
        const [told, judged] = await Promise.all([play(service, unwanted), play(service, asked)])
        t.match(
          told.execution,
          {
            status: 'succeeded',
            outcome: {
              result: 'A server ran.',
              unfinished: [{ kind: 'task' }],
              message: /1 background task/,
              verification: { status: 'failed' },
            },
          },
          JSON.stringify(told.execution.outcome),
        )
        t.equal(checkOf(told.execution, 'background_tasks'), 'fail')
        t.notOk(told.execution.outcome?.isPartial)
        t.match(
          judged.execution,
          {
            status: 'failed',
            outcome: {
              code: 'VERIFICATION_FAILED',
              result: 'An agent worked.',
              unfinished: [{ kind: 'task', description: 'an agent of its own' }],
              message: /^background_tasks/,
            },
          },
          JSON.stringify(judged.execution.outcome),
        )
        for (const { of } of [told, judged]) t.same(of('background.waiting'), [])
      },
    )

    await t.test(
      'a cancel or the timeout in the middle of the wait ends it as what it is, with the last answer',
      async (t) => {
        await service.until(cancelled.id, 'background.waiting')
        t.equal((await service.call('POST', `/executions/${cancelled.id}/cancel`)).status, 202)
        const unfinished = [{ kind: 'task' }]
        const ended = await play(service, cancelled)
        t.match(
          ended.execution,
          { status: 'cancelled', outcome: { code: 'CANCELLED', result: 'So far.', isPartial: true, unfinished } },
          JSON.stringify(ended.execution.outcome),
        )
        const timed = await late
        t.match(
          timed.execution,
          { status: 'timed_out', outcome: { code: 'TIMED_OUT', result: 'So far.', isPartial: true, unfinished } },
          JSON.stringify(timed.execution.outcome),
        )
      },
    )

    await t.test('an error ends the run, whatever lives beside it: none of it makes an answer', async (t) => {
      for (const submitted of [erring, erringLater]) {
        if (!submitted) continue
        const played = await play(service, submitted)
        const { execution } = played
        t.match(
          execution,
          { status: 'failed', outcome: { code: 'CLAUDE_EXITED', apiStatus: 400, unfinished: [{ kind: 'task' }] } },
          JSON.stringify(execution.outcome),
        )
        t.equal(played.of('background.waiting').length > 0, submitted === erringLater)
        t.equal(checkOf(execution, 'background_tasks'), 'fail')
      }
      const { execution } = await play(service, retried)
      t.match(
        execution,
        {
          status: 'succeeded',
          attempt: 2,
          // The simulated model's word for a prompt without a script: an older CLI has a turn about the task that was
          // stopped (2.1.197), and what comes after that is a prompt of its own.
          outcome: {
            result: /^It went on\.$|^Hello! This answer is simulated/,
            permissionDenials: [{ tool: 'WebFetch' }],
          },
        },
        JSON.stringify(execution.outcome),
      )
      t.equal(checkOf(execution, 'permissions'), 'fail', 'what an attempt was denied counts for the execution')
      t.ok(
        service.simulator.requests.some(({ said }) =>
          JSON.stringify(said ?? []).includes('These background tasks had not finished'),
        ),
        'and the next attempt is told what ended with the one before',
      )
    })

    await t.test('the next task of a list begins when the one before has nothing left behind', async (t) => {
      const { execution } = await play(service, list)
      t.match(
        execution,
        { status: 'succeeded', tasks: [{ status: 'succeeded' }, { status: 'succeeded' }] },
        JSON.stringify(execution.outcome),
      )
      const [one = '', two = ''] = execution.tasks?.map(({ id }) => id) ?? []
      const [end] = (await service.events(one)).filter(({ type }) => type === 'background.finished')
      const [begin] = (await service.events(two)).filter(({ type }) => type === 'execution.started')
      t.ok(Date.parse(end?.at ?? '') <= Date.parse(begin?.at ?? ''))

      const foreground = await play(service, await look(two))
      t.match(foreground.execution, { outcome: { result: 'Two.' } })
      t.same([...foreground.of('background.waiting'), ...foreground.of('background.finished')], [])
      t.equal(checkOf(foreground.execution, 'background_tasks'), 'skip', 'a command in the foreground is none')
    })

    await t.test('in JSON mode the answer of the last turn is judged, and may still be repaired', async (t) => {
      const played = await play(service, answered)
      t.match(
        played.execution,
        { status: 'succeeded', outcome: { result: { n: Number } } },
        JSON.stringify(played.execution.outcome),
      )
      t.equal(played.of('background.waiting').length, 1)
    })

    await t.test('a refusal and an answer that was cut off are no success', { skip: !ALL && LONG }, async (t) => {
      if (!refused || !cut) return
      t.match((await play(service, refused)).execution.outcome, {
        status: 'failed',
        code: 'REFUSED',
        stopReason: 'refusal',
        result: 'I will not.',
        isPartial: true,
      })
      t.match((await play(service, cut)).execution.outcome, {
        status: 'failed',
        code: 'ANSWER_INCOMPLETE',
        stopReason: 'max_tokens',
        result: 'half an answer',
        isPartial: true,
      })
    })

    await t.test('half a minute and a whole one', { skip: !ALL && LONG }, async (t) => {
      for (const submitted of longer) {
        const played = await play(service, submitted)
        t.match(
          played.execution,
          { status: 'succeeded', outcome: { result: /^After/ } },
          JSON.stringify(played.execution.outcome),
        )
        isComplete(t, played)
      }
    })
    t.same(
      warnings.filter((warning) => warning.startsWith('MaxListeners')),
      [],
      'more runs at once than Node lets listen to one signal are no leak',
    )
  })
}
