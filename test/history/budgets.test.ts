// Money: what is reserved at submission and settled at the end, what the sums say, and who may see them.
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { concludeExecution } from '../../src/executions/conclude/conclude-execution.js'
import { planBudget, type WantedBudget } from '../../src/executions/records/plan-budget.js'
import type { NewRecord } from '../../src/executions/store/transitions.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { openTokens } from '../../src/platform/tokens.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestRedis } from '../support/redis.js'
import { openTestService } from '../support/service.js'
import { startRecord } from '../support/start-record.js'
import { withinDay } from '../support/within-day.js'
import { repeat } from '../support/deadlines.js'

const MICRO = 1_000_000

void t.test('what is reserved is the smallest of what was asked for, the limit of a run, and the day', async (t) => {
  const plan = (
    run: { maxBudgetUsd?: number; maxBudgetTokens?: number },
    set: { run?: number; day?: number; token?: number; tokens?: number } = {},
  ) =>
    planBudget(
      run,
      { ...(set.token !== undefined && { dailyBudget: { usd: set.token } }) },
      { maxBudgetUsd: set.run, maxBudgetTokens: set.tokens, dailyBudgetUsd: set.day, dailyBudgetTokens: undefined },
    )
  t.same(plan({}), {}, 'without limits nothing')
  t.same(plan({ maxBudgetUsd: 2 }), { usd: { run: 2 * MICRO } })
  t.same(
    plan({ maxBudgetUsd: 2 }, { run: 1, day: 5 }),
    { usd: { run: MICRO, cap: 5 * MICRO } },
    'a request may ask for less, never for more',
  )
  t.same(
    plan({ maxBudgetUsd: 0.5 }, { run: 1, day: 5, token: 0.25 }),
    { usd: { run: 0.25 * MICRO, cap: 0.25 * MICRO } },
    "a token's own limit stands in place of the one for all",
  )
  t.same(
    plan({}, { day: 5 }),
    { usd: { run: 5 * MICRO, cap: 5 * MICRO, isRest: true } },
    'nobody said how much: what is left',
  )
  t.same(plan({ maxBudgetTokens: 70 }, { tokens: 100 }), { tokens: { run: 70 } })
})

void t.test("a token's entry may name its daily budget; a wrong one stops the start", async (t) => {
  const open = (tokens: string) => openTokens({ tokens, tokenFile: '/nonexistent/token' })
  const book = await open(
    'a=0123456789abcdef:execute+read:daily-usd=2.5:daily-tokens=1000,b=fedcba9876543210:daily-usd=1,c=00000000000000000',
  )
  t.match(book.find('0123456789abcdef'), {
    name: 'a',
    scopes: new Set(['execute', 'read']),
    dailyBudget: { usd: 2.5, tokens: 1000 },
  })
  t.match(book.find('fedcba9876543210'), { scopes: new Set(['execute', 'read', 'admin']), dailyBudget: { usd: 1 } })
  t.equal(book.find('00000000000000000')?.dailyBudget, undefined)
  for (const wrong of ['daily-usd=much', 'daily-usd=0', 'weekly-usd=1', 'daily-usd=', 'max-concurrent=0'])
    await t.rejects(open(`a=0123456789abcdef:read:${wrong}`), /daily-usd=N/, wrong)
  for (const wrong of ['max-concurrent=1.5', 'max-concurrent=10001'])
    await t.rejects(open(`a=0123456789abcdef:read:${wrong}`), /max-concurrent must be a whole number/, wrong)
})

async function openStore(t: Test) {
  const redis = await openTestRedis(t)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
  const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
  let createdAt = Date.now()
  const create = async (wantedBudget: WantedBudget, more: Partial<NewRecord> = {}) => {
    const id = randomUUID()
    const answer = await domain.store.create(
      {
        id,
        owner: 'tester',
        request: { prompt: 'x' },
        requestDigest: 'd',
        priority: 'normal',
        // In the order in which they are made, which is that of their claims.
        createdAt: createdAt++,
        workspace: id,
        metadata: {},
        simulated: false,
        wantedBudget,
        model: 'haiku',
        ...more,
      },
      1_000,
    )
    return { id, answer }
  }
  const start = async (id: string, leaseMs = 60_000): Promise<string> => {
    const claim = await domain.store.claim(id, 1, 'worker', leaseMs, 'default')
    if (claim.kind !== 'claimed') throw new Error(claim.kind)
    await startRecord(domain.store, id, claim.fence, { simulated: false })
    return claim.fence
  }
  const book = async () => {
    const { usd, tokens } = await domain.ledger.book(await domain.ledger.today(), 'tester', false)
    return [usd.spent, usd.reserved, tokens.spent, tokens.reserved]
  }
  const sweep = async () => {
    await domain.redis.del('{cc}:lock:sweep')
    await sweepExecutions(domain)
  }
  return { ...domain, create, start, book, sweep }
}

const one = { usd: { run: MICRO, cap: 10 * MICRO }, tokens: { run: 100 } }

void t.test(
  'of fifty submissions at once no more are taken than the day allows, and a refusal leaves nothing',
  async (t) => {
    await withinDay()
    const { create, book, redis } = await openStore(t)
    const made = await Promise.all(Array.from({ length: 50 }, () => create(one)))
    t.equal(made.filter(({ answer }) => answer.kind === 'created').length, 10)
    t.same(await book(), [0, 10, 0, 1_000])
    const refused = made.find(({ answer }) => answer.kind === 'over')
    t.match(refused?.answer, {
      kind: 'over',
      refusal: {
        unit: 'usd',
        limit: 10,
        spent: 0,
        reserved: 10,
        wanted: 1,
        resetsAt: /T00:00:00\.000Z$/,
        basis: 'cli_estimate',
      },
    })
    t.same(await redis.keys(`*${refused?.id}*`), [])
    t.equal(await redis.zcard('{cc}:waiting'), 10)
  },
)

void t.test(
  'every way to end settles once: success, cancel in the queue, an overdue wait, a lost worker; half-done states are swept twice',
  async (t) => {
    await withinDay()
    const { create, start, book, sweep, store, ledger, redis, ...services } = await openStore(t)
    const domain = { ...services, store, ledger, redis }
    const [done, cancelled, lost] = await Promise.all([create(one), create(one), create(one)])
    const overdue = await create(one, { queueDeadline: Date.now() - 1_000 })
    t.same(await book(), [0, 4, 0, 400])
    const usage = {
      ...NO_USAGE,
      inputTokens: 10,
      outputTokens: 20,
      cacheReadTokens: 5_000,
      cacheCreationTokens: 5,
      costUsd: 0.123_456_7,
      turns: 2,
      durationMs: 900,
    }
    const fence = await start(done.id)
    const conclude = () =>
      concludeExecution(
        domain,
        done.id,
        { kind: 'holder', fence },
        { outcome: { status: 'succeeded' }, usage, attempt: 1, model: 'claude-haiku' },
      )
    t.same([(await conclude()) !== undefined, await conclude()], [true, undefined])
    t.same(await book(), [0.123457, 3, 35, 300], 'what was spent, in place of what was reserved')
    await concludeExecution(
      domain,
      cancelled.id,
      { kind: 'queued' },
      { outcome: { status: 'cancelled', code: 'CANCELLED' }, attempt: 0 },
    )
    t.same(await book(), [0.123457, 2, 35, 200], 'a cancel in the queue gives it back')
    const lostFence = await start(lost.id)
    await store.renew(lost.id, lostFence, 1, { ...usage, costUsd: 0.5 })
    await redis.zadd('{cc}:leases', 0, lost.id)
    await sweep()
    t.match(
      [await store.get(lost.id), await store.get(overdue.id)],
      [{ outcome: { code: 'WORKER_LOST' } }, { outcome: { code: 'QUEUE_TIMEOUT' } }],
    )
    t.same(await book(), [0.623457, 0, 70, 0], 'what the lost one had told is spent, nothing stays reserved')
    await sweep()
    await sweep()
    t.same(await book(), [0.623457, 0, 70, 0])

    const today = await ledger.today()
    const entries = await ledger.read(today, today, false)
    t.same(
      entries
        .map(({ token, model, sums }) => [
          token,
          model,
          sums.executions,
          sums.succeeded,
          sums.costUsd,
          sums.cacheReadTokens,
        ])
        .sort(([, a], [, b]) => (String(a) < String(b) ? -1 : 1)),
      [
        ['tester', 'claude-haiku', 1, 1, 0.123457, 5_000],
        ['tester', 'haiku', 3, 0, 0.5, 5_000],
      ],
    )
    t.same(await ledger.read(today, today, true), [], 'nothing of it was simulated')
    for (const key of await redis.keys('{cc}:*'))
      if (/:(?:usage|budget):/.test(key)) t.ok((await redis.pttl(key)) > 0, `${key} has an end`)

    const rest = { usd: { run: 10 * MICRO, cap: 10 * MICRO, isRest: true } }
    const whole = await create(rest)
    t.match(
      await store.get(whole.id),
      { budget: { usd: 9.376543 } },
      'a run of which nobody said what it may spend takes what is left',
    )
    t.match(await create(rest), { answer: { kind: 'over', refusal: { wanted: 10, reserved: 9.376543 } } })
  },
)

const CI = 'ci-token-0123456789'
const OPS = 'ops-token-0123456789'
const LISTS = 'lists-token-0123456789'

void t.test(
  'a submission beyond the day is refused before anything is spent; the sums say what was',
  { timeout: 600_000 },
  async (t) => {
    await withinDay()
    const service = await openTestService(t, {
      env: {
        CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
        CC_EXECUTOR_TOKENS: `ci=${CI}:execute+read:daily-usd=1,ops=${OPS}:admin,lists=${LISTS}:execute+read:daily-usd=0.7`,
        CC_EXECUTOR_MAX_BUDGET_USD: '0.4',
        CC_EXECUTOR_MAX_BUDGET_TOKENS: '5000',
      },
    })
    const as = (token: string) => ({ authorization: `Bearer ${token}` })
    const init = { line: { type: 'system', subtype: 'init', session_id: 's', model: 'claude-scripted-1' } }
    const answer = {
      line: {
        type: 'result',
        subtype: 'success',
        is_error: false,
        result: 'ok',
        num_turns: 1,
        usage: { input_tokens: 30, output_tokens: 12, cache_read_input_tokens: 999 },
        total_cost_usd: 0.3,
      },
    }
    const gate = join(service.directory, 'gate')
    const held = JSON.stringify([init, { file: gate }, answer])
    const submit = (body: object, token = CI, headers = {}) =>
      service.call('POST', '/execute', { body, headers: { ...as(token), ...headers } })
    const get = async (path: string, token = CI) => (await service.call('GET', path, { headers: as(token) })).body
    const ended = (id: string, token = CI) =>
      repeat(async () => {
        const { finished } = await get(`/executions/${id}/events?types=execution.finished&waitSeconds=30`, token)
        return finished ? get(`/executions/${id}`, token) : undefined
      }, `${id} ends`)

    const first = await submit({ prompt: held, maxBudgetUsd: 9 }, CI, { 'idempotency-key': 'k' })
    t.match(
      first,
      { status: 202, body: { budget: { usd: 0.4, tokens: 5000 } } },
      'asking for more than the limit of a run gives the limit',
    )
    t.equal((await submit({ prompt: held })).status, 202)
    const third = await submit({ prompt: held, maxBudgetUsd: 0.3 })
    t.equal(third.status, 429)
    t.match(third.body, {
      code: 'BUDGET_EXCEEDED',
      retryable: true,
      detail: /daily budget of ci is \$1: \$0 spent, \$0\.8 reserved.*may spend \$0\.3.*CLI’s estimate/,
      budget: { unit: 'usd', limit: 1, spent: 0, reserved: 0.8, wanted: 0.3, resetsAt: String },
    })
    const wait = Number(third.headers.get('retry-after'))
    t.ok(wait > 0 && wait <= 86_400, `Retry-After: ${wait}`)
    t.match(
      await submit({ prompt: held, maxBudgetUsd: 9 }, CI, { 'idempotency-key': 'k' }),
      { status: 200, body: { id: first.body.id } },
      'what was accepted is answered again',
    )
    t.equal((await get('/executions')).executions.length, 2, 'the refused one is nowhere')
    t.match(await submit({ prompt: held, maxBudgetUsd: 0.2 }), { status: 202 }, 'a smaller one fits')
    t.match(
      await get('/usage'),
      {
        budget: { usd: { limit: 1, spent: 0, reserved: 1 } },
        total: { executions: 0 },
        basis: 'cli_estimate',
        note: /subscription/,
        simulated: true,
      },
      'nothing is spent yet',
    )

    await writeFile(gate, '')
    const done = await ended(first.body.id)
    t.match(done, { status: 'succeeded', model: 'claude-scripted-1', usage: { costUsd: 0.3 } })
    const started = (await get(`/executions/${first.body.id}/events?types=execution.started`)).events[0]
    t.ok(started.data.argv.includes('--max-budget-usd=0.4'), 'the CLI is told')
    for (const { id } of (await get('/executions')).executions) await ended(id)

    const flood = JSON.stringify([
      init,
      {
        line: {
          type: 'assistant',
          message: {
            id: 'm1',
            content: [{ type: 'text', text: 'x' }],
            usage: { input_tokens: 10, cache_creation_input_tokens: 4_995 },
          },
        },
      },
      { hang: true },
    ])
    const flooded = await submit({ prompt: flood, model: 'haiku' }, OPS)
    t.match(await ended(flooded.body.id, OPS), {
      status: 'failed',
      outcome: { code: 'BUDGET_EXCEEDED', message: /5000 tokens/ },
      usage: { cacheCreationTokens: 4_995 },
    })

    const list = await submit({ tasks: [held, held, held, held] }, LISTS)
    const stopped = await ended(list.body.id, LISTS)
    t.match(stopped, {
      kind: 'task_list',
      status: 'failed',
      outcome: { code: 'BUDGET_EXCEEDED', message: /not sufficient for tasks\[2\]: 2 of 4 tasks were not started/ },
      usage: { costUsd: 0.6 },
    })
    t.same(
      stopped.tasks.map(({ status }: { status: string }) => status),
      ['succeeded', 'succeeded'],
    )
    t.match(
      await get('/usage', LISTS),
      { total: { executions: 2, costUsd: 0.6 }, budget: { usd: { limit: 0.7, spent: 0.6, reserved: 0 } } },
      'each task reserves and pays, the list does not pay again',
    )
    t.match(await submit({ tasks: [held] }, LISTS), {
      status: 429,
      body: { code: 'BUDGET_EXCEEDED', budget: { limit: 0.7, spent: 0.6, wanted: 0.4 } },
    })

    const today = new Date().toISOString().slice(0, 10)
    const own = await get('/usage?groupBy=day,model')
    t.match(own, {
      from: String,
      to: today,
      token: 'ci',
      rows: [
        {
          day: today,
          model: 'claude-scripted-1',
          executions: 3,
          succeeded: 3,
          inputTokens: 90,
          outputTokens: 36,
          cacheReadTokens: 2997,
          costUsd: 0.9,
        },
      ],
      total: { costUsd: 0.9 },
      budget: { usd: { limit: 1, spent: 0.9, reserved: 0 }, tokens: { limit: null, spent: 126, reserved: 0 } },
    })
    t.equal(own.rows.length, 1)
    t.match(
      await submit({ prompt: held }),
      { status: 429, body: { budget: { spent: 0.9, reserved: 0 } } },
      'the day is nearly over for this token',
    )
    t.match(await get('/usage?token=*', CI), { code: 'FORBIDDEN' })
    t.match(await get('/usage?token=ops', CI), { code: 'FORBIDDEN' })
    const all = await get('/usage?token=*&groupBy=token', OPS)
    t.same(
      all.rows.map(({ token, executions }: { token: string; executions: number }) => [token, executions]),
      [
        ['ci', 3],
        ['lists', 2],
        ['ops', 1],
      ],
    )
    t.equal(all.budget, undefined)
    t.match(
      (await get('/usage?token=*', OPS)).rows,
      [{ day: today, executions: 6 }],
      'a row of several tokens and models is one day',
    )
    t.match(await get(`/usage?from=2020-01-01&to=2020-02-01`), { rows: [], total: { executions: 0 } })
    for (const [query = '', path = ''] of [
      ['from=yesterday', 'from'],
      ['from=2026-02-30', 'from'],
      ['from=2026-02-02&to=2026-02-01', 'from'],
      ['from=2020-01-01&to=2026-01-01', 'from'],
      ['groupBy=week', 'groupBy[0]'],
      ['nonsense=1', 'nonsense'],
    ]) {
      t.match(await get(`/usage?${query}`), { code: 'INVALID_REQUEST', errors: [{ path }] }, query)
    }

    const csv = (await service.call('GET', '/executions?format=csv', { headers: as(CI) })).text
    const [names = [], ...lines] = csv
      .trim()
      .split('\n')
      .map((line) =>
        [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted ?? plain ?? ''),
      )
    const rows = lines.map((cells) => Object.fromEntries(names.map((name, column) => [name, cells[column]])))
    t.match(rows[2], {
      status: 'succeeded',
      costUsd: '0.3',
      costBasis: 'cli_estimate',
      model: 'claude-scripted-1',
      inputTokens: '30',
      budgetUsd: '0.4',
      verification: 'failed',
      failedChecks: /session/,
    })
  },
)
