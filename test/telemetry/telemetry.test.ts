// Metrics and traces of a whole service: what Prometheus reads of it, and what a collector gets of one execution.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { submitHeld } from '../support/held-run.js'
import { openOtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { readSamples, sumOf, type Samples } from './samples.js'
import { once, repeat, until } from '../support/deadlines.js'

// Read by OpenTelemetry's own packages.
process.env['OTEL_BSP_SCHEDULE_DELAY'] = '100'
const TOKENS = { ops: 'ops-0123456789abcdef', reader: 'reader-0123456789abcdef', runner: 'runner-0123456789abcdef' }
const CALLER = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }
const CONCLUDED = { 'queue wait': 1, 'invoke_agent claude': 1, conclusion: 1 }

const OVERLOADED = {
  type: 'result',
  subtype: 'success',
  is_error: true,
  api_error_status: 529,
  result: 'API Error: Repeated 529 Overloaded errors. The API is at capacity',
}

const collector = await openOtlpReceiver(t)
const service = await openTestService(t, {
  workers: 0,
  env: {
    CC_EXECUTOR_TOKENS: `ops=${TOKENS.ops},reader=${TOKENS.reader}:read,runner=${TOKENS.runner}:execute`,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20of-the-collector',
    CC_EXECUTOR_CLI_TELEMETRY: 'true',
  },
})
const authorization = `Bearer ${TOKENS.ops}`
const call: typeof service.call = (method, path, { headers, ...options } = {}) =>
  service.call(method, path, { ...options, headers: { authorization, ...headers } })
const submit = async (body: Record<string, unknown>, headers: Record<string, string> = {}): Promise<Execution> => {
  const answer = await call('POST', '/execute', { body, headers })
  if (answer.status !== 202) throw new Error(answer.text)
  return answer.body
}
async function finished(id: string): Promise<Execution> {
  return repeat(async () => {
    await call('GET', `/executions/${id}/events?types=execution.finished&waitSeconds=30`)
    const { body } = await call('GET', `/executions/${id}`)
    return body.outcome === undefined ? undefined : body
  }, `${id} ends`)
}
const only = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan => {
  const found = spans.filter((span) => span.name === name)
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} spans ${name}`)
  return found[0]
}
async function scrape(api = 0): Promise<Samples> {
  const answer = await call('GET', '/metrics', { api })
  t.match([answer.status, answer.headers.get('content-type')], [200, 'text/plain; version=0.0.4; charset=utf-8'])
  return readSamples(answer.text)
}

const interactions = () => collector.spans.filter(({ name }) => name === 'claude_code.interaction')

void t.test('one trace leads from a caller over queue and worker to the spans of the CLI', async (t) => {
  for (const { name, env } of listClaudeVersions()) {
    const worker = await service.openWorker(env)
    // The second trace, where there is another CLI.
    const traceId = CALLER.trace.replace(/^../, env['CC_EXECUTOR_CLAUDE_BIN']?.includes('197') ? '1b' : '0a')
    for (const sandbox of ['workspace', 'locked']) {
      const trace = sandbox === 'locked' ? traceId.replace(/..$/, 'ff') : traceId
      const seen = interactions().length
      const { id } = await submit(
        { prompt: 'Say hello', sandbox },
        { traceparent: `00-${trace}-${CALLER.span}-01`, tracestate: 'vendor=value' },
      )
      t.match(await finished(id), { traceId: trace, outcome: { status: 'succeeded' } })
      await until(() => interactions().length > seen, 'the CLI has told of its turn', 60_000)
      // Or what is waited for next would not come.
      if (!t.equal(interactions().at(-1)?.traceId, trace, `${name} tells of it in the trace of the caller`)) return
      const spans = await collector.until(trace, {
        'POST /execute': 1,
        ...CONCLUDED,
        'claude_code.interaction': 1,
        'claude_code.llm_request': 1,
      })
      const request = only(spans, 'POST /execute')
      const run = only(spans, 'invoke_agent claude')
      const interaction = only(spans, 'claude_code.interaction')
      t.match(request, { parentSpanId: CALLER.span, process: 'api', service: 'cc-executor' })
      t.equal(request.traceState, 'vendor=value')
      for (const below of ['queue wait', 'invoke_agent claude', 'conclusion'])
        t.match(only(spans, below), { parentSpanId: request.spanId, process: 'worker', isError: false }, below)
      t.equal(interaction.parentSpanId, run.spanId, `${name} goes on with the span of its attempt`)
      t.equal(only(spans, 'claude_code.llm_request').parentSpanId, interaction.spanId)
      t.match(run.attributes, {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.provider.name': 'anthropic',
        'gen_ai.usage.output_tokens': Number,
        'cc_executor.execution.id': id,
      })
    }
    t.same([...new Set(collector.headers)], ['Bearer of-the-collector'], 'also of a run that does not see them')
    await worker.close()
  }
})

void t.test('another attempt, a task and a follow-up stand in the trace of what they belong to', async (t) => {
  await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI })
  await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI })
  // It waits some seconds for its second attempt.
  const unlucky = await submit(
    { prompt: JSON.stringify([{ line: OVERLOADED }]), maxAttempts: 2 },
    { traceparent: `ff-${CALLER.trace}-${CALLER.span}-01` },
  )
  t.match(unlucky.traceId, /^[0-9a-f]{32}$/)
  t.not(unlucky.traceId, CALLER.trace, 'an unknown version is none')

  const held = await submitHeld(service.directory, (prompt) => submit({ prompt }))
  const steered = await call('POST', `/executions/${held.id}/messages`, { body: { text: 'x', delivery: 'follow_up' } })
  await held.release()
  await finished(held.id)
  const followUp = await finished(steered.body.followUpId)
  t.equal(followUp.traceId, held.traceId)
  const spans = await collector.until(held.traceId ?? '', { conclusion: 2, 'POST /executions/:id/messages': 1 })
  t.match(only(spans, 'POST /executions/:id/messages'), { parentSpanId: only(spans, 'POST /execute').spanId })

  const tasks = await finished((await submit({ tasks: ['one', 'two'] })).id)
  const traces = await Promise.all(
    (tasks.tasks ?? []).map(async ({ id }) => (await call('GET', `/executions/${id}`)).body.traceId as string),
  )
  // Or their spans would not come.
  if (!t.same(traces, [tasks.traceId, tasks.traceId], 'its tasks are in its trace')) return
  const below = await collector.until(tasks.traceId ?? '', { 'invoke_agent claude': 2, conclusion: 3 })
  const { spanId } = only(below, 'POST /execute')
  t.same(
    below
      .filter(({ name }) => name === 'invoke_agent claude')
      .map(({ parentSpanId, attributes }) => [parentSpanId, attributes['cc_executor.task.index']]),
    [
      [spanId, 0],
      [spanId, 1],
    ],
  )

  t.match(await finished(unlucky.id), { attempt: 2, traceId: unlucky.traceId })
  const tried = await collector.until(unlucky.traceId ?? '', {
    'queue wait': 2,
    'invoke_agent claude': 2,
    conclusion: 1,
  })
  const request = only(tried, 'POST /execute')
  t.equal(request.parentSpanId, undefined, 'a trace of its own')
  for (const name of ['queue wait', 'invoke_agent claude'])
    t.same(
      tried
        .filter((span) => span.name === name)
        .map(({ parentSpanId, attributes }) => [parentSpanId, attributes['cc_executor.attempt']]),
      [
        [request.spanId, 1],
        [request.spanId, 2],
      ],
      name,
    )
})

void t.test('what fails is an error in its trace; a call of a socket stands in that of its connection', async (t) => {
  const refused = await call('POST', '/execute', {
    body: { command: 'rm -rf /' },
    headers: { traceparent: `00-${'c'.repeat(32)}-${CALLER.span}-01` },
  })
  t.equal(refused.status, 400)
  t.match(await collector.until('c'.repeat(32), { 'POST /execute': 1 }), [{ isError: true }])
  const socket = new WebSocket(`${service.url().replace('http', 'ws')}/ws`, {
    headers: { authorization, traceparent: `00-${'d'.repeat(32)}-${CALLER.span}-01` },
  })
  await once(socket, 'open')
  const answered = once(socket, 'message')
  const params = { prompt: '[{"exit":3}]', subscribe: false }
  socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execute', params }))
  const [data] = (await answered) as [Buffer]
  const { result } = JSON.parse(data.toString()) as { result: Execution }
  t.match(await finished(result.id), { traceId: 'd'.repeat(32), outcome: { status: 'failed' } })
  const spans = await collector.until('d'.repeat(32), { execute: 1, ...CONCLUDED })
  t.match(only(spans, 'execute'), { parentSpanId: CALLER.span })
  t.match(only(spans, 'invoke_agent claude'), { isError: true, attributes: { 'error.type': 'CLAUDE_EXITED' } })
  socket.close()
})

void t.test('a collector that is slow or gone loses its spans, and keeps no execution waiting', async (t) => {
  collector.answer('never')
  t.match(await finished((await submit({ prompt: 'slow' })).id), { outcome: { status: 'succeeded' } })
  collector.answer(503)
  t.match(await finished((await submit({ prompt: 'down' })).id), { outcome: { status: 'succeeded' } })
  collector.answer(200)
})

void t.test('totals are exact, whoever has counted them, and each process tells of itself', async (t) => {
  // By itself it has none of the runs of the tests before.
  if (service.workers.length === 0) {
    for (let count = 0; count < 2; count += 1) await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI })
    await finished((await submit({ prompt: '[{"exit":3}]' })).id)
  }
  // Nothing runs: all that there is has ended.
  const all: Execution[] = (await call('GET', '/executions?limit=100')).body.executions
  const tasks = await Promise.all(
    all
      .filter(({ kind }) => kind === 'task_list')
      .map(async ({ id }) => {
        const list: Execution = (await call('GET', `/executions/${id}`)).body
        return Promise.all((list.tasks ?? []).map(async (task) => (await call('GET', `/executions/${task.id}`)).body))
      }),
  )
  const executions: Execution[] = [...new Map([...all, ...tasks.flat()].map((each) => [each.id, each])).values()]
  const runs = executions.filter(({ kind, startedAt }) => kind !== 'task_list' && startedAt !== undefined)
  // What is not written with an end is added up once a second.
  const waits = async (): Promise<number> => sumOf(await scrape(), 'cc_executor_queue_wait_seconds_count')
  await until(async () => (await waits()) === runs.length, 'the workers have added up')
  const samples = await scrape()
  const count = (kind: string): number => executions.filter((execution) => execution.kind === kind).length
  for (const kind of ['run', 'task', 'task_list'])
    t.equal(sumOf(samples, 'cc_executor_executions_total', { kind }), count(kind), kind)
  t.equal(sumOf(samples, 'cc_executor_executions_total', { status: 'failed', code: 'CLAUDE_EXITED' }), 1)
  const events = executions.reduce((sum, { lastSeq }) => sum + lastSeq, 0)
  t.equal(sumOf(samples, 'cc_executor_events_total'), events)
  t.equal(sumOf(samples, 'cc_executor_execution_duration_seconds_count'), runs.length)
  const spent = runs.reduce((sum, { usage }) => sum + usage.outputTokens, 0)
  t.equal(sumOf(samples, 'cc_executor_tokens_total', { direction: 'output' }), spent)
  t.equal(sumOf(samples, 'cc_executor_workers'), 2)
  t.equal(sumOf(samples, 'cc_executor_redis_up'), 1)
  t.ok(sumOf(samples, 'cc_executor_event_append_seconds_count') > 0)
  t.ok(sumOf(samples, 'cc_executor_http_request_duration_seconds_count', { route: '/execute', status: '202' }) > 0)
  const processes = samples.filter(({ name }) => name === 'process_resident_memory_bytes')
  t.same(new Set(processes.map(({ labels }) => labels['process'])), new Set(['api-1', 'worker-1', 'worker-2']))
})

void t.test('what the alerts and the dashboard ask for is there', async (t) => {
  const { text } = await call('GET', '/metrics')
  // Counted as soon as there are webhooks.
  const later = ['cc_executor_webhook_deliveries_total']
  for (const file of ['alerts.yml', 'dashboard.json']) {
    const asked = await readFile(join(ROOT, 'deployment/monitoring', file), 'utf8')
    const names = new Set([...asked.matchAll(/\b(?:cc_executor|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name))
    t.ok(names.size > 5, file)
    for (const name of names)
      t.ok(later.includes(name) || new RegExp(`^${name}[ {]`, 'm').test(text), `${file}: ${name}`)
  }
})

void t.test('no label has values that callers could add without end', async (t) => {
  await call('GET', '/nothing/here?x=1')
  await call('GET', '/executions/01900000-0000-7000-8000-000000000000')
  const names = new Set((await scrape()).flatMap(({ name, labels }) => Object.keys(labels).map((one) => [name, one])))
  const labels = new Set([...names].map(([, label]) => label))
  const known =
    'status code kind direction model le priority state credential transport route method process type space result'
  for (const label of labels)
    t.ok(`${known} version major minor patch`.split(' ').includes(label ?? ''), `${label} is one of a few values`)
  const routes = (await scrape()).flatMap(({ labels: { route } }) => route ?? [])
  t.ok(routes.includes('/executions/:id'), 'a path as it is documented')
  t.notOk(routes.some((route) => /nothing|0190/.test(route)))
})

void t.test('who may read metrics is what the setting says', async (t) => {
  const ask = async (token: string | undefined, api = 0): Promise<number> =>
    (
      await fetch(`${service.url(api)}/metrics`, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      })
    ).status
  t.same([await ask(undefined), await ask(TOKENS.runner), await ask(TOKENS.reader)], [401, 403, 200])
  await service.openApi({ CC_EXECUTOR_METRICS: 'open' })
  await service.openApi({ CC_EXECUTOR_METRICS: 'off', OTEL_EXPORTER_OTLP_ENDPOINT: '' })
  t.same([await ask(undefined, 1), await ask(undefined, 2), await ask(TOKENS.ops, 2)], [200, 401, 404])
})

void t.test('a worker that is gone is counted no more, and its name is free again', async (t) => {
  const [, , worker] = service.workers
  await worker?.close()
  await until(async () => sumOf(await scrape(), 'cc_executor_workers') === 1, 'one is left')
  const left = (await scrape()).filter(({ name }) => name === 'process_resident_memory_bytes')
  t.equal(left.length, 2)
})

void t.test('without Redis a process still says so, and what it knows by itself', async (t) => {
  await Promise.all(service.workers.map((worker) => worker.close()))
  await service.redis.close()
  await until(async () => sumOf(await scrape(), 'cc_executor_redis_up') === 0, 'it is seen')
  const samples = await scrape()
  t.equal(sumOf(samples, 'cc_executor_workers'), 0)
  t.ok(sumOf(samples, 'cc_executor_http_request_duration_seconds_count') > 0)
})
