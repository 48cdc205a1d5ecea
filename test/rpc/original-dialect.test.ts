// /ws/mcp: what clients of the Python original send and expect.
import t, { type Test } from 'tap'
import type { Caller } from '../../src/protocol/caller.js'
import { openOriginalConnection } from '../../src/rpc/original/original-dialect.js'
import { toChunks } from '../../src/rpc/original/original-output.js'
import type { Outcome } from '../../src/protocol/execution.js'
import {
  CALLER,
  delta,
  message,
  openHarness,
  request,
  statusOf,
  type Client,
  type Harness,
  type Message,
} from './harness.js'
import { repeat, until } from '../support/deadlines.js'

const UNKNOWN = '00000000-0000-7000-8000-000000000000'
const open = (t: Test, caller: Caller = CALLER): Promise<Harness> =>
  openHarness(t, (socket, transport, services) =>
    openOriginalConnection({ socket, transport, services, caller, version: '1.2.3' }),
  )

const methodsOf = (messages: Message[]) => messages.map(({ method }) => method)

async function connect(harness: Harness): Promise<Client> {
  const client = await harness.connect()
  t.match(await client.next(), {
    jsonrpc: '2.0',
    method: 'connected',
    params: { session_id: /^[0-9a-f-]{36}$/, version: '1.2.3', capabilities: ['execute', 'control', 'stream'] },
  })
  return client
}

const found = new WeakMap<Harness, Set<string>>()
/** The newest execution that was not found before, as soon as there is one. */
async function findExecution(harness: Harness): Promise<string> {
  const known = found.get(harness) ?? new Set()
  found.set(harness, known)
  let newest: string | undefined
  await until(async () => {
    newest = (await harness.services.store.list(CALLER.name, { count: 1 }))[0]?.id
    return newest !== undefined && !known.has(newest)
  }, 'it is submitted')
  known.add(newest ?? '')
  return newest ?? ''
}

/** Everything up to `process.completed`. */
async function readToEnd(client: Client): Promise<Message[]> {
  const messages: Message[] = []
  return repeat(async () => {
    messages.push(await client.next())
    return messages.at(-1)?.method === 'process.completed' ? messages : undefined
  }, 'the process is completed')
}

const outputOf = (messages: Message[], type = 'stdout'): string =>
  messages
    .flatMap(({ method, params }) =>
      method === 'process.output' && params?.['type'] === type ? [String(params['data'])] : [],
    )
    .join('')

const opened = new WeakMap<Test, Promise<Harness>>()
/** One for all runs of a test. */
function harnessOf(t: Test): Promise<Harness> {
  const harness = opened.get(t) ?? open(t)
  opened.set(t, harness)
  return harness
}

/** Executes a command, plays a run of it, and gives what the client heard. */
async function play(
  t: Test,
  flags: string,
  lines: readonly string[],
  outcome: Partial<Outcome> = {},
): Promise<Message[]> {
  const harness = await harnessOf(t)
  const client = await connect(harness)
  client.send(request(1, 'execute', { command: `claude -p hello ${flags}`, timeout: 7 }))
  const run = await harness.start(await findExecution(harness))
  await run.write(
    delta('Hel'),
    ...lines.map(message),
    { type: 'output', data: { stream: 'stderr', data: 'a warning' } },
    { type: 'output', data: { stream: 'stdout', data: 'no JSON' } },
  )
  await run.finish(outcome)
  return readToEnd(client)
}

const INIT = '{"type":"system","subtype":"init","cwd":"/w"}'
const PARTIAL = '{"type":"stream_event","event":{"type":"message_start"}}'
/** The CLI writes it for each request only when partial messages are asked for. */
const REQUESTING = '{"type":"system","subtype":"status","status":"requesting"}'
const COMPACTING = '{"type":"system","subtype":"status","status":"compacting"}'
const SPOKEN = '{"type":"assistant", "message":{"content":[{"type":"text","text":"grüße \\u00e9 😀"}]}}'
const RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"grüße 😀"}'
const LINES = [
  INIT,
  PARTIAL,
  SPOKEN,
  '{"type":"result","subtype":"success","is_error":false,"result":"an earlier one"}',
  RESULT,
]

void t.test('a run is told as the original told it', async (t) => {
  const messages = await play(t, '', LINES, { result: 'grüße 😀', exitCode: 0 })
  t.match(messages[0], {
    jsonrpc: '2.0',
    id: 1,
    result: { status: 'started', pid: 4711, pgid: 4711, execution_id: /^[0-9a-f-]{36}$/ },
  })
  t.same(messages.slice(1), [
    {
      jsonrpc: '2.0',
      method: 'process.started',
      params: { status: 'started', pid: 4711, pgid: 4711, exit_code: null, error: null },
    },
    {
      jsonrpc: '2.0',
      method: 'process.output',
      params: { type: 'stderr', truncated: false, data: 'a warning\n', chunk_index: 0, total_chunks: 1 },
    },
    {
      jsonrpc: '2.0',
      method: 'process.output',
      params: { type: 'stdout', truncated: false, data: 'grüße 😀\n', chunk_index: 0, total_chunks: 1 },
    },
    {
      jsonrpc: '2.0',
      method: 'process.completed',
      params: { status: 'completed', pid: 4711, pgid: 4711, exit_code: 0, error: null, execution_time: 1.5 },
    },
  ])
})

void t.test('the output is what claude prints for the format asked for, to the byte', async (t) => {
  const lines = (texts: readonly string[]) => texts.map((text) => `${text}\n`).join('')
  t.equal(outputOf(await play(t, '--output-format stream-json --verbose', LINES)), lines([...LINES, 'no JSON']))
  t.equal(
    outputOf(await play(t, '--output-format stream-json --verbose', [REQUESTING, COMPACTING, RESULT])),
    lines([COMPACTING, RESULT, 'no JSON']),
  )
  t.equal(
    outputOf(await play(t, '--output-format stream-json --verbose --include-partial-messages', [REQUESTING, RESULT])),
    lines([REQUESTING, RESULT, 'no JSON']),
  )
  // Stored events have these characters escaped; what the CLI itself has escaped stays as it was.
  const breaks = [
    '{"type":"user","raw":"\u2028 \u2029 \u0085 \\\\\u2028"}',
    String.raw`{"type":"user","escaped":"\u2028 \\u2028 \u0085"}`,
  ]
  t.equal(
    outputOf(await play(t, '--output-format stream-json --verbose', [...breaks, RESULT])),
    lines([...breaks, RESULT, 'no JSON']),
  )
  t.equal(outputOf(await play(t, '--output-format json', LINES)), lines([RESULT]))
  t.equal(
    outputOf(await play(t, '', LINES, { result: 'a line of its own\n\n', exitCode: 0 })),
    'a line of its own\n\n',
    'no newline is added to one',
  )
})

void t.test('failures print what claude prints, and never exit with 0', async (t) => {
  const failed = { status: 'failed', code: 'CLAUDE_EXITED', message: 'why', exitCode: 0 } as const
  const error = (fields: object) => [JSON.stringify({ type: 'result', is_error: true, ...fields })]
  const completed = { params: { status: 'failed', exit_code: 1, error: 'why' } }
  for (const [fields, printed] of [
    [{ subtype: 'success', result: 'API Error: 500 x' }, 'API Error: 500 x\n'],
    [{ subtype: 'error_max_turns', errors: ['Reached maximum number of turns (2)'] }, 'Error: Reached max turns (2)'],
    [
      { subtype: 'error_max_budget_usd', errors: ['Reached maximum budget ($0.5)'] },
      'Error: Exceeded USD budget (0.5)',
    ],
    [{ subtype: 'error_during_execution' }, 'Execution error'],
    [
      { subtype: 'error_max_structured_output_retries' },
      'Error: Failed to provide valid structured output after maximum retries',
    ],
  ] as const) {
    const messages = await play(t, '', error(fields), failed)
    t.equal(outputOf(messages), printed)
    t.match(messages.at(-1), completed)
  }
  const silent = await play(t, '', [], {
    status: 'failed',
    code: 'CLAUDE_SIGNALLED',
    message: 'killed',
    signal: 'SIGKILL',
  })
  t.equal(outputOf(silent), '')
  t.match(silent.at(-1), { params: { status: 'failed', exit_code: 137, error: 'killed' } })
})

void t.test('a timeout is a failure that says so', async (t) => {
  const messages = await play(t, '', [], { status: 'timed_out', code: 'TIMED_OUT', message: 'too long' })
  t.match(messages.at(-1), { params: { status: 'failed', exit_code: 124, error: /^timed out after 7 s/ } })
})

void t.test('long lines come in chunks, whole, and never through the middle of a character', async (t) => {
  const text = `x${'😀'.repeat(100_000)}`
  const line = JSON.stringify({ type: 'assistant', text })
  const chunks = (await play(t, '--output-format stream-json --verbose', [line]))
    .filter(({ params }) => params?.['type'] === 'stdout')
    .slice(0, -1)
  t.equal(outputOf(chunks), `${line}\n`)
  t.ok(
    chunks.every(({ params }) => String(params?.['data']).isWellFormed() && String(params?.['data']).length <= 65_536),
  )
  t.match(
    chunks.map(({ params }) => params),
    Array.from({ length: 4 }, (_, index) => ({ chunk_index: index, total_chunks: 4, truncated: false })),
  )
  for (const length of [0, 1, 65_535, 65_536, 65_537, 131_072])
    t.equal([...toChunks('y'.repeat(length))].length, Math.ceil(length / 65_536), `${length} characters`)
})

void t.test('pause, resume and cancel: the answer first, the notification once, then process.completed', async (t) => {
  const harness = await open(t)
  const client = await connect(harness)
  t.match(await client.call('control', { type: 'CANCEL' }), { error: { code: -32003 } }, 'no process')
  t.match(await client.call('control', { type: 'STOP' }), { error: { code: -32602 } }, 'an unknown type')
  client.send(request(1, 'execute', { command: 'claude -p hello' }))
  const run = await harness.start(await findExecution(harness))
  await client.until(({ method }) => method === 'process.started')
  t.match(await client.call('execute', { command: 'claude -p again' }), {
    error: { code: -32602, message: /already running/ },
  })
  for (const [type, method, event] of [
    ['PAUSE', 'paused', 'execution.paused'],
    ['RESUME', 'resumed', 'execution.resumed'],
    ['CANCEL', 'canceled', 'execution.cancel_requested'],
  ] as const) {
    const id = `${type}-1`
    client.send(request(id, 'control', { type }))
    await until(async () => {
      const controls = await run.control()
      return Boolean(type === 'CANCEL' ? controls?.cancel : controls?.pause?.wanted === (type === 'PAUSE'))
    }, `${type} has reached the run`)
    await run.write({ type: event, data: { by: 'tester' } })
    t.match(await client.take(2), [
      { id, result: { status: method } },
      { method: `process.${method}`, params: { status: method, pid: 4711, pgid: 4711, exit_code: null, error: null } },
    ])
  }
  await run.finish({ status: 'cancelled', code: 'CANCELLED', message: 'Cancelled by tester.', exitCode: 143 })
  t.match(await client.next(), {
    method: 'process.completed',
    params: { status: 'failed', exit_code: 143, error: 'Cancelled by tester.' },
  })
  t.match(await client.call('control', { type: 'CANCEL' }), { error: { code: -32003 } }, 'it is gone')
  client.send(request(2, 'execute', { command: 'claude -p next' }))
  await client.call('control', { type: 'CANCEL' })
  t.same(
    client.inbox.filter(({ method }) => method === 'process.error'),
    [],
    'the connection may run another one',
  )
})

void t.test('who cancels when the answer was complete hears no success', async (t) => {
  const harness = await open(t)
  const client = await connect(harness)
  client.send(request(1, 'execute', { command: 'claude -p hello' }))
  const run = await harness.start(await findExecution(harness))
  await client.until(({ method }) => method === 'process.started')
  await run.write({ type: 'execution.cancel_requested', data: { by: 'tester' } })
  await run.finish({ status: 'succeeded', result: 'hello' })
  const messages = await readToEnd(client)
  t.same(methodsOf(messages), ['process.canceled', 'process.output', 'process.completed'])
  t.match(messages.at(-1)?.params, { status: 'failed', exit_code: 1, error: 'canceled after its answer was complete' })
})

void t.test('cancel works before the process has started', async (t) => {
  const harness = await open(t)
  const client = await connect(harness)
  client.send(request(1, 'execute', { command: 'claude -p hello' }))
  client.send(request(2, 'control', { type: 'CANCEL' }))
  const messages = await readToEnd(client)
  t.match(
    messages.filter(({ id }) => id !== undefined).sort((a, b) => Number(a.id) - Number(b.id)),
    [
      { id: 1, error: { code: -32603, message: /Cancelled/, data: { code: 'CANCELLED' } } },
      { id: 2, result: { status: 'canceled' } },
    ],
  )
  t.same(methodsOf(messages).slice(-2), ['process.canceled', 'process.completed'])
  t.match(messages.at(-1), { params: { status: 'failed', pid: null, pgid: null, exit_code: 1 } })
  t.equal(methodsOf(messages).filter((method) => method === 'process.canceled').length, 1)
})

void t.test('a control may name an execution of another connection', async (t) => {
  const harness = await open(t)
  const client = await connect(harness)
  const executionId = await harness.submit()
  client.send(request(1, 'control', { type: 'CANCEL', execution_id: executionId }))
  t.match(await client.take(2), [{ id: 1, result: { status: 'canceled' } }, { method: 'process.canceled' }])
  t.match(await client.call('control', { type: 'PAUSE', execution_id: executionId }), { error: { code: -32003 } })
  t.match(await client.call('control', { type: 'CANCEL', execution_id: UNKNOWN }), { error: { code: -32003 } })
  const finished = await harness.submit()
  await (await harness.start(finished)).finish()
  t.match(await client.call('control', { type: 'CANCEL', execution_id: finished }), {
    error: { code: -32003, message: /succeeded/ },
  })
})

void t.test('a run outlives its connection, unless kill_on_disconnect was asked for', async (t) => {
  for (const [kill, expected] of [
    [undefined, 'queued'],
    [true, 'cancelled'],
  ] as const) {
    const harness = await open(t)
    const client = await connect(harness)
    client.send(request(1, 'execute', { command: 'claude -p hello', kill_on_disconnect: kill }))
    const executionId = await findExecution(harness)
    client.socket.terminate()
    await until(() => harness.server.clients.size === 0, 'the service has seen it go')
    if (kill) await until(async () => (await statusOf(harness, executionId)) !== 'queued', 'it is cancelled')
    t.equal(await statusOf(harness, executionId), expected)
  }
})

void t.test('errors carry the numbers of the dialect, and JSON-RPC is kept to the letter', async (t) => {
  const harness = await open(t)
  const client = await connect(harness)
  const says = async (sent: unknown, expected: unknown) => {
    client.send(sent)
    t.match(await client.next(), expected, JSON.stringify(sent))
  }
  await says(request(1, 'execute', {}), { id: 1, error: { code: -32602 } })
  await says(request(1, 'execute', { command: 'claude -p x', timeout: 'soon' }), {
    error: { code: -32602, message: /timeout/ },
  })
  await says(request(1, 'execute', { command: 'claude -p x', shell: true }), {
    error: { code: -32602, message: /shell/ },
  })
  await says(request(1, 'execute', { command: '' }), { error: { code: -32002 } })
  await says(request(1, 'execute', { command: 'echo hi; id -u', id: 1 }), { error: { code: -32002 } })
  await says(request(1, 'execute', { command: 'claude -p x --dangerously-skip-permissions', timeout: null }), {
    error: { code: -32002, message: /CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS/ },
  })
  await says(request(1, 'status'), { error: { code: -32601 } })
  await says('{', { id: null, error: { code: -32700 } })
  await says('[]', { id: null, error: { code: -32600 } })
  await says(
    [request(1, 'pong'), request(null, 'pong'), { jsonrpc: '2.0', method: 'pong' }],
    [
      { id: 1, result: {} },
      { id: null, result: {} },
    ],
  )
  await says(request(1, 'hook_status'), { id: 1, result: { enabled: false, config_path: null, hooks_configured: [] } })
  client.send({ jsonrpc: '2.0', method: 'pong', params: { timestamp: 1 } })
  await says(request('s', 'hook_status'), { id: 's' })
  const reader = await connect(await open(t, { id: 'reader', name: 'reader', scopes: new Set(['read']) }))
  t.match(await reader.call('execute', { command: 'claude -p x' }), {
    error: { code: -32002, message: /execute scope/ },
  })
  t.match(await reader.call('hook_status'), { result: { enabled: false } })
  const runner = await connect(await open(t, { id: 'runner', name: 'runner', scopes: new Set(['execute']) }))
  t.match(await runner.call('hook_status'), { error: { code: -32002, message: /hook_status needs .* read scope/ } })
})

void t.test('in a batch the process is told after the answer of the batch', async (t) => {
  const harness = await open(t)
  const client = await connect(harness)
  client.send([request(1, 'execute', { command: 'claude -p hello' }), request(2, 'hook_status')])
  const run = await harness.start(await findExecution(harness))
  t.match(await client.next(), [{ id: 2 }, { id: 1, result: { status: 'started' } }])
  await run.finish()
  t.same(methodsOf(await readToEnd(client)), ['process.started', 'process.output', 'process.completed'])
})

void t.test('a log that is taken away in mid-run is told as an error, and the connection is free', async (t) => {
  const harness = await open(t)
  const client = await connect(harness)
  client.send(request(1, 'execute', { command: 'claude -p hello' }))
  const executionId = await findExecution(harness)
  await harness.start(executionId)
  await client.until(({ method }) => method === 'process.started')
  const { redis } = harness.services
  await redis.del(...(await redis.keys(`*${executionId}*`)))
  t.match(await client.next(), { method: 'process.error', params: { error: String } })
  t.match(await client.call('control', { type: 'CANCEL' }), { error: { code: -32003 } })
})
