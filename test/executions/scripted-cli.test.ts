// What the real CLI cannot be brought to do, played by a scripted one.
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import t from 'tap'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { openTestService } from '../support/service.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { until } from '../support/deadlines.js'

const KIB = 1024
const MIB = 1024 * KIB
const STORED_LIMIT = 256 * KIB
const RAW_LIMIT = 80 * MIB

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_CONCURRENCY: '8',
    CC_EXECUTOR_OUTPUT_LIMIT_BYTES: String(STORED_LIMIT),
    CC_EXECUTOR_RAW_OUTPUT_LIMIT_BYTES: String(RAW_LIMIT),
  },
})

type Step = Record<string, unknown>
const INIT: Step = {
  line: {
    type: 'system',
    subtype: 'init',
    session_id: 'scripted',
    model: 'none',
    cwd: '/',
    permissionMode: 'acceptEdits',
  },
}
const raw = (bytes: string | Buffer): Step => ({ raw: Buffer.from(bytes).toString('base64') })
const result = (text: string, more: Step = {}): Step => ({
  line: {
    type: 'result',
    subtype: 'success',
    is_error: false,
    result: text,
    num_turns: 1,
    duration_ms: 5,
    total_cost_usd: 0.25,
    usage: { input_tokens: 3, output_tokens: 4 },
    permission_denials: [],
    ...more,
  },
})
const submit = (steps: Step[], more: Step = {}): Promise<Execution> =>
  service.submit({ prompt: JSON.stringify(steps), ...more })
const run = async (steps: Step[], more: Step = {}): Promise<Execution> =>
  service.finished((await submit(steps, more)).id)

async function eventsOf<Type extends EventType>({ id }: Execution, type: Type): Promise<Array<Event<Type>>> {
  // Safe: filtered by the type.
  return (await service.events(id)).filter((event) => event.type === type) as Array<Event<Type>>
}

async function untilSaid({ id }: Execution, text: string): Promise<void> {
  await until(async () => JSON.stringify(await service.events(id)).includes(text), `${id} says ${text}`)
}

// These take seconds of waiting by their nature: they go on while the others are tested.
const deaf = await submit([INIT, { deaf: true }, { hang: true }])
const neverExits = await submit([INIT, result('the answer'), { hang: true }])
const pausedAtTheEnd = await submit([INIT, result('paused too late'), { hang: true }])

const LOST: Step = { line: { type: 'system', subtype: 'session_writes_lost', error_code: 'ENOSPC' } }
const overloaded = result('API Error: Repeated 529 Overloaded errors. The API is at capacity', {
  is_error: true,
  api_error_status: 529,
})
const denied: Step[] = [
  {
    line: {
      type: 'assistant',
      message: { id: 'm1', content: [{ type: 'tool_use', id: 'toolu_1', name: 'WebFetch', input: { url: 'x' } }] },
    },
  },
  {
    line: {
      type: 'user',
      message: {
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'toolu_1',
            is_error: true,
            content: 'Claude requested permissions to use WebFetch, but you haven’t granted it yet.',
          },
        ],
      },
    },
  },
]
const repeated = await submit([INIT, LOST, overloaded], { maxAttempts: 2 })
const given = await submit([INIT, LOST, ...denied, overloaded], { maxAttempts: 2 })

void t.test('a pause and a cancel need no body', async (t) => {
  await untilSaid(pausedAtTheEnd, '"type":"result"')
  t.equal((await service.call('POST', `/executions/${pausedAtTheEnd.id}/pause`)).status, 202)
  await service.until(deaf.id, 'claude.message')
  t.equal((await service.call('POST', `/executions/${deaf.id}/cancel`)).status, 202)
})

void t.test('an exit with code 0 and no result is a failure, and what was said of the answer is kept', async (t) => {
  t.match(await run([{ exit: 0 }]), {
    status: 'failed',
    outcome: { code: 'CLAUDE_EXITED', exitCode: 0, message: /no result/ },
  })
  const partial = await run([
    INIT,
    { line: { type: 'assistant', message: { id: 'm1', content: [{ type: 'text', text: 'half an ans' }] } } },
    { exit: 0 },
  ])
  t.match(partial, { status: 'failed', outcome: { code: 'CLAUDE_EXITED', result: 'half an ans', isPartial: true } })
})

void t.test(
  'the message of a failure tells the end of standard error, without a folder of the host and without a key',
  async (t) => {
    const { outcome } = await run([{ stderr: 'cannot use sk-ant-secret1234567\n' }, { where: true }, { exit: 3 }])
    t.match(outcome, { code: 'CLAUDE_EXITED', exitCode: 3, message: /cannot use sk-…/ })
    t.notMatch(outcome?.message, service.directory)
    t.notMatch(outcome?.message, 'secret1234567')
  },
)

void t.test(
  'garbage, bytes, unknown types and control characters crash nothing and come as what they are',
  async (t) => {
    const control = '\u0000\u0001\u001b[31mred\u001b[0m\u0007\u2028'
    const unknown = '{"type":"not_invented_yet","weird":[1,{"a":null}],"big":12345678901234567890,"__proto__":{"x":1}}'
    const lines = ['no json at all', '{"type":', '[1,2]', 'null', '"text"', '{"no":"type"}', '{"type":5}', '', control]
    const execution = await run([
      INIT,
      raw(lines.map((line) => `${line}\n`).join('')),
      raw(Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x0a])),
      raw(`${unknown}\r\n`),
      { line: { type: 'assistant' } },
      { line: { type: 'assistant', message: { content: 'text and no blocks' } } },
      { line: { type: 'user', message: { content: [null, 5, { type: 'tool_result' }] } } },
      { line: { type: 'stream_event' } },
      {
        line: { type: 'stream_event', event: { type: 'content_block_delta', delta: { type: 'text_delta', text: 7 } } },
      },
      { line: { type: 'rate_limit_event' } },
      { line: { type: 'control_response', response: { request_id: 'nobody asked' } } },
      result('fine'),
      raw('the last line has no end'),
    ])
    t.match(execution, { status: 'succeeded', outcome: { result: 'fine' } })
    const output = (await eventsOf(execution, 'output')).map(({ data }) => data)
    t.same(
      output.slice(0, lines.length).map(({ data }) => data),
      lines,
    )
    t.equal(output[lines.length]?.data, '\ufffd\ufffd\u0000\ufffd')
    t.same(output.at(-1), { stream: 'stdout', data: 'the last line has no end' })
    const page = await service.call('GET', `/executions/${execution.id}/events?types=claude.message&limit=1000`)
    t.ok(page.text.includes(unknown), 'an unknown message passes with its bytes as they came')
    t.notOk(page.text.includes('nobody asked'), 'the control protocol stays inside')
  },
)

void t.test(
  'a line of 64 MiB is drained in bounded memory, reported with its digest, and the run goes on',
  async (t) => {
    // A run before it, so that what every run needs is there already.
    await run([INIT, result('warm')])
    const before = process.memoryUsage()
    let peak = 0
    const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage().arrayBuffers)), 5)
    const execution = await run([
      INIT,
      { repeat: 'x'.repeat(MIB), times: 64 },
      raw('\n'),
      result('after the long line'),
    ])
    clearInterval(sampler)
    t.match(
      execution,
      { status: 'succeeded', outcome: { result: 'after the long line' } },
      JSON.stringify(execution.outcome),
    )
    const truncated = await eventsOf(execution, 'log.truncated')
    const hash = createHash('sha256')
    for (let index = 0; index < 64; index += 1) hash.update('x'.repeat(MIB))
    t.same(
      truncated.map(({ data }) => data),
      [{ reason: 'line', droppedBytes: 64 * MIB, limit: 16 * MIB, sha256: hash.digest('hex') }],
    )
    t.ok(peak - before.arrayBuffers < 60 * MIB, `buffers grew by ${Math.round((peak - before.arrayBuffers) / MIB)} MiB`)
  },
)

void t.test('a result that is too long to be parsed still says how the run ended', async (t) => {
  const head = '{"type":"result","subtype":"success","is_error":false,"result":"'
  const execution = await run([INIT, raw(head), { repeat: 'x'.repeat(MIB), times: 17 }, raw('"}\n')])
  t.match(execution, { status: 'succeeded' })
  t.equal((await eventsOf(execution, 'log.truncated')).length, 1)
})

void t.test(
  'a flood is stored up to the limit, told of once with its counts, and the result behind it is still taken',
  async (t) => {
    const line = `${'f'.repeat(1_023)}\n`
    const execution = await run([INIT, { repeat: line, times: 2_000 }, result('behind the flood')])
    t.match(execution, { status: 'succeeded', outcome: { result: 'behind the flood' } })
    const events = await service.events(execution.id)
    t.same(
      events.map(({ seq }) => seq),
      events.map((_event, index) => index + 1),
      'without gaps',
    )
    t.same(
      events.slice(-2).map(({ type }) => type),
      ['log.truncated', 'execution.finished'],
    )
    const truncated = events.filter(({ type }) => type === 'log.truncated')
    t.equal(truncated.length, 1)
    t.match(truncated[0]?.data, { reason: 'stored', limit: STORED_LIMIT })
    const stored = events.filter(({ type }) => type === 'output').length
    t.ok(stored < 300 && stored > 100, `${stored} lines are stored`)
    const { droppedBytes } = (truncated[0] as Event<'log.truncated'>).data
    t.ok(droppedBytes >= (2_000 - stored) * 1_023, `${droppedBytes} bytes were dropped`)
  },
)

void t.test('raw output beyond its limit ends the run', async (t) => {
  const execution = await run([
    INIT,
    { repeat: `${'r'.repeat(64 * KIB)}\n`, times: RAW_LIMIT / (64 * KIB) + 100 },
    result('too late'),
    { hang: true },
  ])
  t.match(execution, { status: 'failed', outcome: { code: 'OUTPUT_LIMIT', message: String(RAW_LIMIT) } })
})

void t.test('a CLI that dies by a signal is CLAUDE_SIGNALLED and names it', async (t) => {
  for (const signal of ['SIGSEGV', 'SIGKILL', 'SIGTERM']) {
    t.match(
      await run([INIT, { signal }]),
      { status: 'failed', outcome: { code: 'CLAUDE_SIGNALLED', message: signal } },
      signal,
    )
  }
})

void t.test('a result that a process of the run wrote before it killed the CLI is no success', async (t) => {
  t.match(await run([INIT, result('forged'), { signal: 'SIGKILL' }]), {
    status: 'failed',
    outcome: { code: 'CLAUDE_SIGNALLED', result: 'forged', isPartial: true },
  })
  t.match(await run([INIT, result('forged'), { exit: 3 }]), {
    status: 'failed',
    outcome: { code: 'CLAUDE_EXITED', exitCode: 3 },
  })
  const unfinished = await run([
    INIT,
    {
      line: {
        type: 'assistant',
        message: { id: 'm', content: [{ type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} }] },
      },
    },
    result('', { stop_reason: 'tool_use' }),
    { exit: 0 },
  ])
  t.match(unfinished.outcome, {
    status: 'failed',
    code: 'ANSWER_INCOMPLETE',
    stopReason: 'tool_use',
    unfinished: [{ kind: 'tool_call', id: 'toolu_1', description: 'Bash {}' }],
  })
})

void t.test('when the last background task has ended the answer stands, whether a turn follows or not', async (t) => {
  const task = (subtype: string, more: Step): Step => ({
    line: { type: 'system', subtype, task_id: 'b1', task_type: 'local_bash', description: 'x', ...more },
  })
  const begun = [INIT, task('task_started', { is_backgrounded: true }), result('the answer')]
  const over = task('task_notification', { status: 'stopped' })
  const [silent, cancelled, waiting] = await Promise.all([
    run([...begun, over, { eof: true }, { exit: 0 }]),
    submit([...begun, over, { hang: true }]),
    submit([...begun, { hang: true }]),
  ])
  t.match(silent, { status: 'succeeded', outcome: { result: 'the answer', exitCode: 0 } })
  await service.until(cancelled.id, 'background.finished')
  await service.until(waiting.id, 'background.waiting')
  for (const { id } of [cancelled, waiting])
    t.equal((await service.call('POST', `/executions/${id}/cancel`)).status, 202)
  t.match(await service.finished(cancelled.id), { status: 'succeeded', outcome: { result: 'the answer' } })
  t.match(await service.finished(waiting.id), {
    status: 'cancelled',
    outcome: { result: 'the answer', isPartial: true, unfinished: [{ kind: 'task', id: 'b1' }] },
  })
})

void t.test('of two results the last one counts, and their usage is added up', async (t) => {
  const execution = await run([
    INIT,
    result('first'),
    { line: { type: 'assistant', message: { id: 'm2', content: [] } } },
    result('second', { total_cost_usd: 0.75 }),
    { eof: true },
  ])
  t.match(execution, {
    status: 'succeeded',
    outcome: { result: 'second' },
    usage: { inputTokens: 6, outputTokens: 8, turns: 2, costUsd: 0.75 },
  })
  const lastFails = await run([
    INIT,
    result('first'),
    result('second', { is_error: true, subtype: 'error_during_execution' }),
    { eof: true },
  ])
  t.match(lastFails, { status: 'failed', outcome: { code: 'CLAUDE_EXITED' } })
})

void t.test('standard input stays open until the result has been read, and is closed then', async (t) => {
  t.match(await run([INIT, result('done'), { eof: true }, { exit: 0 }]), {
    status: 'succeeded',
    outcome: { exitCode: 0 },
  })
  t.match(await run([INIT, { eof: true }, result('too early')], { timeoutSeconds: 1 }), {
    status: 'timed_out',
    outcome: { code: 'TIMED_OUT' },
  })
})

void t.test('an empty answer is a success that says so', async (t) => {
  t.match(await run([INIT, result('')]), { status: 'succeeded', outcome: { result: '', message: /empty/ } })
})

void t.test('a CLI that is deaf to interrupt, INT and TERM is killed', async (t) => {
  const execution = await service.finished(deaf.id)
  t.match(execution, { status: 'cancelled', outcome: { code: 'CANCELLED' } })
})

void t.test('a CLI that gives its result and never exits is ended, and has succeeded', async (t) => {
  const execution = await service.finished(neverExits.id)
  t.match(execution, { status: 'succeeded', outcome: { result: 'the answer' } })
})

void t.test('one that is paused after its result has succeeded all the same', async (t) => {
  const execution = await service.finished(pausedAtTheEnd.id)
  t.match(execution, { status: 'succeeded', outcome: { result: 'paused too late' } })
})

void t.test(
  'an answer that was complete stands, whatever ends what the CLI has left; a cancel in a further ' +
    'turn, or where commands are to judge, does not come too late',
  async (t) => {
    const turn: Step = {
      line: { type: 'assistant', message: { id: 'm2', content: [{ type: 'text', text: 'a task has ended' }] } },
    }
    const [late, timed, further, judged] = await Promise.all([
      submit([INIT, result('in time'), { hang: true }]),
      withLongerClocks(2, async (timeoutSeconds) => {
        const execution = await run([INIT, result('in time'), { hang: true }], { timeoutSeconds })
        return JSON.stringify(await service.events(execution.id)).includes('"type":"result"') ? execution : undefined
      }),
      submit([INIT, result('the first'), turn, { hang: true }]),
      submit([INIT, result('unjudged'), { hang: true }], { verify: { commands: [['true']] } }),
    ])
    for (const execution of [late, judged]) await untilSaid(execution, '"type":"result"')
    await untilSaid(further, 'a task has ended')
    for (const { id } of [late, further, judged])
      t.equal((await service.call('POST', `/executions/${id}/cancel`)).status, 202)
    for (const { id } of [late, timed])
      t.match(await service.finished(id), {
        status: 'succeeded',
        outcome: { result: 'in time', isPartial: undefined, code: undefined, exitCode: undefined, signal: undefined },
      })
    t.same(
      (await service.events(late.id))
        .map(({ type }) => type)
        .filter((type) => type !== 'progress')
        .slice(-2),
      ['execution.cancel_requested', 'execution.finished'],
      'the request is told all the same',
    )
    for (const { id } of [further, judged])
      t.match(await service.finished(id), { status: 'cancelled', outcome: { code: 'CANCELLED', isPartial: true } })
  },
)

void t.test('what an attempt has met is told at the end of the execution, whichever attempt that is', async (t) => {
  const lost = /could not save all of its data \(ENOSPC/
  const again = await service.finished(repeated.id)
  t.match(again, { status: 'failed', attempt: 2, outcome: { code: 'CLAUDE_OVERLOADED' } })
  t.match(again.outcome?.message, /In an earlier attempt: Claude could not save.+ Claude could not save/)
  // Its only call is in no transcript, so that no further attempt is made.
  t.match(await service.finished(given.id), {
    status: 'failed',
    attempt: 1,
    outcome: { message: lost, permissionDenials: [{ tool: 'WebFetch', toolUseId: 'toolu_1' }] },
  })
})

void t.test('CLIs that hang at their start do not keep others from starting', async (t) => {
  const hanging = await Promise.all([1, 2, 3, 4].map(() => submit([{ hang: true }])))
  for (const { id } of hanging.slice(0, 2)) await service.until(id, 'execution.started')
  t.match(await run([INIT, result('started')]), { status: 'succeeded' })
  for (const { id } of hanging) await service.call('POST', `/executions/${id}/cancel`)
  for (const { id } of hanging) t.match(await service.finished(id), { status: 'cancelled' })
})

void t.test('what a run had in its temporary folder is gone after it', async (t) => {
  const { id } = await run([INIT, result('done')])
  t.same(await readdir(`${service.directory}/data/sessions/${id}`), ['home'])
})

void t.test('numbers beyond all bounds keep no execution from its end', async (t) => {
  const boundless =
    '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1e300,"duration_ms":-5,"total_cost_usd":1e999,"usage":{"input_tokens":1e30,"output_tokens":0.5},"permission_denials":[]}\n'
  const execution = await run([INIT, raw(boundless)])
  t.match(execution, { status: 'succeeded', usage: { inputTokens: 1e12, costUsd: 1e6, turns: 1e12 } })
  t.equal((await service.events(execution.id)).at(-1)?.type, 'execution.finished')
})
