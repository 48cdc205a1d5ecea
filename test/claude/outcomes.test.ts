// What became of a run: an observation and an exit → an outcome; and its transcript.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { classifyExit, type ClaudeExit } from '../../src/claude/stream/classify-exit.js'
import { type Line } from '../../src/claude/stream/line-splitter.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { readTranscript } from '../../src/claude/stream/transcript.js'
import { Outcome } from '../../src/protocol/execution.js'

import { line, read, toLines, transcripts, translateAll } from './lines.js'

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
