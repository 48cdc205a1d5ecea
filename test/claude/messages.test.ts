// What is heard from the CLI: bytes → lines → messages → events and an observation.
import { createHash, randomInt } from 'node:crypto'
import t from 'tap'
import { decodeClaudeLine } from '../../src/claude/stream/decode-claude-line.js'
import { createLineSplitter, type Line } from '../../src/claude/stream/line-splitter.js'
import { coalesceDeltas, createTranslator, translateStderr } from '../../src/claude/stream/translate-message.js'
import { EVENT_DATA, type NewEvent } from '../../src/protocol/events.js'

import { line, read, toLines, transcripts, translateAll } from './lines.js'

/** Per message the deltas since its last reset: what a client shows at the end. */
function shownTexts(events: readonly NewEvent[]): Map<number, string> {
  const shown = new Map<number, string>()
  for (const event of events) {
    if (event.type === 'text.reset') shown.set(event.data.message, '')
    if (event.type === 'text.delta')
      shown.set(event.data.message, (shown.get(event.data.message) ?? '') + event.data.text)
  }
  return shown
}

const passed = (events: readonly NewEvent[]) =>
  events.flatMap((event) => ('rawMessage' in event ? event.rawMessage : [])).join('\n')
const typesOf = (events: readonly NewEvent[]) => events.map(({ type }) => type)
const only = (events: readonly NewEvent[], type: NewEvent['type']) => events.filter((event) => event.type === type)
const text = (value: string) => ({ type: 'text', text: value })
const cut = (bytes: Buffer): Buffer[] => {
  const chunks: Buffer[] = []
  for (let start = 0; start < bytes.length;) {
    const end = start + randomInt(1, randomInt(2, 900))
    chunks.push(bytes.subarray(start, end))
    start = end
  }
  return chunks
}

void t.test('the same bytes give the same lines, however they are cut', async (t) => {
  const long = Buffer.from('x'.repeat(5_000))
  const bytes = Buffer.concat([
    read(2),
    Buffer.from('\n\r\nno JSON\r\n'),
    long,
    Buffer.from('\n'),
    Buffer.from([0xff, 0xfe, 0x0a]),
    Buffer.from('the last one has no line feed'),
  ])
  const whole = toLines(bytes, 4_000)
  t.equal(whole.length, 49 + 6)
  t.match(whole.at(-3), {
    kind: 'oversized',
    length: 5_000,
    limit: 4_000,
    sha256: createHash('sha256').update(long).digest('hex'),
  })
  t.ok(
    whole.some((one) => one.kind === 'line' && one.bytes.equals(Buffer.from('no JSON\r'))),
    'a carriage return is data',
  )
  const expected = JSON.stringify(whole)
  const differing = Array.from({ length: 200 }, () => {
    const splitter = createLineSplitter({ maxLineBytes: 4_000 })
    return JSON.stringify([...cut(bytes).flatMap((chunk) => splitter.push(chunk)), ...splitter.end()])
  }).filter((lines) => lines !== expected)
  t.same(differing, [])
  t.same(toLines(Buffer.from('abcd\nabcde'), 4), [
    { kind: 'line', bytes: Buffer.from('abcd') },
    { kind: 'oversized', length: 5, limit: 4, sha256: createHash('sha256').update('abcde').digest('hex') },
  ])
  t.same(toLines(Buffer.from('a\n')), [{ kind: 'line', bytes: Buffer.from('a') }], 'nothing follows the last line feed')

  const splitter = createLineSplitter({ maxLineBytes: 1 << 24 })
  const piece = Buffer.alloc(16, 'y')
  for (let count = 0; count < 500_000; count += 1) splitter.push(piece)
  const [crumbs] = splitter.push(Buffer.from('\n'))
  t.ok(
    crumbs?.kind === 'line' && crumbs.bytes.length === 8_000_000,
    'half a million crumbs make one line in linear time',
  )
  for (let count = 0; count < 2_000_000; count += 1) splitter.push(piece)
  const [flood] = splitter.end()
  t.ok(flood?.kind === 'oversized' && flood.length === 32_000_000)
})

void t.test('what the CLI repeats of ours is no event, however long, and says that it was read', async (t) => {
  const replay = { type: 'user', isReplay: true, uuid: 'one', message: { role: 'user', content: [] } }
  const translator = createTranslator({
    partialText: true,
    rawPartials: false,
    onReplay: (id) => [{ type: 'message.delivered', data: { messageId: id } }],
  })
  const delivered = [{ type: 'message.delivered', data: { messageId: 'one' } }]
  t.same(translator.translate(line(replay)), delivered)
  const [long] = toLines(Buffer.from(`${JSON.stringify({ ...replay, message: 'x'.repeat(9_000) })}\n`), 4_000)
  t.equal(long?.kind, 'oversized')
  t.same(long && translator.translate(long), delivered)
  t.same(translator.translate(line({ type: 'command_lifecycle', command_uuid: 'one', state: 'queued' })), [])
  t.equal(translator.observation.unreadLines, 0)
  t.same(translateAll([line(replay)]).events, [], 'the prompt is repeated too')
})

void t.test('a line is a message only if it is an object with a type in valid UTF-8', async (t) => {
  const raw = '{"type":"x", "a":"\u2028 ü","n":1.0}\r'
  t.same(
    decodeClaudeLine(Buffer.from(raw)),
    { kind: 'message', type: 'x', message: { type: 'x', a: '\u2028 ü', n: 1 }, raw },
    'its bytes are kept as they came',
  )
  for (const text of [
    '',
    'hello',
    '[1]',
    'null',
    '1',
    '"type"',
    '{"type":1}',
    '{}',
    '{"type":"x"',
    '\ufeff{"type":"x"}',
  ])
    t.match(decodeClaudeLine(Buffer.from(text)), { kind: 'text' }, text)
  t.same(decodeClaudeLine(Buffer.concat([Buffer.from('{"type":"x","a":"'), Buffer.from([0xff]), Buffer.from('"}')])), {
    kind: 'text',
    text: '{"type":"x","a":"\ufffd"}',
  })
})

void t.test('in every transcript the deltas since the last reset are the text of each message', async (t) => {
  for (const [index, name] of transcripts.entries()) {
    const lines = toLines(read(index + 1))
    const { events, observation } = translateAll(lines)
    // The truth: the assistant lines, in the order of their ids.
    const texts = new Map<string, string>()
    for (const one of lines) {
      const {
        type,
        message,
        parent_tool_use_id: parent,
      } = JSON.parse(one.kind === 'line' ? one.bytes.toString() : '{}')
      if (type !== 'assistant' || typeof parent === 'string') continue
      const text = message.content.map((block: { text?: string }) => block.text ?? '').join('')
      texts.set(message.id, (texts.get(message.id) ?? '') + text)
    }
    t.same(
      [...shownTexts(events)].filter(([, text]) => text !== ''),
      [...texts.values()].map((text, message) => [message, text]).filter(([, text]) => text !== ''),
      name,
    )
    t.same(shownTexts(coalesceDeltas(events)), shownTexts(events), `${name}, coalesced`)
    t.equal(only(translateAll(lines, { partialText: false }).events, 'text.delta').length, 0)
    t.equal(observation.openToolCalls, 0, name)
    t.equal(observation.turnActive, false, name)

    const streamed = lines.filter((one) => one.kind === 'line' && one.bytes.includes('{"type":"stream_event"'))
    const controls = lines.filter((one) => one.kind === 'line' && one.bytes.includes('{"type":"control_'))
    t.equal(
      passed(events),
      lines
        .filter((one) => !streamed.includes(one) && !controls.includes(one))
        .map((one) => (one.kind === 'line' ? one.bytes.toString() : ''))
        .join('\n'),
      'every other line passes to the byte',
    )
    t.equal(
      passed(translateAll(lines, { rawPartials: true }).events),
      lines
        .filter((one) => !controls.includes(one))
        .map((one) => (one.kind === 'line' ? one.bytes.toString() : ''))
        .join('\n'),
    )
    for (const event of events) if ('data' in event) EVENT_DATA[event.type].parse(event.data)
  }
})

void t.test('a stream that was cut starts its message anew', async (t) => {
  const { events, observation } = translateAll(toLines(read(10)))
  t.same(typesOf(coalesceDeltas(events)), [
    'claude.message',
    'claude.message',
    'text.delta',
    'text.reset',
    'text.delta',
    'claude.message',
    'claude.message',
  ])
  t.same(shownTexts(events), new Map([[0, 'second try is good']]))
  t.match(observation.usage, { inputTokens: 10, outputTokens: 5 }, 'usage is zero in this result, modelUsage is right')

  const start = (id: string) => line({ type: 'stream_event', event: { type: 'message_start', message: { id } } })
  const delta = (text: string) =>
    line({ type: 'stream_event', event: { type: 'content_block_delta', delta: { type: 'text_delta', text } } })
  const stop = line({ type: 'stream_event', event: { type: 'message_stop' } })
  const assistant = (id: string, ...content: unknown[]) => line({ type: 'assistant', message: { id, content } })
  const tool = { type: 'tool_use', id: 't1', name: 'Bash', input: {} }
  const table: [string, Line[], [number, string][]][] = [
    [
      'retried as a stream',
      [start('a'), delta('one'), start('b'), delta('two'), assistant('b', text('two')), stop],
      [[0, 'two']],
    ],
    [
      'retried before any text',
      [start('a'), start('b'), delta('two'), assistant('b', text('two')), stop],
      [[0, 'two']],
    ],
    [
      'cut after a finished block',
      [start('a'), delta('one'), assistant('a', text('one')), delta('half'), assistant('b', text('whole'), tool)],
      [[0, 'whole']],
    ],
    ['the retry has no text', [start('a'), delta('one'), assistant('b', tool)], [[0, '']]],
    [
      'two text blocks',
      [
        start('a'),
        delta('one '),
        assistant('a', text('one ')),
        delta('two'),
        assistant('a', text('two')),
        stop,
        start('b'),
        delta('x'),
        assistant('b', text('x')),
        stop,
      ],
      [
        [0, 'one two'],
        [1, 'x'],
      ],
    ],
    ['deltas that were lost', [start('a'), delta('o'), assistant('a', text('one')), stop], [[0, 'one']]],
    ['deltas that differ', [start('a'), delta('xyz'), assistant('a', text('one')), stop], [[0, 'one']]],
    [
      'an interrupted turn keeps its text, and the next is a message of its own',
      [
        start('a'),
        delta('one'),
        line({ type: 'result', is_error: true }),
        start('b'),
        delta('two'),
        assistant('b', text('two')),
        stop,
      ],
      [
        [0, 'one'],
        [1, 'two'],
      ],
    ],
    [
      'without partial messages',
      [assistant('a', text('one')), assistant('a', text(' more')), assistant('b', text('two'))],
      [
        [0, 'one more'],
        [1, 'two'],
      ],
    ],
    [
      'subagents say nothing here',
      [
        line({ type: 'assistant', parent_tool_use_id: 't', message: { id: 's', content: [text('sub')] } }),
        assistant('a', text('one')),
      ],
      [[0, 'one']],
    ],
    ['a delta out of nowhere', [delta('one'), assistant('a', text('one'))], [[0, 'one']]],
  ]
  for (const [name, lines, shown] of table) t.same([...shownTexts(translateAll(lines).events)], shown, name)
})

void t.test('tool calls are followed from their start to their end or denial', async (t) => {
  let clock = 0
  const { events, observation } = translateAll(toLines(read(2)), { now: () => (clock += 10) })
  t.same(
    only(events, 'tool.started').map(
      (event) => 'data' in event && event.type === 'tool.started' && [event.data.name, event.data.toolUseId],
    ),
    [
      ['Write', 'toolu_5_1'],
      ['Read', 'toolu_6_0'],
      ['Bash', 'toolu_6_1'],
    ],
  )
  t.match(only(events, 'tool.started').at(-1), {
    data: {
      input: '{"command":"wc -l note.txt; pwd","description":"Count"}',
      inputDigest: createHash('sha256').update('{"command":"wc -l note.txt; pwd","description":"Count"}').digest('hex'),
    },
  })
  t.match(only(events, 'tool.finished'), [
    { data: { name: 'Write', isError: false, durationMs: 10 } },
    { data: { name: 'Read' } },
    { data: { name: 'Bash' } },
  ])
  t.match(observation, {
    toolsUsed: 3,
    turns: 3,
    results: 1,
    sessionId: '7cdb3330-20e1-4fd3-9c3c-d445bfb4c310',
    model: 'claude-opus-4-8[1m]',
    partialText: 'All done: 2 lines.',
    tokensSoFar: { inputTokens: 1220, outputTokens: 50 },
  })
  t.match(observation.usage, { inputTokens: 1220, outputTokens: 50, cacheReadTokens: 5000, costUsd: 0.00985, turns: 4 })

  const denied = translateAll(toLines(read(3)))
  t.match(only(denied.events, 'tool.denied'), [
    { data: { tool: 'Write', toolUseId: 'toolu_9_0', allowWith: 'permissionMode: "acceptEdits"' } },
  ])
  t.equal(only(denied.events, 'tool.denied').length, 1, 'once, although the result lists it again')
  const types = typesOf(denied.events)
  t.ok(types.indexOf('tool.denied') < types.lastIndexOf('claude.message') - 1, 'as soon as the CLI says so')
  t.same(denied.observation.denials.length, 1)
  const many = Array.from({ length: 12_000 }, (_, index) => ({ tool_name: 'Write', tool_use_id: `many-${index}` }))
  const calls = many.flatMap(({ tool_use_id: id }) => [
    line({ type: 'assistant', message: { id, content: [{ type: 'tool_use', id, name: 'Write', input: {} }] } }),
    line({
      type: 'user',
      message: {
        content: [
          {
            type: 'tool_result',
            tool_use_id: id,
            is_error: true,
            content: 'Claude requested permissions to use Write,',
          },
        ],
      },
    }),
  ])
  const flood = translateAll([...calls, line({ type: 'result', is_error: false, permission_denials: many })])
  t.equal(only(flood.events, 'tool.denied').length, many.length, 'each is told once, however many they are')
  t.match(flood.observation, { denials: { length: 200 }, denialCount: many.length, unrecordedResults: 0 })

  t.match(translateAll(toLines(read(9))).observation, {
    results: 2,
    usage: { inputTokens: 30, outputTokens: 15, turns: 3, costUsd: 0.000525 },
    lastResult: { text: 'bg has finished', isError: false },
  })
  t.match(translateAll(toLines(read(8))).observation.lastResult, { structuredOutput: { name: 'ada', n: 4 } })
  const heard: unknown[] = []
  t.notOk(
    typesOf(translateAll(toLines(read(6)), { onControl: (message) => (heard.push(message), []) }).events).includes(
      'tool.denied',
    ),
    'an interrupted call was not denied',
  )
  t.match(heard, [{ type: 'control_response', response: { request_id: 'req1' } }])
})

void t.test('what is not understood passes or is named, and nothing throws', async (t) => {
  t.same(translateAll([line('no JSON'), line('{"type":"brand_new","x":1}'), line('{"type":"keep_alive"}')]).events, [
    { type: 'output', data: { stream: 'stdout', data: 'no JSON' } },
    {
      type: 'claude.message',
      rawMessage: '{"type":"brand_new","x":1}',
      bytes: Buffer.from('{"type":"brand_new","x":1}'),
    },
  ])
  t.same(translateStderr('oops'), { type: 'output', data: { stream: 'stderr', data: 'oops' } })
  const long = Buffer.from(`{"type":"result","subtype":"success","is_error":false,"result":"${'x'.repeat(100)}"}\n`)
  const oversized = translateAll(toLines(long, 80))
  t.match(oversized.events, [
    {
      type: 'log.truncated',
      data: { reason: 'line', limit: 80, droppedBytes: long.length - 1, sha256: /^[0-9a-f]{64}$/ },
    },
  ])
  t.match(
    oversized.observation,
    { results: 1, lastResult: { isError: false, subtype: 'success' } },
    'a result that is too long still ends the turn',
  )

  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  const odd = [
    'null',
    '[]',
    '1',
    '"x"',
    '{}',
    '{"content":1}',
    '{"content":[null,1,"x",{},{"type":"text"},{"type":"tool_use"},{"type":"tool_result"}]}',
    `{"content":[{"type":"tool_use","id":"d","name":"D","input":${deep}}]}`,
  ]
  for (const type of [
    'system',
    'assistant',
    'user',
    'result',
    'stream_event',
    'rate_limit_event',
    'control_response',
  ]) {
    for (const value of odd)
      t.doesNotThrow(() =>
        translateAll([
          line(
            `{"type":"${type}","message":${value},"event":${value},"usage":${value},"modelUsage":${value},"permission_denials":${value},"rate_limit_info":${value},"subtype":${value},"errors":${value}}`,
          ),
        ]),
      )
  }
  const emoji = translateAll([
    line({
      type: 'assistant',
      message: { content: [{ type: 'tool_use', id: 't', name: 'Bash', input: { c: `${'x'.repeat(1993)}🎉🎉` } }] },
    }),
  ])
  const [started] = only(emoji.events, 'tool.started')
  t.ok(
    started?.type === 'tool.started' && started.data.input.length === 1_999 && started.data.input.isWellFormed(),
    'no character is cut in half',
  )
})
