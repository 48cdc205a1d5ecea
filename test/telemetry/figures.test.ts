// The parts of metrics and tracing by themselves, on a real Redis.
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { secretsOfEnvironment } from '../../src/platform/secret-values.js'
import { childEnvironment } from '../../src/claude/command/child-environment.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { toSharedFamilies } from '../../src/telemetry/exposition.js'
import { toEndFigures } from '../../src/telemetry/figure-fields.js'
import { createFigureStore } from '../../src/telemetry/figure-store.js'
import { Figures } from '../../src/telemetry/figures.js'
import { openTracing } from '../../src/telemetry/open-tracing.js'
import { TraceBook } from '../../src/telemetry/trace-book.js'
import { ROOT } from '../support/paths.js'
import { openTestRedis } from '../support/redis.js'

const server = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const base = { CC_EXECUTOR_DATA_DIR: server.directory, LOG_LEVEL: 'silent' }
const config = readConfig({ ...base, CC_EXECUTOR_PREFIX: 'figures' })
const logger = createLogger('silent', 'api')
const { store, redis } = openDomain({ config, redisUrl: server.url, logger, lifetime }, 'keeper')
const figures = createFigureStore(redis, config.prefix)

async function end(model: string): Promise<string> {
  const id = `01900000-0000-7000-8000-${String(Math.random()).slice(2, 14).padEnd(12, '0')}`
  const times = { createdAt: Date.now(), workspace: id, priority: 'normal' } as const
  const request = { prompt: 'x' }
  await store.create({ id, owner: 'o', request, requestDigest: 'd', metadata: {}, simulated: true, ...times }, 1_000)
  const usage = { ...NO_USAGE, inputTokens: 2, costUsd: 0.1 }
  const finishedAt = new Date()
  const seal = { receipt: '{}', finishedSeq: 2, key: { kid: 'k' } as never }
  const told = toEndFigures({
    kind: 'run',
    status: 'failed',
    code: 'QUEUE_TIMEOUT',
    model,
    usage,
    startedAt: undefined,
    finishedAt: 0,
  })
  const outcome = { status: 'failed', code: 'QUEUE_TIMEOUT', message: '' } as const
  const answer = await store.concludeQueued(id, { outcome, usage, attempt: 0, finishedAt }, { ...seal, figures: told })
  t.equal(answer.kind, 'concluded')
  return id
}

void t.test('of more than fifty models the others are one, and their sums are exact', async (t) => {
  for (let number = 0; number < 55; number += 1) await end(`model-${number}|x`)
  const families = toSharedFamilies(await figures.readAll())
  const cost = families.find(({ name }) => name === 'cc_executor_cost_usd_total')?.values ?? []
  t.equal(cost.length, 51)
  t.match(
    cost.find(({ labels }) => labels?.['model'] === 'other'),
    { value: 0.5 },
  )
  t.ok(
    cost.some(({ labels }) => labels?.['model'] === 'model-3|x'),
    'as it is called',
  )
})

void t.test('deliveries of webhooks are told by what became of them', async (t) => {
  await redis.hset('{figures}:webhook-totals', { delivered: 3, attempt_failed: 2, failed: 1 })
  const families = toSharedFamilies(await figures.readAll())
  const { values = [] } = families.find(({ name }) => name === 'cc_executor_webhook_deliveries_total') ?? {}
  const told = Object.fromEntries(values.map(({ labels, value }) => [labels?.['result'], value]))
  t.same(told, { delivered: 3, failed: 2, dead: 1 })
})

void t.test('events of an end are counted once, whenever their worker adds them up', async (t) => {
  const before = (await figures.readAll())['events_total'] ?? 0
  const id = await end('model-1|x')
  t.equal(((await figures.readAll())['events_total'] ?? 0) - before, 2)
  await figures.add({ fields: {}, events: { [id]: 2, '01900000-0000-7000-8000-ffffffffffff': 5 } })
  t.equal(((await figures.readAll())['events_total'] ?? 0) - before, 2, 'also of one that is gone')
  t.equal(await redis.exists('{figures}:log:01900000-0000-7000-8000-ffffffffffff'), 0, 'and nothing is left of it')
})

void t.test('what could not be added is added the next time', async (t) => {
  const counted = new Figures()
  counted.count('executions_total|failed|X|run')
  counted.waited(2)
  const taken = counted.take()
  if (!taken) throw new Error('nothing was counted')
  counted.giveBack(taken)
  counted.waited(3)
  t.match(counted.take()?.fields, {
    'executions_total|failed|X|run': 1,
    'queue_wait_seconds|3': 2,
    'queue_wait_seconds|sum': 5e6,
  })
  t.equal(counted.take(), undefined)
})

void t.test('a name is that of one process at a time, and the lowest that is free', async (t) => {
  t.same([await figures.name('worker', 'a'), await figures.name('worker', 'b')], ['worker-1', 'worker-2'])
  t.equal(await figures.name('worker', 'b'), 'worker-2', 'kept')
  await figures.withdraw('worker-1', 'b')
  t.equal(await figures.name('worker', 'c'), 'worker-3', 'only its own process gives a name back')
  await figures.withdraw('worker-1', 'a')
  t.equal(await figures.name('worker', 'd'), 'worker-1')
})

void t.test('a traceparent that is not valid is none', async (t) => {
  const settings = readConfig({ ...base, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }).tracing
  if (!settings) throw new Error('tracing is off')
  const tracing = openTracing({ settings, process: 'api', logger })
  const [trace, span] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
  for (const traceparent of [
    '',
    'x',
    `00-${trace}-${span}`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace}-${span}-01-more`,
    `ff-${trace}-${span}-01`,
    `00-${trace}-${span}-01, 00-${trace}-${span}-01`,
    `00-${trace.slice(1)}g-${span}-01`,
  ])
    t.equal(tracing.read({ traceparent }), undefined, traceparent)
  for (const [given, kept] of [
    [`00-${trace}-${span}-01`, `00-${trace}-${span}-01`],
    [`00-${trace}-${span}-00`, `00-${trace}-${span}-00`],
    // Of a version that is not known yet what this one has is read.
    [`01-${trace}-${span}-01-more`, `00-${trace}-${span}-01`],
  ] as const)
    t.equal(tracing.read({ traceparent: given })?.traceparent, kept)
  t.match(tracing.read({ traceparent: `00-${trace}-${span}-01`, tracestate: 'a=1,b=2' }), { tracestate: 'a=1,b=2' })
  t.match(
    tracing.begin({ name: 'x', parent: { traceparent: `00-${trace}-${span}-00` } }).carrier.traceparent,
    new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`),
    'what is not sampled stays so, and keeps its trace',
  )
  // Nobody is there to take it.
  tracing.begin({ name: 'x', parent: undefined }).end()
  const begun = performance.now()
  await tracing.close()
  t.ok(performance.now() - begun < 30_000, 'a collector that is gone holds up no end')
})

void t.test(
  'each line that tells of an execution bears its trace; of those that are known the oldest go',
  async (t) => {
    const script = `
    import { createLogger } from '${ROOT}dist/src/platform/logger.js'
    const logger = createLogger('info', 'api', undefined, (id) => (id === 'e' ? 'trace' : undefined))
    logger.info({ executionId: 'e', status: 'x' }, 'one')
    logger.info({ executionId: 'f' }, 'two')
    logger.info('three')`
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
    t.same(
      lines.map((line) => JSON.parse(line).traceId),
      ['trace', undefined, undefined],
    )
    const book = new TraceBook()
    for (let number = 0; number <= 10_000; number += 1)
      book.note(String(number), { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` })
    t.same([book.find('0'), book.find('10000')], [undefined, 'a'.repeat(32)])
  },
)

void t.test('a setting that asks for what is not there stops the start', (t) => {
  const endpoint = { ...base, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' }
  t.match(readConfig(endpoint).tracing, { url: 'http://collector:4318/v1/traces', protocol: 'http/protobuf' })
  t.throws(
    () => readConfig({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }),
    /OTEL_EXPORTER_OTLP_PROTOCOL: expected/,
  )
  t.throws(() => readConfig({ ...base, OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }), /OTEL_EXPORTER_OTLP_ENDPOINT/)
  t.throws(() => readConfig({ ...base, CC_EXECUTOR_METRICS: 'on' }), /CC_EXECUTOR_METRICS/)
  t.equal(readConfig({ ...base, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }).tracing, undefined, 'of others')
  for (const off of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }])
    t.equal(readConfig({ ...endpoint, ...off }).tracing, undefined)
  t.end()
})

void t.test('the CLI gets the trace, and the OTEL_* variables only where the operator says so', (t) => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a-secret-value',
  }
  const settings = {
    env,
    childEnv: [],
    credentials: { method: 'none', message: '' },
    home: '/h',
    tmpDir: '/t',
    bypassAsRoot: false,
  }
  const trace = { traceparent: '00-a-b-01', tracestate: 'c=d' }
  const of = (more: object): Record<string, string> => childEnvironment({ ...settings, ...more } as never)
  t.match(of({ trace }), { TRACEPARENT: '00-a-b-01', TRACESTATE: 'c=d' })
  t.notOk(Object.keys(of({ trace })).some((name) => /^OTEL_|TELEMETRY/.test(name)))
  t.match(of({ hasTelemetry: true }), {
    CLAUDE_CODE_ENABLE_TELEMETRY: '1',
    CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: '1',
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer a-secret-value',
  })
  t.notOk(of({ hasTelemetry: true, env: {} })['CLAUDE_CODE_ENABLE_TELEMETRY'], 'nowhere to send it')
  t.ok(secretsOfEnvironment(env, []).includes('a-secret-value'), 'and no event shows the headers')
  t.end()
})
