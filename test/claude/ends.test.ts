// Background tasks and stop reasons, on recorded transcripts of both CLIs and on single lines.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { classifyExit, type ClaudeExit } from '../../src/claude/stream/classify-exit.js'
import { NO_INBOX } from '../../src/claude/stream/inbox.js'
import { ResultPhases, type Phase } from '../../src/claude/stream/result-phases.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import type { Line } from '../../src/claude/stream/line-splitter.js'
import { createTranslator, type Translator } from '../../src/claude/stream/translate-message.js'
import type { EventData, NewEvent } from '../../src/protocol/events.js'
import { Outcome } from '../../src/protocol/execution.js'
import { FIXTURES } from '../support/paths.js'

type Message = Record<string, unknown>
const recorded = (name: string): Message[] =>
  readFileSync(join(FIXTURES, 'transcripts', `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line): Message => JSON.parse(line))

const say = (translator: Translator, message: Message): NewEvent[] =>
  translator.translate({ kind: 'line', bytes: Buffer.from(JSON.stringify(message)) })
const open = (): Translator => createTranslator({ partialText: true, rawPartials: false })

const system = (subtype: string, more: Message = {}): Message => ({ type: 'system', subtype, ...more })
const started = (id: string, more: Message = {}): Message =>
  system('task_started', { task_id: id, tool_use_id: `call-${id}`, task_type: 'local_bash', description: 'x', ...more })
const ended = (id: string, status = 'completed'): Message => system('task_notification', { task_id: id, status })
const answered = (id: string, content: string): Message => ({
  type: 'user',
  message: { content: [{ type: 'tool_result', tool_use_id: `call-${id}`, content }] },
})
const result = (more: Message = {}): Message => ({
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'hi',
  num_turns: 1,
  ...more,
})

function liveAfter(...messages: Message[]): string[] {
  const translator = open()
  for (const message of messages) say(translator, message)
  return translator.observation.liveTasks.map(({ id }) => id)
}

void t.test('in the recorded runs the first result is interim, and every task ends before the last', async (t) => {
  for (const [name, kind] of [
    ['09-background-two-results', 'local_bash'],
    ['23-background-bash-two-results', 'local_bash'],
    ['24-background-agent-two-results', 'local_agent'],
  ] as const) {
    const translator = open()
    const live: number[] = []
    const ends: Array<EventData<'background.finished'>> = []
    const turns: boolean[] = []
    for (const message of recorded(name)) {
      for (const event of say(translator, message)) if (event.type === 'background.finished') ends.push(event.data)
      if (message['type'] === 'result') live.push(translator.observation.liveTasks.length)
      if (live.length === 1 && translator.observation.liveTasks.length > 0)
        turns.push(translator.observation.turnActive)
    }
    t.same(live, [1, 0], name)
    t.match(ends, [{ id: String, kind, status: 'completed' }], name)
    t.notOk(turns.includes(true), `${name}: what a subagent says is no turn of the conversation`)
    t.equal(translator.observation.openToolCalls, 0)
    t.equal(translator.observation.stopReason, 'end_turn')
  }
})

void t.test('on the older CLI a task is in the background when its call is answered while it lives', async (t) => {
  const left = answered('b1', 'Command running in background with ID: b1. Output is being written to: /tmp/b1.output.')
  t.same(liveAfter(started('b1')), [], 'a command that has run for three seconds')
  t.same(liveAfter(started('b1'), ended('b1'), answered('b1', 'x')), [])
  t.same(liveAfter(started('b1'), answered('b1', 'of another')), [], 'an answer that does not name it')
  t.same(liveAfter(started('b1'), left), ['b1'])
  t.same(
    liveAfter(started('b1'), left, system('task_updated', { task_id: 'b1', patch: { status: 'completed' } })),
    [],
    'without a notification',
  )
  t.same(liveAfter(started('b1'), left, started('b2'), ended('b1')), [])
  t.same(
    liveAfter(started('b1'), system('task_updated', { task_id: 'b1', patch: { is_backgrounded: true } })),
    ['b1'],
    'moved there at its timeout',
  )
  t.same(liveAfter(started('b1', { is_backgrounded: true })), ['b1'])
  t.same(
    liveAfter(started('b1', { is_backgrounded: true }), ended('b1'), started('b1', { is_backgrounded: true })),
    ['b1'],
    'continued',
  )
  t.same(liveAfter(started('b1', { is_backgrounded: true }), ended('b1', 'running')), ['b1'], 'no end')
})

void t.test('on the newer CLI the whole set counts, without what no run waits for', async (t) => {
  const level = (...tasks: Message[]): Message => system('background_tasks_changed', { tasks })
  const task = (id: string, run: string, more: Message = {}): Message => ({
    task_id: id,
    run_id: run,
    task_type: 'local_bash',
    description: 'x',
    ...more,
  })
  t.same(liveAfter(level(task('a', '1'), task('b', '1', { ambient: true }), task('c', '1', { off_host: true }))), ['a'])
  t.same(
    liveAfter(level(task('a', '1')), started('b', { run_id: '1', is_backgrounded: true })),
    ['a'],
    'the set is the authority',
  )
  t.same(liveAfter(level(task('a', '1')), level()), [], 'gone without a word')
  const late = [
    level(task('a', '1'), task('b', '1')),
    system('task_notification', { task_id: 'a', run_id: '1', status: 'completed' }),
    level(task('a', '1'), task('b', '1')),
  ]
  t.same(liveAfter(...late), ['b'], 'a late set does not wake a task that has ended')
  t.same(liveAfter(...late, level(task('a', '2'))), ['a'], 'a subagent that is continued is another run')
  const translator = open()
  const events = [level(task('a', '1')), level(), ended('a')]
    .flatMap((message) => say(translator, message))
    .filter(({ type }) => type === 'background.finished')
  t.match(events, [{ data: { id: 'a', kind: 'local_bash', status: 'stopped' } }], 'its end is told once')
})

const exitOf = (messages: readonly Message[], rest: Partial<ClaudeExit> = {}): Outcome => {
  const translator = open()
  for (const message of messages) say(translator, message)
  return Outcome.parse(
    classifyExit({
      observation: translator.observation,
      exit: { exitCode: 0, signal: null },
      stderrTail: '',
      run: toRunRequest({ prompt: 'x' }),
      ...rest,
    }),
  )
}
const text = { type: 'assistant', message: { id: 'a', content: [{ type: 'text', text: 'so far' }] } }
const error = (name: string, more: Message): Message[] => [
  text,
  { type: 'assistant', error: name, message: { id: 'e', content: [{ type: 'text', text: 'API Error: x' }] } },
  result({ is_error: true, result: 'API Error: x', ...more }),
]

void t.test('stop reasons that are no end are no success, and keep the text', async (t) => {
  const kept = { status: 'failed', isPartial: true, result: 'so far', message: String } as const
  t.match(exitOf([text, result({ result: '', stop_reason: 'tool_use' })]), {
    ...kept,
    result: undefined,
    isPartial: undefined,
    code: 'ANSWER_INCOMPLETE',
    stopReason: 'tool_use',
  })
  t.match(exitOf([text, result({ result: 'so far', stop_reason: 'max_tokens' })]), {
    ...kept,
    code: 'ANSWER_INCOMPLETE',
    stopReason: 'max_tokens',
  })
  t.match(exitOf([text, result({ result: 'so far', stop_reason: 'pause_turn' })]), {
    ...kept,
    code: 'ANSWER_INCOMPLETE',
  })
  t.match(exitOf([text, result({ result: 'so far', stop_reason: 'refusal' })]), { ...kept, code: 'REFUSED' })
  t.match(
    exitOf([text, result({ result: 'so far', stop_reason: 'tool_deferred', terminal_reason: 'tool_deferred' })]),
    { ...kept, code: 'TOOL_DEFERRED', stopReason: 'tool_deferred' },
  )
  // As both CLIs give them: an error of their own in place of the answer.
  t.match(exitOf(error('max_output_tokens', { stop_reason: 'stop_sequence' })), {
    ...kept,
    code: 'ANSWER_INCOMPLETE',
    stopReason: 'max_tokens',
  })
  t.match(exitOf(error('invalid_request', { stop_reason: 'refusal' })), {
    ...kept,
    code: 'REFUSED',
    stopReason: 'refusal',
  })

  t.match(exitOf([text, result({ stop_reason: 'end_turn' })]), { status: 'succeeded', stopReason: 'end_turn' })
  t.match(exitOf([result({ result: 'x', stop_reason: 'tool_use' })]), { status: 'succeeded' }, 'with an answer')
  t.match(
    exitOf([result({ result: '', stop_reason: 'tool_use', structured_output: { a: 1 } })]),
    { status: 'succeeded' },
    'JSON mode ends so',
  )
  t.match(exitOf([result({ subtype: 'error_max_turns', is_error: true, stop_reason: 'tool_use' })]), {
    code: 'MAX_TURNS',
  })
})

void t.test(
  'background tasks that were ended at their limit are the cause, and those that ended with an error not',
  async (t) => {
    const task = { id: 'b1', kind: 'local_bash', description: 'serves' }
    const stopCause = { code: 'BACKGROUND_UNFINISHED', status: 'failed', message: 'ended at its limit' } as const
    const rest = { unfinishedTasks: [task], exit: { exitCode: null, signal: null }, endedWithTasks: true }
    t.match(exitOf([text, result()], { ...rest, stopCause }), {
      code: 'BACKGROUND_UNFINISHED',
      result: 'hi',
      isPartial: true,
    })
    t.match(exitOf(error('rate_limit', { api_error_status: 429 }), rest), {
      code: 'CLAUDE_RATE_LIMITED',
      apiStatus: 429,
      unfinished: [{ kind: 'task', id: 'b1' }],
    })
  },
)

void t.test('a death after a result that nobody here caused is no success', async (t) => {
  t.match(exitOf([text, result()], { exit: { exitCode: null, signal: 'SIGKILL' } }), {
    status: 'failed',
    code: 'CLAUDE_SIGNALLED',
    signal: 'SIGKILL',
    result: 'hi',
    isPartial: true,
  })
  t.match(exitOf([result()], { exit: { exitCode: 143 } }), { code: 'CLAUDE_SIGNALLED', message: /SIGTERM/ })
  t.match(exitOf([result()], { exit: { exitCode: 3 } }), { code: 'CLAUDE_EXITED', exitCode: 3, message: /code 3/ })
  t.match(exitOf([result(), system('init')]), { code: 'CLAUDE_EXITED', message: /further turn/, isPartial: true })
  t.match(
    exitOf([result(), system('init')], { exit: { exitCode: null, signal: null } }),
    { status: 'succeeded' },
    'it was ended with its tasks',
  )
  t.match(exitOf([result()], { unfinishedTasks: [{ id: 'b1', kind: 'local_bash', description: '' }] }), {
    code: 'BACKGROUND_UNFINISHED',
    unfinished: [{ kind: 'task', id: 'b1', description: 'local_bash' }],
  })
})

void t.test('calls that never came back are named, and a result that was lost is told', async (t) => {
  const call = (id: string, message: string, parent?: string): Message => ({
    type: 'assistant',
    ...(parent !== undefined && { parent_tool_use_id: parent }),
    message: { id: message, content: [{ type: 'tool_use', id, name: 'Bash', input: { command: id } }] },
  })
  const back = (id: string): Message => ({
    type: 'user',
    message: { content: [{ type: 'tool_result', tool_use_id: id, content: 'x' }] },
  })
  const names = (...messages: Message[]): unknown =>
    exitOf([...messages, result()]).unfinished?.map(({ id, description }) => `${id}: ${description}`)
  t.same(names(call('c1', 'm1'), back('c1')), undefined)
  t.same(names(call('c1', 'm1'), call('c2', 'm1'), back('c2')), ['c1: Bash {"command":"c1"}'])
  t.same(names(call('c1', 'm1'), call('c2', 'm2'), back('c2')), undefined, 'of a message whose stream was cut')
  t.same(
    names(call('s1', 'm1', 'agent'), call('s2', 'm2', 'agent')),
    ['s2: Bash {"command":"s2"}'],
    'of a subagent that went on',
  )
  t.match(exitOf([result({ result_index: 0 }), result({ result_index: 2 })]), {
    status: 'succeeded',
    message: /^1 result of a turn before the last one was lost/,
  })
  t.equal(exitOf([result({ result_index: 0 }), result({ result_index: 1 })]).message, undefined)
})

void t.test('of a result that is too long its stop reason and its number count all the same', async (t) => {
  const tooLong = (members: Message): Line => ({ kind: 'oversized', length: 9, sha256: '', limit: 8, members })
  const cut = (...more: Message[]): Outcome => {
    const translator = open()
    say(translator, text)
    say(translator, result({ stop_reason: 'refusal', result_index: 0 }))
    const { result: _answer, ...short } = result({ result_index: 1, ...more[0] })
    translator.translate(tooLong(short))
    for (const message of more.slice(1)) say(translator, message)
    return classifyExit({
      observation: translator.observation,
      exit: { exitCode: 0, signal: null },
      stderrTail: '',
      run: toRunRequest({ prompt: 'x' }),
    })
  }
  t.match(cut({ stop_reason: 'end_turn' }), { status: 'succeeded', stopReason: 'end_turn', isPartial: true })
  t.match(cut({ stop_reason: 'max_tokens' }), { code: 'ANSWER_INCOMPLETE', result: 'so far', isPartial: true })
  t.match(cut({ stop_reason: 'tool_use' }), { status: 'succeeded' }, 'a long answer of JSON mode is one')
  t.notMatch(cut({}, result({ result_index: 2 })).message ?? '', /lost/, 'it came')
})

void t.test('a result while a message is on its way is not the end; after an error it is taken back', async (t) => {
  const openPhases = () => {
    const translator = open()
    const stdin = new PassThrough()
    const clocks: Array<() => void> = []
    const inbox = { ...NO_INBOX, isAwaited: true, takeBack: () => 'back\n' }
    const phases = new ResultPhases({
      observation: translator.observation,
      stdin,
      inbox,
      followUp: { find: () => 'repair\n' },
      background: { begin: () => undefined, end: () => undefined },
      startClock: (_milliseconds, onFire) => {
        clocks.push(onFire)
        return { close: () => undefined }
      },
      onPhase: undefined,
      endTasks: () => undefined,
      force: () => undefined,
    })
    t.teardown(() => phases.close())
    const hear = (message: Message): void => {
      say(translator, message)
      phases.noteLine()
    }
    return { stdin, clocks, inbox, phases, hear }
  }
  const goesOn = openPhases()
  goesOn.hear(result())
  t.equal(goesOn.phases.phase, 'working')
  t.equal(goesOn.stdin.read(), null, 'nothing is asked before the message is answered')
  t.notOk(goesOn.stdin.writableEnded)
  goesOn.inbox.isAwaited = false
  goesOn.hear(result())
  t.equal(goesOn.stdin.read()?.toString(), 'repair\n', 'then as ever')

  const silent = openPhases()
  silent.hear(result())
  silent.clocks.at(-1)?.()
  t.equal(silent.stdin.read()?.toString(), 'back\n', 'a CLI that never begins with it is not awaited for ever')
  t.ok(silent.stdin.writableEnded)
  t.notOk(silent.phases.sendFurther('more\n'), 'and no more is taken')

  const failed = openPhases()
  failed.hear(result({ is_error: true }))
  t.match(failed.stdin.read()?.toString(), /^back\n/)
})

void t.test('where tasks end with the answer, one that is to be repaired comes first', async (t) => {
  const translator = open()
  const stdin = new PassThrough()
  const asked = ['again\n']
  let ends = 0
  const phases = new ResultPhases({
    observation: translator.observation,
    stdin,
    inbox: NO_INBOX,
    followUp: { find: () => asked.pop() },
    background: { begin: () => undefined, end: () => undefined },
    startClock: () => ({ close: () => undefined }),
    onPhase: undefined,
    endTasks: () => (ends += 1),
    force: () => undefined,
  })
  for (const message of [started('b1', { is_backgrounded: true }), result()]) {
    say(translator, message)
    phases.noteLine()
  }
  t.equal(stdin.read()?.toString(), 'again\n')
  t.equal(ends, 0)
  say(translator, result())
  phases.noteLine()
  t.equal(ends, 1)
})

void t.test('the phases after a result', async (t) => {
  const translator = open()
  const stdin = new PassThrough()
  const asked: string[] = []
  const passed: Phase[] = []
  const clocks: Array<() => void> = []
  const waits: string[] = []
  const phases = new ResultPhases({
    observation: translator.observation,
    stdin,
    inbox: NO_INBOX,
    followUp: { find: () => asked.pop() },
    background: {
      begin: (tasks) => ({ tasks: [...tasks], until: '', message: '' }),
      end: () => void waits.push('over'),
    },
    startClock: (_milliseconds, onFire) => {
      clocks.push(onFire)
      return { close: () => undefined }
    },
    onPhase: (phase) => void passed.push(phase),
    endTasks: () => waits.push('ended'),
    force: () => waits.push('forced'),
  })
  t.teardown(() => phases.close())
  const hear = (message: Message): NewEvent[] => {
    say(translator, message)
    return phases.noteLine()
  }
  hear(started('b1', { is_backgrounded: true }))
  t.match(hear(result()), [{ type: 'background.waiting', data: { tasks: [{ id: 'b1' }] } }])
  t.match(
    hear(started('b2', { is_backgrounded: true })),
    [{ data: { tasks: [{ id: 'b1' }, { id: 'b2' }] } }],
    'the set has changed',
  )
  hear(ended('b1'))
  hear(ended('b2'))
  t.equal(phases.phase, 'settling')
  t.notOk(stdin.writableEnded, 'a turn may follow')
  hear(system('init'))
  asked.push('again\n')
  hear(result())
  clocks.at(-1)?.()
  t.equal(stdin.read()?.toString(), 'again\n', 'JSON mode asks only when nothing more is to come')
  hear(result())
  clocks.at(-1)?.()
  t.ok(stdin.writableEnded)
  hear(system('init'))
  phases.enterEnding()
  t.same(passed, [
    'waiting',
    'waiting',
    'waiting',
    'settling',
    'working',
    'settling',
    'working',
    'settling',
    'finishing',
    'working',
    'ending',
  ])
  t.same(waits, ['over'])
  phases.enterEnding()
  t.equal(passed.length, 11, 'nothing follows an end')
})

void t.test('a result of nobody’s turn after the last one throws nothing', async (t) => {
  const translator = open()
  const { observation } = translator
  const clocks: Array<() => void> = []
  const phases = new ResultPhases({
    observation,
    stdin: new PassThrough(),
    inbox: NO_INBOX,
    followUp: undefined,
    background: { begin: () => undefined, end: () => undefined },
    startClock: (_milliseconds, onFire) => {
      clocks.push(onFire)
      return { close: () => undefined }
    },
    onPhase: undefined,
    endTasks: () => undefined,
    force: () => undefined,
  })
  t.teardown(() => phases.close())
  for (const message of [started('b1', { is_backgrounded: true }), ended('b1'), result()]) {
    say(translator, message)
    phases.noteLine()
  }
  clocks.at(-1)?.()
  t.equal(phases.phase, 'finishing')
  say(translator, result())
  t.same(phases.noteLine(), [])
  t.equal(phases.phase, 'finishing')
})
