// What fails in passing is tried again, what lasts is not, and a limit that is reached holds up those only whom it
// concerns.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { classifyExit } from '../../src/claude/stream/classify-exit.js'
import { classifyFailure } from '../../src/claude/stream/classify-failure.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { NOTHING_EARLIER } from '../../src/claude/stream/observation.js'
import { createTranslator } from '../../src/claude/stream/translate-message.js'
import { chooseBeginning } from '../../src/executions/run/plan-continuation.js'
import { planContinuation, planRetry } from '../../src/executions/conclude/plan-retry.js'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution, Outcome } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { openTestService, type TestService } from '../support/service.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { FIXTURES } from '../support/paths.js'

t.jobs = 2

const RESETS_AT = 1_795_376_688

/** What a run's lines come to, as the worker sees it. */
function judge(lines: readonly (string | Record<string, unknown>)[]) {
  const translator = createTranslator({ partialText: true, rawPartials: false })
  for (const line of lines)
    translator.translate({ kind: 'line', bytes: Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)) })
  const { observation } = translator
  const outcome = classifyExit({
    observation,
    exit: { exitCode: 1 },
    stderrTail: '',
    run: toRunRequest({ prompt: 'x' }),
  })
  return { outcome, failure: classifyFailure(outcome, observation) }
}
const refusal = (text: string, status: number | null, error = 'unknown'): Record<string, unknown>[] => [
  { type: 'assistant', message: { id: 'm', model: '<synthetic>', content: [{ type: 'text', text }] }, error },
  { type: 'result', subtype: 'success', is_error: true, api_error_status: status, result: text, num_turns: 1 },
]
const limited = (resetsAt?: number): Record<string, unknown> => ({
  type: 'rate_limit_event',
  rate_limit_info: { status: 'rejected', ...(resetsAt !== undefined && { resetsAt }), rateLimitType: 'five_hour' },
})

void t.test('a failure passes, lasts, or is a limit with an end', async (t) => {
  const recorded = async (name: string): Promise<string> =>
    judge((await readFile(join(FIXTURES, 'transcripts', name), 'utf8')).split('\n').filter((line) => line !== ''))
      .failure.kind
  t.equal(await recorded('04-error-api-500.jsonl'), 'transient')
  t.equal(await recorded('07-max-turns.jsonl'), 'lasting')
  t.equal(await recorded('01-success-partial.jsonl'), 'lasting', 'a success is not tried again')
  const cases: Array<[string, Record<string, unknown>[], Record<string, unknown>]> = [
    [
      'a limit of the subscription',
      [limited(RESETS_AT), ...refusal("You've hit your session limit · resets 7:44pm (UTC)", 429, 'rate_limit')],
      { kind: 'limit', resetsAt: new Date(RESETS_AT * 1_000) },
    ],
    [
      'a limit without an end that is a time',
      [limited(1e300), ...refusal("You've hit your limit", 429, 'rate_limit')],
      { kind: 'transient' },
    ],
    [
      'a limit without an end',
      [limited(), ...refusal("You've hit your limit", 429, 'rate_limit')],
      { kind: 'transient' },
    ],
    [
      'a limit of a key',
      refusal('API Error: Request rejected (429) · This request would exceed your rate limit.', 429, 'rate_limit'),
      { kind: 'transient' },
    ],
    [
      'overload',
      refusal('API Error: Repeated 529 Overloaded errors. The API is at capacity', null),
      { kind: 'transient' },
    ],
    ['no connection', refusal('API Error: Unable to connect to API (ConnectionRefused)', null), { kind: 'transient' }],
    ['a reset', refusal('API Error: Unable to connect to API (ECONNRESET)', null), { kind: 'transient' }],
    [
      'a stream that broke off',
      refusal('API Error: Connection closed mid-response. The response above may be incomplete.', null),
      { kind: 'transient' },
    ],
    ['credentials', refusal('Invalid API key · Please run /login', 401, 'authentication_failed'), { kind: 'lasting' }],
    ['billing', refusal('Credit balance is too low', 400, 'billing_error'), { kind: 'lasting' }],
    [
      'an invalid request',
      refusal('API Error: 400 the connection of these messages is wrong', 400, 'invalid_request'),
      { kind: 'lasting' },
    ],
    [
      'a model that does not exist',
      refusal('There is an issue with the model', 404, 'model_not_found'),
      { kind: 'lasting' },
    ],
    ['a long prompt', refusal('Prompt is too long', 413), { kind: 'lasting' }],
    ['a budget', [{ type: 'result', subtype: 'error_max_budget_usd', is_error: true }], { kind: 'lasting' }],
    [
      'a schema',
      [{ type: 'result', subtype: 'error_max_structured_output_retries', is_error: true }],
      { kind: 'lasting' },
    ],
    ['an interrupt', [{ type: 'result', subtype: 'error_during_execution', is_error: true }], { kind: 'lasting' }],
    ['no word at all', [], { kind: 'lasting' }],
  ]
  for (const [name, lines, wanted] of cases) t.match(judge(lines).failure, wanted, name)
})

void t.test('how often, and not before when', async (t) => {
  const now = new Date('2026-11-22T12:00:00Z')
  const overloaded: Outcome = { status: 'failed', code: 'CLAUDE_OVERLOADED', message: 'full' }
  const after = (made: number, maxAttempts: number, spared = 0): number | undefined => {
    const plan = planRetry({ kind: 'transient' }, overloaded, { made, spared }, { maxAttempts }, now, 0.5)
    return plan?.notBefore && (plan.notBefore.getTime() - now.getTime()) / 1_000
  }
  t.same(
    [1, 2, 3, 4, 9, 10].map((made) => after(made, 10)),
    [5, 10, 20, 40, 300, undefined],
  )
  t.equal(after(1, 1), undefined, 'one attempt unless more were asked for')
  t.equal(after(3, 2, 2), 5, 'what counts for nothing is not counted')
  t.equal(planRetry({ kind: 'lasting' }, overloaded, { made: 1, spared: 0 }, { maxAttempts: 10 }, now), undefined)
  const limit = { kind: 'limit', resetsAt: new Date('2026-11-22T15:00:00Z') } as const
  t.match(planRetry(limit, overloaded, { made: 1, spared: 0 }, { maxAttempts: 1 }, now), {
    isSpared: true,
    notBefore: limit.resetsAt,
  })
  t.equal(
    planRetry(limit, overloaded, { made: 1, spared: 0 }, { maxAttempts: 1, queueTimeoutSeconds: 3_600 }, now),
    undefined,
    'who does not wait so long in the queue is told at once',
  )
  const patience = (queueTimeoutSeconds: number) =>
    planRetry(
      { kind: 'transient' },
      overloaded,
      { made: 1, spared: 0 },
      { maxAttempts: 2, queueTimeoutSeconds },
      now,
      0.5,
    )
  t.match([patience(4.9), patience(5)], [undefined, { isSpared: false }])
  t.equal(planRetry(limit, overloaded, { made: 51, spared: 50 }, { maxAttempts: 1 }, now), undefined, 'not for ever')
  t.match(
    planRetry({ kind: 'limit', resetsAt: new Date(0) }, overloaded, { made: 1, spared: 0 }, { maxAttempts: 1 }, now),
    { notBefore: new Date('2026-11-22T12:00:05Z') },
    'a time that is past makes no haste',
  )
  t.match(
    planRetry({ kind: 'limit', resetsAt: new Date(8e15) }, overloaded, { made: 1, spared: 0 }, { maxAttempts: 1 }, now),
    { notBefore: new Date('2026-11-29T12:00:00Z') },
    'and one in a far future is looked at again after a week',
  )
  const lost = (made: number, onWorkerLost: 'continue' | 'fail', maxAttempts = 2) =>
    planContinuation('WORKER_LOST', '', { made, spared: 0 }, { onWorkerLost, maxAttempts })
  t.match([lost(1, 'continue'), lost(2, 'continue'), lost(1, 'fail')], [{ isSpared: false }, undefined, undefined])
  t.match(
    planContinuation('WORKER_STOPPING', '', { made: 9, spared: 0 }, { onWorkerLost: 'continue', maxAttempts: 2 }),
    { isSpared: true, notBefore: undefined },
  )
})

void t.test('the next attempt repeats nothing that was done', async (t) => {
  const history = {
    hasAnswer: true,
    toolsStarted: 1,
    finishedCalls: new Map([
      ['a', 'a'],
      ['of-subagent', 'b'],
    ]),
    openCalls: new Map(),
    lostTasks: new Map(),
    nextMessage: 1,
    unfinished: new Set<number>(),
    earlier: NOTHING_EARLIER,
    budgetChanges: 0,
    model: undefined,
  }
  const nothing = { ...history, hasAnswer: false, toolsStarted: 0, finishedCalls: new Map<string, string>() }
  const transcript = (...ids: string[]) => ({
    answers: new Set(['said']),
    lines: new Set<string>(),
    hasMessage: true,
    toolResults: new Set(ids),
  })
  const choose = (...args: Parameters<typeof chooseBeginning>): string => chooseBeginning(...args).kind
  t.equal(choose('WORKER_LOST', history, transcript('a', 'b')), 'resume')
  t.equal(
    choose('WORKER_LOST', history, transcript('a')),
    'impossible',
    "a subagent's call is known by the one that started it",
  )
  t.equal(choose('WORKER_LOST', history, undefined), 'impossible')
  t.equal(choose('WORKER_LOST', nothing, undefined), 'fresh')
  t.equal(choose('WORKER_LOST', nothing, transcript('a')), 'resume', 'the transcript may know more than the log')
  t.equal(choose('CLAUDE_OVERLOADED', { ...nothing, hasAnswer: true }, transcript()), 'fresh', 'no tool was called')
  t.equal(choose('CLAUDE_OVERLOADED', history, transcript('a', 'b')), 'resume')
  t.equal(choose('CLAUDE_OVERLOADED', history, transcript()), 'impossible')
})

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command } })
const inSeconds = (seconds: number): number => Math.ceil(Date.now() / 1_000) + seconds
const submit = (service: TestService, steps: unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
  service.submit({ prompt: scripted(...steps), allowedTools: ['Bash'], ...more })
async function eventsOf<Type extends EventType>(
  service: TestService,
  { id }: Execution,
  type: Type,
): Promise<Array<Event<Type>>> {
  // Safe: filtered by the type.
  return (await service.events(id)).filter((event) => event.type === type) as Array<Event<Type>>
}

void t.test('failures of the API with the real CLI', async (t) => {
  const service = await openTestService(t, { env: { CC_EXECUTOR_CONCURRENCY: '8' } })
  // Its first attempt is to be over before the API is well again.
  const recovering = withLongerClocks(6, async (seconds) => {
    const steps = [{ status: 529, resetsAt: inSeconds(seconds) }, { text: 'at last' }]
    const execution = await submit(service, steps, { maxAttempts: 10 })
    return service.until(execution.id, 'execution.retrying').then(
      () => execution,
      () => undefined,
    )
  })
  // As often as one attempt asks. An older CLI then goes on behind its own report of the error, a newer one asks once
  // more.
  const [fresh, resumed, unasked, refused] = await Promise.all([
    recovering,
    submit(service, [bash('echo made >> marks'), { status: 500, times: 3 }, { text: 'x' }], { maxAttempts: 2 }),
    submit(service, [{ status: 529, times: 'always' }]),
    submit(service, [{ status: 401, times: 'always' }], { maxAttempts: 3 }),
  ])
  t.match(await service.finished(unasked.id), { status: 'failed', attempt: 1, outcome: { code: 'CLAUDE_OVERLOADED' } })
  t.match(await service.finished(refused.id), {
    status: 'failed',
    attempt: 1,
    outcome: { code: 'CLAUDE_NOT_AUTHENTICATED', message: /ANTHROPIC_API_KEY/ },
  })
  t.match(await service.finished(fresh.id), {
    status: 'succeeded',
    attempt: /^([2-9]|10)$/,
    outcome: { result: 'at last' },
  })
  const [{ data }] = (await eventsOf(service, fresh, 'execution.retrying')) as [Event<'execution.retrying'>]
  const starts = await eventsOf(service, fresh, 'execution.started')
  t.ok(String(starts[1]?.at) >= String(data.notBefore), 'not before its time')
  t.not(starts[0]?.data.sessionId, starts[1]?.data.sessionId, 'nothing was done, so the prompt is sent again')
  const ended = await service.finished(resumed.id)
  t.match(ended, { status: 'succeeded', attempt: 2 }, JSON.stringify(ended.outcome))
  t.match(await eventsOf(service, resumed, 'execution.retrying'), [
    { data: { reason: 'CLAUDE_EXITED', nextAttempt: 2, notBefore: String } },
  ])
  const [first, second] = await eventsOf(service, resumed, 'execution.started')
  t.match(
    [first?.data.sessionId, second?.data.resumed],
    [second?.data.sessionId, true],
    'a tool had run, so the session goes on',
  )
  t.equal(await readFile(join(service.config.workspaceRoot, resumed.id, 'marks'), 'utf8'), 'made\n')
  t.same(
    (await service.events(resumed.id)).map(({ seq }) => seq),
    (await service.events(resumed.id)).map((_event, index) => index + 1),
  )
  // One of the waits between attempts is longer than that. The same time holds for its claim.
  const impatient = await withLongerClocks(3.7, async (queueTimeoutSeconds) => {
    const { id } = await submit(service, [{ status: 500, times: 'always' }], { maxAttempts: 10, queueTimeoutSeconds })
    const execution = await service.finished(id)
    return execution.outcome?.code === 'QUEUE_TIMEOUT' ? undefined : execution
  })
  t.match(impatient, {
    status: 'failed',
    attempt: /^[1-6]$/,
    outcome: { code: 'CLAUDE_EXITED', apiStatus: 500, exitCode: 1 },
  })
})

void t.test('a limit of the subscription stops the workers with it until it is over, and no other', async (t) => {
  const env = { CC_EXECUTOR_SIMULATOR_URL: '', CC_EXECUTOR_CONCURRENCY: '2' }
  const [service, alone] = await Promise.all([
    openTestService(t, { workers: 0, env }),
    openTestService(t, { workers: 0, env }),
  ])
  const reach = ({ simulator, directory }: TestService) => ({
    ANTHROPIC_BASE_URL: simulator.url,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    HOME: directory,
  })
  const token = { CLAUDE_CODE_OAUTH_TOKEN: 'a-token' }
  await Promise.all([
    service.openWorker({ ...reach(service), ...token }),
    alone.openWorker({ ...reach(alone), ...token, CC_EXECUTOR_CREDENTIAL: 'team' }),
  ])
  // Of an account that is at its limit for so long; where the run has met it only afterwards, it has not met it.
  const { held, soon } = await withLongerClocks(10, async (seconds) => {
    const soon = inSeconds(seconds)
    const held = await submit(alone, [bash('echo made >> marks'), { status: 429, resetsAt: soon }, { text: 'x' }])
    return alone.until(held.id, 'execution.retrying').then(
      () => ({ held, soon }),
      () => undefined,
    )
  })
  const later = inSeconds(3_600)
  const first = await submit(service, [{ status: 429, resetsAt: later }, { text: 'x' }])

  await t.test('a worker with another credential takes what waits', async (t) => {
    t.match((await service.until(first.id, 'execution.retrying')).data, {
      reason: 'CLAUDE_RATE_LIMITED',
      nextAttempt: 2,
      notBefore: new Date(later * 1_000).toISOString(),
    })
    const other = await service.submit({ prompt: 'another' })
    const blockedCredentials = [{ credential: 'oauth_token', until: new Date(later * 1_000).toISOString() }]
    t.match((await service.call('GET', '/queue')).body, {
      depth: 2,
      running: 0,
      capacity: 0,
      waitingForRetry: 1,
      blockedCredentials,
      workers: [{ credential: 'oauth_token' }],
    })
    const ready = await service.call('GET', '/health/ready')
    t.match(
      [ready.status, ready.body.parts.workers],
      [200, { status: 'degraded', message: /oauth_token is reached until/, blockedCredentials }],
    )
    const paid = await service.openWorker({ ...reach(service), ANTHROPIC_API_KEY: 'a-key' })
    t.match(await service.finished(other.id), { status: 'succeeded', attempt: 1, workerId: paid.state.id })
    t.match((await service.call('GET', '/queue')).body, { depth: 1, capacity: 2 })
    t.match((await service.call('GET', `/executions/${first.id}`)).body, {
      status: 'queued',
      attempt: 1,
      waitingFor: 'retry',
      notBefore: String,
      position: undefined,
    })
    t.match((await service.call('POST', `/executions/${first.id}/cancel`)).body, { status: 'cancelled', attempt: 1 })
  })

  await t.test(
    'and when it is over the worker goes on with the session, though only one attempt was asked for',
    async (t) => {
      t.match((await alone.until(held.id, 'execution.retrying')).data, { reason: 'CLAUDE_RATE_LIMITED' })
      const last = await alone.submit({ prompt: 'after the limit' })
      for (const execution of [held, last]) {
        t.match(await alone.finished(execution.id), { status: 'succeeded', attempt: execution === held ? 2 : 1 })
        t.ok(
          Date.parse((await eventsOf(alone, execution, 'execution.started')).at(-1)?.at ?? '') >= soon * 1_000,
          'nothing begins before its end',
        )
      }
      t.match((await eventsOf(alone, held, 'execution.started'))[1]?.data, { resumed: true })
      t.equal(await readFile(join(alone.config.workspaceRoot, held.id, 'marks'), 'utf8'), 'made\n')
      t.match((await alone.call('GET', '/queue')).body, { blockedCredentials: [], capacity: 2 })
    },
  )
})
