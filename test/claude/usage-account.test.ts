// Tokens and dollars of one process of the CLI: its own, and each message once.
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createLineSplitter } from '../../src/claude/stream/line-splitter.js'
import { createNotices, noteLimits } from '../../src/claude/stream/notices.js'
import { hasUnsummedUsage } from '../../src/claude/stream/observed-usage.js'
import { readTranscript } from '../../src/claude/stream/transcript.js'
import { createTranslator } from '../../src/claude/stream/translate-message.js'
import { createUsageAccount, type ModelSums } from '../../src/claude/stream/usage-account.js'
import { AccountState } from '../../src/executions/claim/account-state.js'
import { FIXTURES } from '../support/paths.js'

type Message = Record<string, unknown>
// Safe: fixtures of our own.
const messagesOf = (name: string): Message[] =>
  readFileSync(join(FIXTURES, 'transcripts', `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Message)
const resultOf = (name: string): Message => messagesOf(name).at(-1) ?? {}
const without = (message: Message, key: string): Message =>
  Object.fromEntries(Object.entries(message).filter(([name]) => name !== key))

function observe(messages: readonly Message[], sessionSums?: ModelSums) {
  const translator = createTranslator({ partialText: true, rawPartials: false, sessionSums })
  for (const message of messages) translator.translate({ kind: 'line', bytes: Buffer.from(JSON.stringify(message)) })
  return translator.observation
}

const FIRST = { inputTokens: 12_343, outputTokens: 5, cacheReadTokens: 0, cacheCreationTokens: 0, costUsd: 0.049472 }
const models = (inputTokens: number, outputTokens: number, costUSD: number) => ({
  m: { inputTokens, outputTokens, cacheReadInputTokens: 0, cacheCreationInputTokens: 0, costUSD },
})
const result = (more: Message): Message => ({
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'x',
  num_turns: 1,
  ...more,
})
const usage = (input: number, output = 1, creation = 0) => ({
  input_tokens: input,
  output_tokens: output,
  cache_creation_input_tokens: creation,
  cache_read_input_tokens: 0,
})
const assistant = (
  id: string,
  told: Message,
  parent: string | null = null,
  content: Message[] = [{ type: 'text', text: id }],
): Message => ({ type: 'assistant', parent_tool_use_id: parent, message: { id, content, usage: told } })
const call = (id: string): Message => ({ type: 'tool_use', id, name: 'Bash', input: {} })

void t.test('a resumed session reports the whole conversation; what is its own counts', (t) => {
  t.match(observe(messagesOf('25-first-of-a-session')).usage, FIRST)
  const resumed = messagesOf('26-resumed-cost-is-cumulative')
  t.equal(
    resultOf('26-resumed-cost-is-cumulative')['total_cost_usd'],
    0.09915600000000001,
    'the CLI tells the sum of both',
  )
  const own = observe(resumed).usage
  t.match(own, { inputTokens: 12_396, outputTokens: 5 })
  t.ok(Math.abs(own.costUsd - 0.049684) < 1e-9, `${own.costUsd}`)

  // 2.1.300 resumes like this, and does not say what is new.
  const older = resumed.map((message) => without(message, 'model_usage_since_last_result'))
  const difference = observe(older, FIRST).usage
  t.match(
    difference,
    { inputTokens: 12_396, outputTokens: 5 },
    'then it is the difference to what the session had saved',
  )
  t.ok(Math.abs(difference.costUsd - 0.049684) < 1e-9, `${difference.costUsd}`)
  t.match(
    observe(
      messagesOf('25-first-of-a-session').map((message) => without(message, 'model_usage_since_last_result')),
      { ...FIRST, inputTokens: 12_000 },
    ).usage,
    FIRST,
    'an older CLI begins at zero, whatever a newer one has saved',
  )
  t.end()
})

void t.test('several results of one process are added up, with and without the CLI telling what is new', (t) => {
  const turns = [
    result({ usage: usage(100, 10), modelUsage: models(100, 10, 0.5), total_cost_usd: 0.5 }),
    result({ usage: usage(40, 4), modelUsage: models(140, 14, 0.75), total_cost_usd: 0.75 }),
  ]
  t.match(observe(turns).usage, { inputTokens: 140, outputTokens: 14, costUsd: 0.75, turns: 2 })
  const before = { ...FIRST, inputTokens: 1_000, outputTokens: 100, costUsd: 2 }
  const resumed = [
    result({ usage: usage(100, 10), modelUsage: models(1_100, 110, 2.5), total_cost_usd: 2.5 }),
    result({ usage: usage(40, 4), modelUsage: models(1_140, 114, 2.75), total_cost_usd: 2.75 }),
  ]
  t.match(observe(resumed, before).usage, { inputTokens: 140, outputTokens: 14, costUsd: 0.75 })
  const since = [models(100, 10, 0.5), models(40, 4, 0.25)].map((own, index) => ({
    ...resumed[index],
    model_usage_since_last_result: own,
  }))
  t.match(observe(since).usage, { inputTokens: 140, outputTokens: 14, costUsd: 0.75 })
  t.match(
    observe([result({ usage: usage(9, 3), total_cost_usd: 0.3 }), result({ usage: usage(1, 1), total_cost_usd: 0.4 })])
      .usage,
    { inputTokens: 10, outputTokens: 4, costUsd: 0.4 },
    'and where there is no modelUsage',
  )
  t.match(
    observe([
      result({
        subtype: 'error_max_budget_usd',
        is_error: true,
        usage: usage(0, 0),
        modelUsage: models(100, 10, 0.5),
        total_cost_usd: 0.5,
        model_usage_since_last_result: models(100, 10, 0.5),
      }),
    ]).usage,
    { inputTokens: 100, costUsd: 0.5 },
    '`usage` is zero when the budget is spent',
  )
  t.end()
})

void t.test('subagents count while they run, each message once', (t) => {
  const running = [
    { type: 'system', subtype: 'init', session_id: 's' },
    assistant('m1', usage(1_000), null, [{ ...call('agent'), name: 'Agent' }]),
    assistant('s1', usage(2_000, 1, 7), 'agent'),
    assistant('s1', usage(2_000, 1, 7), 'agent', [call('b1')]),
    {
      type: 'user',
      parent_tool_use_id: 'agent',
      message: { content: [{ type: 'tool_result', tool_use_id: 'b1', content: '' }] },
    },
    assistant('s2', usage(2_500, 1), 'agent', [call('b2')]),
  ]
  const soFar = observe(running)
  t.same(soFar.tokensSoFar, { inputTokens: 5_500, outputTokens: 3, cacheReadTokens: 0, cacheCreationTokens: 7 })
  t.equal(soFar.turns, 1, 'turns are those of the main conversation')
  t.equal(hasUnsummedUsage(soFar), true)

  const ended = {
    type: 'user',
    parent_tool_use_id: null,
    message: { content: [{ type: 'tool_result', tool_use_id: 'agent', content: 'done' }] },
    tool_use_result: { agentId: 'a', status: 'completed', usage: usage(3_000, 90) },
  }
  t.match(
    observe([...running, ended]).tokensSoFar,
    { inputTokens: 8_500, outputTokens: 93 },
    'its last message is told by the result of its call only',
  )
  t.match(
    observe([...running, assistant('s3', usage(3_000), 'agent'), ended]).tokensSoFar,
    { inputTokens: 8_500 },
    'unless it was in the stream',
  )
  t.match(
    observe([
      ...running,
      ended,
      assistant('m2', usage(4_000)),
      result({ usage: usage(5_000, 50), modelUsage: models(12_500, 400, 1), total_cost_usd: 1 }),
    ]),
    { usage: { inputTokens: 12_500, outputTokens: 400 }, tokensSoFar: { inputTokens: 12_500, outputTokens: 400 } },
    'the sum of the CLI replaces what was told',
  )
  t.end()
})

void t.test('streamed numbers grow, and belong to their message', (t) => {
  const stream = (event: Message): Message => ({ type: 'stream_event', parent_tool_use_id: null, event })
  const one = [
    stream({ type: 'message_start', message: { id: 'm1', usage: usage(50) } }),
    assistant('m1', usage(50)),
    stream({ type: 'message_delta', usage: { output_tokens: 30 } }),
    stream({ type: 'message_delta', usage: { output_tokens: 70 } }),
    assistant('m1', usage(50)),
  ]
  t.match(observe(one).tokensSoFar, { inputTokens: 50, outputTokens: 70 })
  const account = createUsageAccount()
  for (let count = 0; count < 10_000; count += 1) account.noteLine(assistant(`m${count}`, usage(1, 1)))
  t.match(account.open, { inputTokens: 10_000, outputTokens: 10_000 })
  t.end()
})

void t.test('what the CLI gives no sum of is what the stream told, and said to be so', (t) => {
  t.equal(
    hasUnsummedUsage(observe([{ type: 'system', subtype: 'init', session_id: 's' }])),
    true,
    'a call may have been made',
  )
  t.equal(hasUnsummedUsage(observe([])), false, 'none was made')
  t.equal(hasUnsummedUsage(observe(messagesOf('28-api-500'))), false)
  const interrupted = observe([
    assistant('m1', usage(900)),
    result({
      subtype: 'error_during_execution',
      is_error: true,
      usage: usage(0, 0),
      modelUsage: {},
      total_cost_usd: 0,
    }),
  ])
  t.match(interrupted.usage, { inputTokens: 900, costUsd: 0 }, '2.1.197 leaves out a reply that was interrupted')
  t.equal(hasUnsummedUsage(interrupted), true)
  const counted = observe([
    assistant('m1', usage(900)),
    result({
      subtype: 'error_during_execution',
      is_error: true,
      usage: usage(0, 0),
      modelUsage: models(900, 12, 0.1),
      total_cost_usd: 0.1,
    }),
  ])
  t.equal(hasUnsummedUsage(counted), false, '2.1.332 counts it')
  t.equal(
    hasUnsummedUsage(
      observe([result({ usage: usage(1, 1), total_cost_usd: 0.1 }), assistant('s1', usage(5), 'agent')]),
    ),
    true,
    'something went on after the last sum',
  )
  t.end()
})

void t.test(
  'a result that says less than the stream takes nothing back, as any process of a run can write one',
  (t) => {
    const { usage: told } = observe([
      assistant('m1', usage(500, 70)),
      result({ usage: usage(1, 1), total_cost_usd: 0.01, modelUsage: { m: { inputTokens: 1, outputTokens: 1 } } }),
    ])
    t.match(told, { inputTokens: 500, outputTokens: 70, costUsd: 0.01 })
    t.end()
  },
)

void t.test('a result over the line limit is read wherever its members stand, and its words are no members', (t) => {
  const long = 'x'.repeat(300_000)
  const fake = '","type":"system","is_error":true,"usage":{"input_tokens":1},"{[\\"\\\\'
  const whole = { ...without(resultOf('26-resumed-cost-is-cumulative'), 'result'), result: fake + long }
  for (const message of [
    whole,
    { result: `${long}${fake}`, ...without(resultOf('26-resumed-cost-is-cumulative'), 'result') },
  ]) {
    const bytes = Buffer.from(`${JSON.stringify(message)}\n`)
    for (const size of [bytes.length, 65_536, 7]) {
      const splitter = createLineSplitter({ maxLineBytes: 10_000 })
      const translator = createTranslator({ partialText: true, rawPartials: false })
      for (let start = 0; start < bytes.length; start += size)
        for (const line of splitter.push(bytes.subarray(start, start + size))) translator.translate(line)
      t.match(
        translator.observation,
        {
          results: 1,
          turnActive: false,
          lastResult: { isError: false, isCut: true, subtype: 'success' },
          usage: { inputTokens: 12_396 },
        },
        `in pieces of ${size}`,
      )
    }
  }
  const members = (text: string) => {
    const splitter = createLineSplitter({ maxLineBytes: 4 })
    const [line] = splitter.push(Buffer.from(`${text}\n`))
    return line?.kind === 'oversized' ? line.members : 'a line'
  }
  t.same(members('{ "a" : 1 , "b\\u0041\\"" : [ {"c": "]}"} ],"d":null }\r'), { a: 1, 'bA"': [{ c: ']}' }], d: null })
  t.same(
    members(`{"a":"${long}","b":2,"${long}":3,"c":[${'1,'.repeat(99_999)}1]}`),
    { b: 2 },
    'what is long is left out',
  )
  t.same(members('{"a":{"type":"result"},"b":"\\\\","c":"\\""}'), { a: { type: 'result' }, b: '\\', c: '"' })
  for (const text of [
    '[1,2,3]',
    '"type":1',
    '{"type":"result"',
    '{"type":"result"} x',
    '{"a":1]',
    '{a:1,"b":2}',
    'x{"type":"result"}',
    '{'.repeat(99),
  ])
    t.equal(members(text), undefined, text)
  t.equal(
    Object.keys(
      members(`{${Array.from({ length: 99 }, (_, index) => `"k${index}":"${'y'.repeat(50_000)}"`).join(',')}}`) ?? {},
    ).length,
    5,
    'a bounded amount is kept',
  )
  t.ok(
    Object.keys(
      members(`{${Array.from({ length: 99 }, (_, index) => `"${'k'.repeat(50_000)}${index}":1`).join(',')}}`) ?? {},
    ).length < 9,
    'names count as well',
  )
  t.end()
})

void t.test('of the limits of an account a bounded number is kept, the newest word on each', (t) => {
  const account = new AccountState()
  const tell = (windows: object): void => {
    const notices = createNotices()
    noteLimits(notices, { unifiedWindows: windows })
    account.note(notices)
  }
  const names = Array.from({ length: 30 }, (_, index) => `limit ${index}`)
  const notices = createNotices()
  for (const rateLimitType of names) noteLimits(notices, { rateLimitType, status: 'rejected' })
  t.equal(notices.limits.size, 20)
  noteLimits(notices, { unifiedWindows: { 'limit 3': { utilization: 0.5 } } })
  t.match(notices.limits.get('limit 3'), { utilization: 0.5 }, 'what is known is kept up to date')
  for (const name of names) tell({ [name]: { utilization: 0.1 } })
  t.same(
    account.describe().account?.limits?.map(({ name }) => name),
    names.slice(10),
    'of all runs together as well',
  )
  t.end()
})

void t.test('what a session had used is read from its transcript', async (t) => {
  const folder = t.testdir({})
  await mkdir(join(folder, 'projects/p'), { recursive: true })
  const state = (cost: number, input: number) =>
    JSON.stringify({ type: 'cost-state', totalCostUSD: cost, modelUsage: models(input, 5, cost) })
  await writeFile(
    join(folder, 'projects/p/one.jsonl'),
    `${state(0.1, 10)}\n{"type":"user","message":{}}\n${state(0.3, 30)}\n{"type":"cost-state","modelUsage":7}\n`,
  )
  t.match(await readTranscript(folder, 'one'), {
    hasMessage: true,
    sums: { inputTokens: 30, outputTokens: 5, costUsd: 0.3 },
  })
  await writeFile(join(folder, 'projects/p/two.jsonl'), '{"type":"user","message":{}}\n')
  t.equal((await readTranscript(folder, 'two'))?.sums, undefined)
})

void t.test('every type of message that 2.1.332 knows passes as it came', (t) => {
  // The union SDKMessage of @anthropic-ai/claude-agent-sdk 0.3.332, and what was seen besides; keep_alive and control
  // frames are answers to us.
  const subtypes = [
    'init',
    'compact_boundary',
    'status',
    'api_retry',
    'control_request_progress',
    'model_refusal_fallback',
    'model_refusal_no_fallback',
    'model_fallback',
    'local_command_output',
    'hook_started',
    'hook_progress',
    'hook_response',
    'plugin_install',
    'task_notification',
    'task_started',
    'task_updated',
    'task_progress',
    'background_tasks_changed',
    'thinking_tokens',
    'session_state_changed',
    'worker_shutting_down',
    'commands_changed',
    'notification',
    'files_persisted',
    'memory_recall',
    'elicitation_complete',
    'permission_denied',
    'mirror_error',
    'informational',
    'session_writes_lost',
  ]
  const types = [
    'assistant',
    'user',
    'result',
    'tool_progress',
    'auth_status',
    'tool_use_summary',
    'rate_limit_event',
    'prompt_suggestion',
    'conversation_reset',
  ]
  const translator = createTranslator({ partialText: true, rawPartials: false })
  for (const message of [
    ...subtypes.map((subtype) => ({ uuid: 'u', subtype, type: 'system' })),
    ...types.map((type) => ({ uuid: 'u', type })),
  ]) {
    const raw = JSON.stringify(message)
    const events = translator.translate({ kind: 'line', bytes: Buffer.from(raw) })
    t.ok(
      events.some((event) => event.type === 'claude.message' && 'rawMessage' in event && event.rawMessage === raw),
      raw,
    )
  }
  // It tells what has become of a line of ours, which has events of its own.
  const lifecycle = Buffer.from(JSON.stringify({ uuid: 'u', type: 'command_lifecycle' }))
  t.same(translator.translate({ kind: 'line', bytes: lifecycle }), [])
  t.end()
})
