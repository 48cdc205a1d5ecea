// What is heard from the CLI: bytes → lines → messages → events and an observation → an outcome.
// Fixtures: the whole stdout of real runs of the CLI, 2.1.197 up to number 10, 2.1.332 from 20 on.
import { execFileSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { classifyExit, type ClaudeExit } from '../../src/claude/stream/classify-exit.js'
import { decodeClaudeLine } from '../../src/claude/stream/decode-claude-line.js'
import { createLineSplitter, type Line } from '../../src/claude/stream/line-splitter.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { readTranscript } from '../../src/claude/stream/transcript.js'
import {
  coalesceDeltas,
  createTranslator,
  translateStderr,
  type TranslatorOptions,
} from '../../src/claude/stream/translate-message.js'
import { EVENT_DATA, type NewEvent } from '../../src/protocol/events.js'
import { Outcome } from '../../src/protocol/execution.js'
import { FIXTURES } from '../support/paths.js'

const folder = join(FIXTURES, 'transcripts')
const transcripts = readdirSync(folder)
  .filter((name) => name.endsWith('.jsonl'))
  .sort()
const read = (number: number) => readFileSync(join(folder, transcripts[number - 1] ?? ''))
const toLines = (bytes: Buffer, maxLineBytes = 1 << 24): Line[] => {
  const splitter = createLineSplitter({ maxLineBytes })
  return [...splitter.push(bytes), ...splitter.end()]
}
const line = (value: unknown): Line => ({
  kind: 'line',
  bytes: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
})

function translateAll(lines: readonly Line[], options: Partial<TranslatorOptions> = {}) {
  const translator = createTranslator({ partialText: true, rawPartials: false, ...options })
  return { events: lines.flatMap((one) => translator.translate(one)), observation: translator.observation }
}

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

void t.test('a denial names the narrowest setting that would allow the call', async (t) => {
  const deny = (name: string, input: Record<string, unknown>, content: string, permissionMode = 'acceptEdits') =>
    translateAll([
      line({ type: 'system', subtype: 'init', cwd: '/w', permissionMode }),
      line({ type: 'assistant', message: { id: 'm', content: [{ type: 'tool_use', id: 't', name, input }] } }),
      line({
        type: 'user',
        message: { content: [{ type: 'tool_result', tool_use_id: 't', is_error: true, content }] },
      }),
      line({
        type: 'result',
        is_error: false,
        permission_denials: [{ tool_name: name, tool_use_id: 't', tool_input: input }],
      }),
    ]).observation.denials.map(({ allowWith }) => allowWith)
  const bash = (command: string, content = 'This command requires approval', mode?: string) =>
    deny('Bash', { command }, content, mode)
  const table: [string[], string][] = [
    [bash('touch a b'), 'allowedTools: ["Bash(touch:*)"]'],
    [
      bash(
        'npm install x && rm -rf "a;b" | sort',
        'This Bash command contains multiple operations. The following parts require approval: npm install x, rm',
      ),
      'allowedTools: ["Bash(npm install:*)", "Bash(rm:*)", "Bash(sort:*)"]',
    ],
    [bash('git --version'), 'allowedTools: ["Bash(git:*)"]'],
    [bash('echo $(id)', 'Contains command_substitution'), 'allowedTools: ["Bash"]'],
    [bash('FOO=1 make'), 'allowedTools: ["Bash"]'],
    [bash('sleep 1 & echo'), 'allowedTools: ["Bash"]'],
    [
      bash(
        'printf 1 > /w/x',
        "Output redirection to '/w/x' was blocked. For security, Claude Code may only write",
        'default',
      ),
      'permissionMode: "acceptEdits"',
    ],
    [
      bash('printf 1 > /x', "Output redirection to '/x' was blocked. For security, Claude Code may only write"),
      'allowedTools: ["Bash(printf:*)", "Edit(//x)"]',
    ],
    [
      bash('npm run x', 'Permission to use Bash with command npm run x has been denied.'),
      'disallowedTools without the rule that matches this call',
    ],
    [
      deny(
        'Write',
        { file_path: '/w/a/b' },
        "Claude requested permissions to write to /w/a/b, but you haven't granted it yet.",
        'default',
      ),
      'permissionMode: "acceptEdits"',
    ],
    [
      deny(
        'Write',
        { file_path: '/etc/x' },
        "Claude requested permissions to write to /etc/x, but you haven't granted it yet.",
      ),
      'allowedTools: ["Edit(//etc/x)"]',
    ],
    [
      deny(
        'Edit',
        { file_path: '/w/.git/config' },
        'Claude requested permissions to edit /w/.git/config which is a sensitive file.',
        'default',
      ),
      'permissionMode: "bypassPermissions"',
    ],
    [
      deny(
        'Write',
        { file_path: '/w/.claude/settings.json' },
        "Claude requested permissions to write to /w/.claude/settings.json, but you haven't granted it yet.",
      ),
      'permissionMode: "bypassPermissions"',
    ],
    [
      deny(
        'Read',
        { file_path: '/etc/passwd' },
        "Claude requested permissions to read from /etc/passwd, but you haven't granted it yet.",
      ),
      'allowedTools: ["Read(//etc/passwd)"]',
    ],
    [
      deny(
        'WebFetch',
        { url: 'https://example.com/x' },
        "Claude requested permissions to use WebFetch, but you haven't granted it yet.",
      ),
      'allowedTools: ["WebFetch(domain:example.com)"]',
    ],
    [
      deny(
        'mcp__a__b',
        {},
        "Permission to use mcp__a__b has been denied because Claude Code is running in don't ask mode.",
        'dontAsk',
      ),
      'allowedTools: ["mcp__a__b"]',
    ],
  ]
  for (const [found, expected] of table) t.same(found, [expected], expected)
  t.same(
    translateAll([
      line({ type: 'assistant', message: { content: [{ type: 'tool_use', id: 't', name: 'Bash', input: {} }] } }),
      line({
        type: 'user',
        message: {
          content: [
            {
              type: 'tool_result',
              tool_use_id: 't',
              is_error: true,
              content: 'Exit code 1\nThis command requires approval',
            },
          ],
        },
      }),
    ]).observation.denials,
    [],
    'what a tool itself prints is no denial',
  )
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

const exitOf = (lines: readonly Line[], rest: Partial<ClaudeExit> = {}): Outcome =>
  Outcome.parse(
    classifyExit({
      observation: translateAll(lines).observation,
      exit: { exitCode: 0, signal: null },
      stderrTail: '',
      run: toRunRequest({ prompt: 'x' }),
      ...rest,
    }),
  )
const failing = (error: string, result: string, more: object = {}) => [
  line({ type: 'assistant', message: { id: 'a', content: [{ type: 'text', text: 'so far' }] } }),
  line({
    type: 'assistant',
    error,
    message: { id: 'e', model: '<synthetic>', content: [{ type: 'text', text: result }] },
  }),
  line({
    type: 'result',
    subtype: 'success',
    is_error: true,
    result,
    num_turns: 1,
    api_error_status: null,
    terminal_reason: 'completed',
    ...more,
  }),
]

void t.test('the transcripts are classified by what happened', async (t) => {
  const expected: Partial<Outcome>[] = [
    { status: 'succeeded', result: 'Hello from the fake model.' },
    { status: 'succeeded', result: 'All done: 2 lines.' },
    { status: 'succeeded', result: 'after write' },
    { status: 'failed', code: 'CLAUDE_EXITED', apiStatus: 500 },
    { status: 'succeeded' },
    { status: 'succeeded', result: 'after sleep' },
    { status: 'failed', code: 'MAX_TURNS' },
    { status: 'succeeded', result: '{"name":"ada","n":4}' },
    { status: 'succeeded', result: 'bg has finished' },
    { status: 'succeeded', result: 'second try is good' },
  ]
  for (const [index, outcome] of expected.entries())
    t.match(exitOf(toLines(read(index + 1))), outcome, transcripts[index] ?? '')
  t.equal(exitOf(toLines(read(4))).result, undefined, 'an error report of the CLI is not an answer')
  t.match(exitOf(toLines(read(3)), { run: toRunRequest({ prompt: 'x', onPermissionDenied: 'fail' }) }), {
    status: 'failed',
    code: 'PERMISSION_DENIED',
    message: /acceptEdits/,
    result: 'after write',
    permissionDenials: [{ tool: 'Write' }],
  })
})

void t.test('success is a result that says so, and every failure tells what to do', async (t) => {
  const result = (more: object) => [
    line({ type: 'result', subtype: 'success', is_error: false, result: 'hi', num_turns: 1, ...more }),
  ]
  t.same(exitOf(result({})), { status: 'succeeded', exitCode: 0, result: 'hi' })
  t.match(
    exitOf(result({}), { exit: { exitCode: null, signal: null } }),
    { status: 'succeeded' },
    'ended by the service after its result',
  )
  t.match(exitOf(result({ result: '' })), { status: 'succeeded', result: '', message: /empty/ })
  t.match(exitOf(result({ is_error: undefined })), { status: 'failed' }, 'success must be said')

  const table: [Outcome, string, RegExp][] = [
    [exitOf([]), 'CLAUDE_EXITED', /code 0 but gave no result.*temporary folder/],
    [exitOf(toLines(read(1)).slice(0, 6)), 'CLAUDE_EXITED', /code 0 but gave no result/],
    [
      exitOf([], {
        exit: { exitCode: 1 },
        stderrTail: `Error at /data/home/x in /data/ws: bad flag sk-ant-api03-abcdefgh ${'y'.repeat(9)}\n`,
        paths: { home: '/data/home', workspace: '/data/ws' },
      }),
      'CLAUDE_EXITED',
      /code 1.*Error at <home>\/x in <workspace>: bad flag sk-… y/,
    ],
    [exitOf([], { exit: { exitCode: null, signal: 'SIGKILL' } }), 'CLAUDE_SIGNALLED', /SIGKILL.*memory/],
    [exitOf([], { exit: { exitCode: 143 } }), 'CLAUDE_SIGNALLED', /SIGTERM/],
    [
      exitOf([], { exit: { exitCode: 1 }, stderrTail: 'Not logged in · Please run /login' }),
      'CLAUDE_NOT_AUTHENTICATED',
      /setup-token/,
    ],
    [
      exitOf(failing('authentication_failed', 'Not logged in · Please run /login')),
      'CLAUDE_NOT_AUTHENTICATED',
      /setup-token/,
    ],
    [
      exitOf(failing('authentication_failed', 'Invalid API key · Fix external API key', { api_error_status: 401 })),
      'CLAUDE_NOT_AUTHENTICATED',
      /ANTHROPIC_API_KEY/,
    ],
    [
      exitOf(failing('rate_limit', 'API Error: Request rejected (429) · slow down')),
      'CLAUDE_RATE_LIMITED',
      /Try again later/,
    ],
    [
      exitOf([
        line({
          type: 'rate_limit_event',
          rate_limit_info: { status: 'rejected', resetsAt: 1795340199, rateLimitType: 'five_hour' },
        }),
        ...failing('rate_limit', "You've hit your session limit"),
      ]),
      'CLAUDE_RATE_LIMITED',
      /after 2026-11-22T/,
    ],
    [
      exitOf(failing('server_error', 'API Error: 529 Overloaded. This is a server-side issue')),
      'CLAUDE_OVERLOADED',
      /fallbackModel/,
    ],
    [
      exitOf(
        failing('invalid_request', 'Prompt is too long · the request is', {
          api_error_status: 400,
          terminal_reason: 'prompt_too_long',
        }),
      ),
      'CONTEXT_TOO_LONG',
      /Send less input/,
    ],
    [
      exitOf(failing('invalid_request', 'Request too large (max 32MB).', { api_error_status: 413 })),
      'CONTEXT_TOO_LONG',
      /Send less input/,
    ],
    [
      exitOf(failing('billing_error', 'Credit balance is too low', { api_error_status: 400 })),
      'CLAUDE_EXITED',
      /billing.*credit/,
    ],
    [
      exitOf(failing('model_not_found', "There's an issue with the selected model", { api_error_status: 404 })),
      'CLAUDE_EXITED',
      /another model/,
    ],
    [
      exitOf([
        line({
          type: 'result',
          subtype: 'error_max_budget_usd',
          is_error: true,
          errors: ['Exceeded USD budget (0.5)'],
        }),
      ]),
      'BUDGET_EXCEEDED',
      /Raise maxBudgetUsd/,
    ],
    [
      exitOf([
        line({
          type: 'result',
          subtype: 'error_during_execution',
          is_error: true,
          terminal_reason: 'aborted_tools',
          errors: ['x'],
        }),
      ]),
      'CLAUDE_EXITED',
      /aborted_tools/,
    ],
  ]
  for (const [outcome, code, sentence] of table) {
    t.match(outcome, { status: 'failed', code }, code)
    t.match(outcome.message, sentence, String(sentence))
  }
  t.match(
    exitOf(failing('server_error', 'API Error: 529 Overloaded')),
    { apiStatus: 529, result: 'so far', isPartial: true },
    'what was produced is kept',
  )

  const stopCause = { code: 'TIMED_OUT', status: 'timed_out', message: 'Too long.' } as const
  t.same(exitOf(toLines(read(2)).slice(0, 8), { stopCause, exit: { exitCode: null, signal: 'SIGTERM' } }), {
    status: 'timed_out',
    code: 'TIMED_OUT',
    message: 'Too long.',
    signal: 'SIGTERM',
    result: 'First I write.',
    isPartial: true,
  })
  t.match(
    exitOf(result({}), { stopCause }),
    { status: 'timed_out', result: 'hi', isPartial: true },
    'the first cause decides',
  )
})

void t.test(
  'what a run has put in the place of its transcript is no transcript, and nobody waits for it',
  async (t) => {
    const configDir = await mkdtemp(join(tmpdir(), 'cce-transcript-'))
    t.teardown(() => rm(configDir, { recursive: true }))
    const project = join(configDir, 'projects', 'p')
    await mkdir(join(project, 'folder.jsonl'), { recursive: true })
    execFileSync('mkfifo', [join(project, 'fifo.jsonl')])
    await symlink('/dev/zero', join(project, 'link.jsonl'))
    await writeFile(
      join(project, 'file.jsonl'),
      '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1"}]}}\n{"type":"assistant","uuid":"a1","message":{}}\n{"half',
    )
    for (const name of ['folder', 'fifo', 'link', 'none'])
      t.equal(await readTranscript(configDir, name), undefined, name)
    t.same(await readTranscript(configDir, 'file'), {
      toolResults: new Set(['t1']),
      answers: new Set(['a1']),
      lines: new Set(),
      hasMessage: true,
    })
  },
)
