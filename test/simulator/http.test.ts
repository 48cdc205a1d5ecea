// The API without the CLI: what it says to any client, and what becomes of the sockets.
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { openSimulator, type Simulator } from '../../src/simulator/simulator.js'
import { findScript, type Script } from '../../src/simulator/script.js'
import { once, turns } from '../support/deadlines.js'

const TOOLS = [{ name: 'Bash', input_schema: { type: 'object' } }]

void t.test('a whole message and a stream say the same', async (t) => {
  const simulator = await open(t)
  const script: Script = [
    { thinking: 'Hm.' },
    { text: 'grüße ${lastToolResult}', chunkBytes: 1 },
    { usage: { inputTokens: 7 } },
    { tool: 'Bash', input: { command: 'cd ${cwd}', list: ['${cwd}', 1, null] } },
    { structured: { a: 1 } },
    { text: 'After.' },
  ]
  const body = toBody(simulate(script), {
    system: [{ type: 'text', text: 'x\n - Primary working directory: /a b\n - y' }],
    tools: TOOLS,
  })
  const whole = await (await post(simulator, body)).json()
  t.match(whole, {
    role: 'assistant',
    model: 'm',
    stop_reason: 'tool_use',
    usage: { input_tokens: 7 },
    content: [
      { type: 'thinking', thinking: 'Hm.', signature: String },
      { type: 'text', text: 'grüße ' },
      { type: 'tool_use', name: 'Bash', input: { command: 'cd /a b', list: ['/a b', 1, null] } },
      { type: 'tool_use', name: 'StructuredOutput', input: { a: 1 } },
    ],
  })
  const events = toEvents(await (await post(simulator, { ...body, stream: true })).text())
  t.equal(textOf(events), 'grüße ')
  t.equal(events.filter((event) => event.delta?.type === 'text_delta').length, 6, 'a character to a chunk')
  t.same(
    events.map((event) => event.type).filter((type) => type !== 'content_block_delta'),
    [
      'message_start',
      ...Array.from({ length: 4 }, () => ['content_block_start', 'content_block_stop']).flat(),
      'message_delta',
      'message_stop',
    ],
  )
  const next = [
    ...body.messages,
    { role: 'assistant', content: [] },
    {
      role: 'user',
      content: [
        { type: 'tool_result', content: 'r' },
        { type: 'text', text: 'a note of the tool' },
      ],
    },
  ]
  t.match(await (await post(simulator, { ...body, messages: next })).json(), {
    content: [{ text: 'After.' }],
    stop_reason: 'end_turn',
  })
  const end = [...next, { role: 'assistant', content: 'After.' }, { role: 'user', content: '<task-notification>x' }]
  t.match(await (await post(simulator, { ...body, messages: end })).json(), { content: [{ text: /come to its end/ }] })
})

void t.test('failures are met as often as the script says, per conversation', async (t) => {
  const simulator = await open(t)
  const body = toBody(
    simulate([
      { status: 529, message: 'busy', retryAfter: 3, times: 2 },
      { text: 'a' },
      { status: 500 },
      { cut: 'eof' },
    ]),
  )
  const stream = { ...body, stream: true }
  for (const userId of ['one', 'two']) {
    const ask = async (): Promise<Response> => post(simulator, { ...stream, metadata: { user_id: userId } })
    const busy = await ask()
    t.match(
      [busy.status, busy.headers.get('retry-after'), await busy.json()],
      [529, '3', { type: 'error', error: { type: 'overloaded_error', message: 'busy' } }],
    )
    t.equal((await toMessage(await ask())).type, 'error')
    const broken = toEvents(await (await ask()).text())
    t.match(broken.at(-1), { type: 'error', error: { type: 'api_error' } })
    const ended = toEvents(await (await ask()).text())
    t.notOk(
      ended.some((event) => event.type === 'content_block_stop'),
      'the last block is still open',
    )
    t.equal(toEvents(await (await ask()).text()).at(-1)?.type, 'message_stop')
  }
  const cut = toBody(simulate([{ text: 'said' }, { cut: true, times: 2 }]))
  await t.rejects((await post(simulator, { ...cut, stream: true })).text(), 'destroyed in mid-stream')
  await t.rejects(post(simulator, cut), 'destroyed before an answer')
  t.match(await (await post(simulator, cut)).json(), { content: [{ text: 'said' }] })
})

void t.test('merged, interrupted and empty turns lead to the right prompt', async (t) => {
  const simulator = await open(t, [{ text: 'fallback' }])
  const say = async (...texts: string[]): Promise<unknown> => {
    const content = texts.map((text) => ({ type: 'text', text }))
    const messages = [
      { role: 'user', content },
      { role: 'system', content: 'x' },
    ]
    return (await toMessage(await post(simulator, toBody('', { messages })))).content?.[0]?.text
  }
  const old = simulate([{ text: 'old' }, { turn: true }, { text: 'old, second' }])
  const close = '(end of the task)'
  t.equal(await say('<system-reminder>```simulate\n</system-reminder>', old, close), 'old')
  t.equal(await say(old, `${close}\n`, simulate([{ text: 'new' }]), close), 'new')
  t.equal(await say(old, `${close}\n`, 'plain', close), 'fallback')
  t.equal(await say(old, '[Request interrupted by user]\n', 'plain'), 'fallback')
  t.equal(await say(old, '[Your previous response had no visible output. Please'), 'old, second')
  t.equal(await say('plain', 'more'), 'fallback')
})

void t.test('a request for a title quotes the script and consumes nothing of it', async (t) => {
  const simulator = await open(t)
  const prompt = simulate([{ status: 500 }])
  const title = toBody(`<session>\n${prompt}</session>`, {
    output_config: {
      format: { type: 'json_schema', schema: { type: 'object', properties: { title: { type: 'string' } } } },
    },
  })
  t.equal((await toMessage(await post(simulator, title))).content?.[0]?.text, '{"title":"Simulated"}')
  t.equal((await post(simulator, toBody(prompt))).status, 500)
  t.same(
    simulator.requests.map((request) => request.side),
    [true, false],
  )
})

void t.test('probes and mistakes get the answers of an API', async (t) => {
  const simulator = await open(t)
  const at = async (path: string, init?: RequestInit): Promise<unknown[]> => {
    const response = await fetch(simulator.url + path, init)
    return [response.status, await response.text().then((text) => (text === '' ? '' : JSON.parse(text)))]
  }
  t.same(await at('/', { method: 'HEAD' }), [200, ''])
  t.match(await at('/'), [200, { simulator: true }])
  t.match(await at('/v1/models'), [404, { type: 'error', error: { type: 'not_found_error' } }])
  t.match(await at('/v1/messages'), [405, { type: 'error' }])
  t.match(await at('/v1/messages', { method: 'POST', body: '{' }), [400, { error: { message: /not valid JSON/ } }])
  t.match(await at('/v1/messages', { method: 'POST', body: '{"model":"m"}' }), [
    400,
    { error: { message: /messages/ } },
  ])
  t.match(await at('/v1/messages', { method: 'POST', body: 'x'.repeat(33 * 1024 * 1024) }), [
    413,
    { error: { type: 'request_too_large' } },
  ])
  const headers = { authorization: 'Bearer secret-1', 'x-api-key': 'secret-2' }
  t.match(
    await at('/v1/messages/count_tokens?beta=true', {
      method: 'POST',
      headers,
      body: JSON.stringify(toBody('12345678')),
    }),
    [200, { input_tokens: Number }],
  )
  t.same(simulator.requests.at(-1)?.credentials, ['x-api-key', 'authorization: Bearer'])
  t.notMatch(JSON.stringify(simulator.requests), /secret/)
  const bad = await post(simulator, toBody(simulate([{ tool: 'Write', input: { file_path: '${cwd}/x' } }])))
  t.match([bad.status, await bad.json()], [400, { error: { message: /names no working directory/ } }])
})

void t.test('a bad script is told what is wrong with it', async (t) => {
  t.equal(findScript('no script, only ```simulate in a line'), undefined)
  t.throws(() => findScript('```simulate\n[]'), /not closed/)
  t.throws(() => findScript('```simulate\n[1\n```'), /not JSON/)
  for (const [step, message] of [
    [{ text: 1 }, /step 1 \(text\): "text" must be a string/],
    [{ status: 418 }, /must be one of 400/],
    [{ text: 'a', speed: 1 }, /knows no "speed"/],
    [{ text: 'a', chunks: 1, chunkBytes: 1 }, /exclude/],
    [{ repeatText: 'a', bytes: 1e12 }, /"bytes" must be an integer/],
    ['a', /step 1 must be an object/],
    [{ usage: { input_tokens: 1 } }, /token counts/],
  ] as const)
    t.throws(() => findScript(`\`\`\`simulate\n${JSON.stringify([step])}\n\`\`\``), message)
})

void t.test('a reader that stops or goes away, and a close in the midst, leave nothing behind', async (t) => {
  const simulator = await open(t)
  const huge = { ...toBody(simulate([{ repeatText: 'abc', bytes: 48 * 1024 * 1024 }])), stream: true }
  const leaving = new AbortController()
  const paused = await post(simulator, huge, leaving.signal)
  t.equal(paused.status, 200)
  leaving.abort()
  await t.rejects(paused.text())

  // Paused before it has read a byte: the rest waits in the simulator, as a text and not as a queue of events.
  const { port, hostname } = new URL(simulator.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  const body = JSON.stringify(huge)
  socket.write(`POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  await once(socket, 'readable')

  const hanging = await post(simulator, { ...toBody(simulate([{ text: 'a' }, { hangMs: 600_000 }])), stream: true })
  const silent = post(simulator, toBody(simulate([{ delayMs: 600_000 }, { text: 'a' }])))
  const ends = Promise.all([t.rejects(hanging.text()), t.rejects(silent)])
  await turns(() => simulator.requests.length >= 4, 'all have come')
  await Promise.all([simulator.close(), simulator.close(), ends])
  socket.destroy()
})

interface Body {
  readonly model: string
  readonly max_tokens: number
  readonly messages: readonly object[]
  readonly [key: string]: unknown
}
interface Event {
  readonly type: string
  readonly delta?: { readonly type?: string; readonly text?: string }
}
interface Message {
  readonly type: string
  readonly content?: readonly { readonly text?: string }[]
}

async function toMessage(response: Response): Promise<Message> {
  return JSON.parse(await response.text())
}

async function open(t: Test, script?: Script): Promise<Simulator> {
  const simulator = await openSimulator(script === undefined ? {} : { script })
  t.teardown(() => simulator.close())
  return simulator
}

function toBody(prompt: string, more: object = {}): Body {
  return { model: 'm', max_tokens: 1000, messages: [{ role: 'user', content: prompt }], ...more }
}

async function post(simulator: Simulator, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${simulator.url}/v1/messages?beta=true`, {
    method: 'POST',
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  })
}

function toEvents(stream: string): Event[] {
  return stream
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => JSON.parse(line.slice(6)))
}

function textOf(events: readonly Event[]): string {
  return events.map((event) => event.delta?.text ?? '').join('')
}

function simulate(steps: readonly object[]): string {
  return `\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\``
}
