// Money and tokens of an execution are its own: in a resumed session, with subagents, over a limit, and when nobody
// gives a sum.
import t, { type Test } from 'tap'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { hasTranscript } from '../support/transcripts.js'
import { lasting, scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { startCli } from '../support/processes.js'
import { estimateCostUsd, guessCostUsd } from '../../src/executions/records/estimate-cost.js'
import { openTestService, type TestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

/** All models, too. */
const ALL = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
const usage = (inputTokens: number, outputTokens: number) => ({ usage: { inputTokens, outputTokens } })
const bash = (command: string) => ({ tool: 'Bash', input: { command, description: 'works' } })
const isNear = (t: Test, found: number, expected: number, what: string) =>
  t.ok(Math.abs(found - expected) < 1e-6, `${what}: ${found} of ${expected}`)
const run = async (service: TestService, body: Record<string, unknown>): Promise<Execution> =>
  service.finished((await service.submit(body)).id)

for (const { name, env } of listClaudeVersions()) {
  void t.test(`with ${name}`, async (t) => {
    // Of lines only one is longer.
    const service = await openTestService(t, {
      env: { CC_EXECUTOR_CONCURRENCY: '4', CC_EXECUTOR_LINE_LIMIT_BYTES: '65536', ...env },
    })

    await t.test('four equal runs of one conversation cost the same', async (t) => {
      const prompt = scripted(usage(80_000, 800), { text: 'Said.' })
      const first = await run(service, { prompt })
      const second = await run(service, { prompt, session: { resume: first.id } })
      const fork = await run(service, { prompt, session: { resume: first.id, fork: true } })
      // Each of them three times what one costs: the CLI holds against it what its own process spends.
      const limited = await run(service, {
        prompt,
        session: { resume: first.id },
        maxBudgetUsd: first.usage.costUsd * 3,
      })
      t.ok(first.usage.costUsd > 0.3)
      for (const execution of [first, second, fork, limited]) {
        t.match(execution, {
          status: 'succeeded',
          usage: { inputTokens: 80_000, outputTokens: 800, cacheReadTokens: 0, cacheCreationTokens: 0, turns: 1 },
        })
        isNear(t, execution.usage.costUsd, first.usage.costUsd, 'dollars')
        t.equal(execution.usage.isCostIncomplete, undefined)
        t.same(
          (await service.call('GET', `/executions/${execution.id}/receipt`)).body.usage,
          execution.usage,
          'the receipt says the same',
        )
      }
      const repaired = await run(service, {
        prompt: scripted(
          usage(1_000, 10),
          { text: 'Talk.' },
          { turn: true },
          usage(1_000, 10),
          { text: 'More talk.' },
          { turn: true },
          usage(1_000, 10),
          { structured: { n: 1 } },
        ),
        session: { resume: fork.id },
        outputSchema: {
          $schema: 'https://json-schema.org/draft/2020-12/schema',
          type: 'object',
          properties: { n: { type: 'integer' } },
          required: ['n'],
        },
      })
      t.match(repaired, { status: 'succeeded', outcome: { result: { n: 1 } } })
      t.ok(
        repaired.usage.inputTokens >= 3_000 && repaired.usage.inputTokens < 80_000,
        `several results in one process: ${repaired.usage.inputTokens} tokens`,
      )
      t.ok(repaired.usage.costUsd < first.usage.costUsd, `$${repaired.usage.costUsd}`)
      isNear(
        t,
        (await service.call('GET', '/usage')).body.total.costUsd,
        first.usage.costUsd * 4 + repaired.usage.costUsd,
        'GET /usage',
      )
    })

    await t.test('a subagent counts while it works, and a limit ends it soon', async (t) => {
      const steps = Array.from({ length: 9 }, (_, index) => [
        { delayMs: 300 },
        usage(2_000, 10),
        bash(`echo ${index}`),
      ]).flat()
      const prompt = scripted(
        usage(20, 1),
        {
          tool: 'Agent',
          input: {
            description: 'works',
            subagent_type: 'general-purpose',
            prompt: scripted(...steps, usage(2_000, 10), { text: 'Agent done.' }),
          },
        },
        usage(20, 1),
        { text: 'Done.' },
      )
      const ended = await run(service, { prompt, allowedTools: ['Bash'], maxBudgetTokens: 6_000 })
      t.match(ended, { status: 'failed', outcome: { code: 'BUDGET_EXCEEDED', message: /6000 tokens/ } })
      t.ok(ended.usage.inputTokens > 5_900 && ended.usage.inputTokens < 12_000, `${ended.usage.inputTokens} tokens`)
      const told = (await service.events(ended.id))
        .filter((event): event is Event<'progress'> => event.type === 'progress')
        .map(({ data }) => data.inputTokens)
      t.ok(
        told.some((tokens) => tokens >= 2_000 && tokens <= 12_000),
        `progress: ${told.join(', ')}`,
      )
    })

    await t.test('a limit that the answer crosses leaves the answer as it is', async (t) => {
      const prompt = scripted(usage(7_000, 10), { text: 'The whole answer.' })
      const crossed = await run(service, { prompt, maxBudgetTokens: 6_000 })
      t.match(crossed, {
        status: 'succeeded',
        usage: { inputTokens: 7_000 },
        outcome: { result: 'The whole answer.', message: /whole.*more than 6000 tokens/, isPartial: undefined },
      })
      const dear = await run(service, { prompt, maxBudgetUsd: 0.01 })
      t.match(
        dear,
        {
          status: 'failed',
          outcome: {
            code: 'BUDGET_EXCEEDED',
            result: 'The whole answer.',
            message: /maxBudgetUsd.*answer was complete/,
            isPartial: undefined,
          },
        },
        'with maxBudgetUsd the CLI itself calls it an error',
      )
    })

    await t.test('an answer over the line limit is partial, and its usage is known', async (t) => {
      const long = await run(service, {
        prompt: scripted(usage(5_000, 900), {
          repeatText: 'abc ","is_error":true,"type":"x" ',
          bytes: 300_000,
          chunkBytes: 20_000,
        }),
      })
      t.match(long, {
        status: 'succeeded',
        usage: { inputTokens: 5_000, outputTokens: 900, isCostIncomplete: undefined },
        outcome: { isPartial: true, message: /maximum length of a line.*first \d+ characters/ },
      })
      t.ok(long.usage.costUsd > 0)
      t.match(long.outcome?.result, /^abc ","is_error":true/)
    })

    await t.test('a run that is cut off has the tokens that were told', async (t) => {
      const { id } = await service.submit({
        prompt: scripted(usage(3_000, 5), { text: 'Begun.' }, bash(lasting()), {
          text: 'x',
        }),
        allowedTools: ['Bash'],
      })
      await service.until(id, 'tool.started')
      await service.call('POST', `/executions/${id}/cancel`)
      t.match(await service.finished(id), { status: 'cancelled', usage: { inputTokens: 3_000 } })
    })
  })
}

void t.test('what is reckoned for tokens without a sum is not below what the CLI tells', async (t) => {
  const service = await openTestService(t, { env: { CC_EXECUTOR_CONCURRENCY: '4' } })
  const prompt = scripted(usage(80_000, 8_000), { text: 'Said.' })
  const models = [{ model: 'haiku' }, {}, { model: 'sonnet' }, { model: 'opus' }].slice(0, ALL ? undefined : 2)
  for (const told of await Promise.all(models.map((model) => run(service, { prompt, ...model })))) {
    const estimate = estimateCostUsd({ ...told.usage, costUsd: 0 }, told.model)
    const { costUsd } = told.usage
    t.ok(costUsd > 0 && estimate >= costUsd, `${told.model}: an estimate of ${estimate} is not below ${costUsd}`)
    isNear(t, guessCostUsd(told.usage, told.model), costUsd, `${told.model}: what is told on the way`)
  }
})

void t.test('progress tells what an attempt has cost so far', async (t) => {
  const service = await openTestService(t)
  const ended = await run(service, {
    // Longer than the second in which nothing more is told.
    prompt: scripted(usage(80_000, 800), { text: 'One after another, in pieces.', chunks: 4, delayMs: 500 }),
  })
  const told = (await service.events(ended.id)).filter(({ type }) => type === 'progress')
  const costs = told.map(({ data }) => (data as { costUsd: number }).costUsd)
  t.ok(
    costs.length > 1 && costs.every((cost, index) => cost >= (costs[index - 1] ?? 0)),
    `it grows: ${costs.join(', ')}`,
  )
  t.ok((costs.at(-1) ?? 0) > 0.3 && (costs.at(-1) ?? 0) <= ended.usage.costUsd + 1e-6, `to ${ended.usage.costUsd}`)
})

void t.test('a worker that dies leaves the tokens that its stream told', async (t) => {
  // A lease much longer than any run is held up: what is known of them comes from the log alone.
  const service = await openTestService(t, { workers: 0, env: { CC_EXECUTOR_LOCK_SECONDS: '20' } })
  const worker = startCli(t, ['worker'], { ...service.environment, REDIS_URL: service.redis.url })
  await worker.said(/worker \S+: \d+ at once/)
  const work = {
    prompt: scripted(usage(3_000, 5), { text: 'Begun.' }, bash(lasting()), usage(400, 5), {
      text: 'End.',
    }),
    allowedTools: ['Bash'],
  }
  const lost = await service.submit(work)
  // At its dearest the first attempt cost more than this: 3,000 tokens of a model at $15 a million.
  const spent = await service.submit({ ...work, model: 'opus', onWorkerLost: 'continue', maxBudgetUsd: 0.04 })
  for (const { id } of [lost, spent]) await service.until(id, 'tool.started')
  // The CLI writes it a moment later than the stream, and nothing goes on without it.
  await until(() => hasTranscript(service, spent.id, '"text":"Begun."'), 'what was said is in the transcript')
  worker.kill('SIGKILL')
  await worker.ended
  t.match(await service.finished(lost.id), {
    status: 'failed',
    outcome: { code: 'WORKER_LOST' },
    usage: { inputTokens: 3_000, isCostIncomplete: true },
  })
  const report = (await service.call('GET', '/usage')).body
  t.ok(report.total.inputTokens >= 3_000, 'they are charged')
  const receipt = (await service.call('GET', `/executions/${lost.id}/receipt`)).body
  t.match(receipt.usage, { inputTokens: 3_000, isCostIncomplete: true })
  t.match((await service.call('POST', '/receipts/verify', { body: { receipt } })).body, { valid: true })
  await until(
    async () => (await service.call('GET', `/executions/${spent.id}`)).body.status === 'queued',
    'it waits for its next attempt',
  )
  t.match(
    (await service.call('GET', `/executions/${spent.id}`)).body.usage,
    { inputTokens: 3_000, isCostIncomplete: true },
    'also between two attempts',
  )
  await service.openWorker()
  t.match(
    await service.finished(spent.id),
    { status: 'failed', attempt: 1, outcome: { code: 'BUDGET_EXCEEDED', message: /may have used up.*highest price/ } },
    'what was not told is not left to spend',
  )
})

void t.test('what the CLI says of its account and its disk reaches whoever needs it', async (t) => {
  const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
  const line = (value: Record<string, unknown>) => ({ line: value })
  const resetsAt = Math.floor(Date.now() / 1_000) + 3_600
  const told = await run(service, {
    prompt: JSON.stringify([
      line({ type: 'system', subtype: 'init', session_id: 's' }),
      line({
        type: 'rate_limit_event',
        rate_limit_info: {
          status: 'allowed_warning',
          rateLimitType: 'five_hour',
          utilization: 0.92,
          resetsAt,
          unifiedWindows: { seven_day: { utilization: 0.4, resetsAt } },
        },
      }),
      line({
        type: 'system',
        subtype: 'model_refusal_fallback',
        original_model: 'claude-one',
        fallback_model: 'claude-two',
        direction: 'retry',
        scope: 'session',
      }),
      line({
        type: 'result',
        subtype: 'success',
        is_error: false,
        result: 'ok',
        num_turns: 1,
        credential_expires_at: '2030-01-02T03:04:05Z',
        usage: {},
      }),
      line({ type: 'system', subtype: 'session_writes_lost', error_code: 'ENOSPC', lost: ['transcript'] }),
    ]),
  })
  t.match(told, {
    status: 'succeeded',
    outcome: { result: 'ok', message: /claude-one refused, and claude-two answered.*ENOSPC.*disk/ },
  })
  const claudeOf = async () => (await service.call('GET', '/health/ready')).body.parts.claude
  await until(async () => (await claudeOf()).account !== undefined, 'a worker tells of its account')
  t.match(await claudeOf(), {
    account: {
      credentialExpiresAt: '2030-01-02T03:04:05.000Z',
      limits: [
        { name: 'seven_day', status: 'allowed', utilization: 0.4 },
        {
          name: 'five_hour',
          status: 'allowed_warning',
          utilization: 0.92,
          resetsAt: new Date(resetsAt * 1_000).toISOString(),
        },
      ],
    },
  })

  const refused = await run(service, {
    prompt: JSON.stringify([
      line({
        type: 'result',
        subtype: 'error_during_execution',
        is_error: true,
        errors: ['bubblewrap is missing'],
        startup_failure_reason: 'sandbox_required_unavailable',
      }),
      { exit: 1 },
    ]),
  })
  t.match(refused, {
    status: 'failed',
    usage: { costUsd: 0, isCostIncomplete: undefined },
    outcome: {
      code: 'CLAUDE_EXITED',
      message: /refused to start \(sandbox_required_unavailable\): bubblewrap is missing.*operator/,
    },
  })
  const signedOut = await run(service, {
    prompt: JSON.stringify([
      line({
        type: 'result',
        subtype: 'error_during_execution',
        is_error: true,
        errors: ['no'],
        startup_failure_reason: 'org_pin_mismatch',
      }),
      { exit: 1 },
    ]),
  })
  t.match(signedOut, { outcome: { code: 'CLAUDE_NOT_AUTHENTICATED' } })
  const cut = await run(service, {
    prompt: JSON.stringify([
      line({ type: 'system', subtype: 'init', session_id: 's' }),
      line({
        type: 'assistant',
        message: { id: 'm', content: [{ type: 'text', text: 'x' }], usage: { input_tokens: 70 } },
      }),
      { exit: 1 },
    ]),
  })
  t.match(cut, { status: 'failed', usage: { inputTokens: 70, costUsd: 0, isCostIncomplete: true } })
})
