// Callers' schemas and their patterns run on threads that are killed in time: leases, heartbeats and other requests go
// on meanwhile.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { promisify } from 'node:util'
import t from 'tap'
import { newBudget, SchemaChecks, SCHEMA_BUDGET_MS } from '../../src/executions/json-mode/schema-checks.js'
import type { Execution } from '../../src/protocol/execution.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const SLOW = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } }
/** Takes the pattern longer than anybody waits. */
const ENDLESS = { a: `${'a'.repeat(50)}b` }
const QUICK = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
/** Where no time is looked at. */
const LONG_MS = 120_000
/** A stopped thread holds everything up for as long as the pattern is let run; less than that is the machine's load. */
const STOPPED_MS = SCHEMA_BUDGET_MS - 500

function openChecks(
  t: { teardown(fn: () => Promise<void>): void },
  options?: ConstructorParameters<typeof SchemaChecks>[0],
): SchemaChecks {
  const checks = new SchemaChecks(options)
  t.teardown(() => checks.close())
  return checks
}

void t.test('answers are held against the dialect that the schema names', async (t) => {
  const checks = openChecks(t)
  const pair = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    properties: { pair: { type: 'array', items: [{ type: 'string' }, { type: 'integer' }] } },
  }
  const faultsOf = (answer: unknown) => checks.validate(pair, answer, 'ann', newBudget(LONG_MS))
  t.same(await faultsOf({ pair: ['a', 1] }), { kind: 'checked', faults: [] })
  t.match(await faultsOf({ pair: ['a', 'b'] }), { kind: 'checked', faults: [/pair\/1 must be integer/] })
  t.match(await checks.compile({ type: 'object', properties: { a: { type: 'no' } } }, 'ann', newBudget(LONG_MS)), {
    kind: 'unusable',
    message: /schema is invalid/,
  })
  t.match(await checks.compileAsCli({ type: 'object', unknown: 1 }, 'ann', newBudget(LONG_MS)), {
    kind: 'unusable',
    message: /strict mode/,
  })
  for (const [$schema, meta] of [
    ['http://json-schema.org/draft-07/schema#', 'http://json-schema.org/draft-07/schema#'],
    [undefined, 'https://json-schema.org/draft/2020-12/schema'],
  ])
    t.match(
      await checks.validate(
        { ...($schema && { $schema }), type: 'object', properties: { a: { $ref: meta } } },
        { a: { type: 'no' } },
        'ann',
        newBudget(),
      ),
      { kind: 'checked', faults: [/a\/type must be equal/] },
      'a schema may refer to its dialect',
    )
  // An id of one schema is none of the next one's.
  const named = { type: 'object', properties: { a: { $id: 'https://example.com/a', type: 'string' } } }
  t.match(await checks.compile(named, 'ann', newBudget(LONG_MS)), { kind: 'checked' })
  const borrowing = { type: 'object', properties: { a: { $ref: 'https://example.com/a' } } }
  t.match(await checks.compile(borrowing, 'bob', newBudget(LONG_MS)), { kind: 'unusable', message: /can't resolve/ })
})

void t.test('what exceeds its budget is given up, and nobody else waits for it', async (t) => {
  const checks = openChecks(t)
  // The other's thread may come later than that, where the machine has more to do.
  const order = await withLongerClocks(1, async (seconds) => {
    const slow = checks.validate(SLOW, ENDLESS, 'ann', newBudget(seconds * 1_000))
    const names: string[] = []
    const done = (name: string) => () => names.push(name)
    const same = checks.validate(QUICK, { n: 1 }, 'ann', newBudget(LONG_MS))
    await Promise.all([
      slow.then(done('slow')),
      same.then(done('of the same owner')),
      checks.validate(QUICK, { n: 1 }, 'bob', newBudget(LONG_MS)).then(done("of another's")),
    ])
    t.same(await slow, { kind: 'late' })
    t.match(await same, { kind: 'checked' })
    if (names[0] === 'slow') return undefined
    t.equal(checks.threads, 1, 'the one that was late is gone')
    return names
  })
  t.same(order, ["of another's", 'slow', 'of the same owner'])
  const budget = newBudget(100)
  t.match(await checks.validate(SLOW, ENDLESS, 'ann', budget), { kind: 'late' })
  t.ok(budget.leftMs <= 0)
  t.match(
    await checks.validate(QUICK, { n: 1 }, 'ann', budget),
    { kind: 'late' },
    'a budget is one for all of a request',
  )
})

void t.test('a schema is compiled once, and of an owner a bounded number waits', async (t) => {
  const checks = openChecks(t)
  t.match(await checks.compile(QUICK, 'ann', newBudget(LONG_MS)), { kind: 'checked' })
  t.match(await checks.compile({ ...QUICK }, 'bob', newBudget(0)), { kind: 'checked' }, 'without any time of its own')
  t.match(await checks.compile(SLOW, 'ann', newBudget(0)), { kind: 'late' }, 'another one needs some')
  const other = (index: number) => ({ type: 'object', title: String(index) })
  const asked = Array.from({ length: 300 }, (_, index) => checks.compile(other(index), 'ann', newBudget(LONG_MS)))
  const crowded = checks.compile(other(300), 'ann', newBudget(LONG_MS))
  t.same(await Promise.race([crowded, asked[250]]), { kind: 'crowded' })
  t.match(
    await checks.compile(other(301), 'bob', newBudget(LONG_MS)),
    { kind: 'checked' },
    'nobody else waits for that',
  )
  const kinds = (await Promise.all(asked)).map(({ kind }) => kind)
  t.ok(kinds.filter((kind) => kind === 'checked').length >= 200, 'the first of them are compiled')
})

void t.test('what asks for more memory than a thread has ends the thread and nothing else', async (t) => {
  const checks = openChecks(t, { memoryLimitMb: 32 })
  const list = { type: 'object', properties: { list: { type: 'array', items: { type: 'string' } } } }
  const wrong = { list: Array.from({ length: 300_000 }, () => 1) }
  t.match(await checks.validate(list, wrong, 'ann', newBudget(60_000)), { kind: 'failed', message: /memory/ })
  t.match(await checks.validate(list, { list: [1] }, 'ann', newBudget(LONG_MS)), { faults: [/must be string/] })
})

void t.test('a thread that does not start is told', async (t) => {
  const checks = openChecks(t, { threadFile: new URL('file:///nowhere/thread.js') })
  t.match(await checks.compile(QUICK, 'ann', newBudget(LONG_MS)), { kind: 'failed', message: /Cannot find module/ })
})

void t.test('there is a thread only while there is work, and it keeps no process', async (t) => {
  const checks = openChecks(t, { idleMs: 1 })
  t.equal(checks.threads, 0)
  await checks.compile(QUICK, 'ann', newBudget(LONG_MS))
  await until(() => checks.threads === 0, 'the thread has gone')
  t.match(await checks.validate(QUICK, { n: 1 }, 'ann', newBudget(LONG_MS)), { faults: [] }, 'and comes again')
  const file = join(ROOT, 'dist/src/executions/json-mode/schema-checks.js')
  const script =
    `const { SchemaChecks, newBudget } = await import(${JSON.stringify(file)})\n` +
    `console.log((await new SchemaChecks().compile({ type: 'object' }, 'ann', newBudget(120_000))).kind)`
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 120_000 })
  t.equal((await run).stdout, 'checked\n')
})

void t.test('slow patterns fail their own runs; the worker goes on', async (t) => {
  const service = await openTestService(t, {
    env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_CONCURRENCY: '4' },
  })
  const answer = (structured_output: unknown) =>
    JSON.stringify([
      {
        line: {
          type: 'result',
          subtype: 'success',
          is_error: false,
          result: '',
          structured_output,
          num_turns: 1,
          usage: {},
          total_cost_usd: 0,
        },
      },
      { eof: true },
    ])
  /** A machine that stops the process does so once; a pattern on its thread would do so each time. */
  async function play(plays: number): Promise<{ ends: Execution[]; besides: Execution; delayMs: number }> {
    const delay = monitorEventLoopDelay({ resolution: 20 })
    delay.enable()
    const hostile = await Promise.all(
      [1, 2].map(() => service.submit({ prompt: answer(ENDLESS), outputSchema: SLOW, maxRepairs: 5 })),
    )
    const beside = await service.submit({ prompt: answer({ n: 1 }), outputSchema: QUICK })
    const ends: Execution[] = await Promise.all(hostile.map(({ id }) => service.finished(id)))
    delay.disable()
    const [besides, delayMs] = [await service.finished(beside.id), delay.max / 1e6]
    const isFine = besides.status === 'succeeded' && delayMs < STOPPED_MS
    return isFine || plays === 1 ? { ends, besides, delayMs } : play(plays - 1)
  }
  const { ends, besides, delayMs } = await play(4)
  for (const end of ends) {
    t.match(end, {
      status: 'failed',
      outcome: {
        code: 'OUTPUT_INVALID',
        message: /was not accepted: outputSchema could not be checked against it within 3 s/,
        result: JSON.stringify(ENDLESS),
        isPartial: true,
        verification: { status: 'failed' },
      },
    })
  }
  t.match(besides, { status: 'succeeded', outcome: { result: { n: 1 } } })
  t.ok(delayMs < STOPPED_MS, `the process was never held up (${Math.round(delayMs)} ms)`)

  await t.test('a list of tasks has an end of schemas, and others are served meanwhile', async (t) => {
    const schema = (index: number) => ({
      type: 'object',
      properties: { [`p${index}`]: { type: 'string', pattern: `x${index}` } },
    })
    const list = (count: number) => ({
      tasks: Array.from({ length: count }, (_, index) => ({ prompt: 'x', outputSchema: schema(index) })),
    })
    t.match(await service.call('POST', '/execute', { body: list(500) }), {
      status: 413,
      body: {
        code: 'PAYLOAD_TOO_LARGE',
        errors: [{ path: 'tasks[100].outputSchema', message: /at most 100 different/ }],
      },
    })
    const broken = list(20)
    broken.tasks[7]!.outputSchema.properties['p7']!.pattern = '('
    t.match(await service.call('POST', '/execute', { body: broken }), {
      status: 400,
      body: { errors: [{ path: 'tasks[7].outputSchema', message: /not a valid JSON Schema/ }] },
    })
    let isDone = false
    const accepted = service.call('POST', '/execute', { body: list(100) }).finally(() => (isDone = true))
    let served = 0
    await until(async () => {
      t.equal((await service.call('GET', '/health/live')).status, 200)
      served += 1
      return isDone
    }, 'it is accepted')
    t.equal((await accepted).status, 202)
    t.ok(served > 3, `others were served (${served})`)
  })
})
