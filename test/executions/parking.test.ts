// A run that meets its budget is parked and goes on when that is raised: with the real CLI, over every way in.
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { Redis } from 'ioredis'
import { socketOf } from '../../src/platform/redis-url.js'
import { reportExecution } from '../../src/mcp/report-execution.js'
import type { EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { startCli } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { withinDay } from '../support/within-day.js'

const service = await openTestService(t, {
  env: { CC_EXECUTOR_MAX_BUDGET_USD: '50', CC_EXECUTOR_CONCURRENCY: '4' },
})
const { call } = service

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command } })
/** Two calls that leave a mark each; every reply costs more than a tenth of a dollar, and counts 21,000 tokens. */
const dear = { usage: { inputTokens: 1_000, outputTokens: 20_000, cacheCreationInputTokens: 0 } }
const TWO_MARKS = scripted(
  { text: 'I begin.' },
  dear,
  bash('echo one >> marks'),
  { text: 'And on.' },
  dear,
  bash('echo two >> marks'),
  { text: 'The end.' },
)
const submit = (more: Record<string, unknown>): Promise<Execution> =>
  service.submit({ prompt: TWO_MARKS, allowedTools: ['Bash'], onBudgetExceeded: 'pause', ...more })
const look = async (id: string): Promise<Execution> => (await call('GET', `/executions/${id}`)).body
const setBudget = (id: string, body: unknown) => call('PUT', `/executions/${id}/budget`, { body })
const say = (id: string, body: unknown) => call('POST', `/executions/${id}/messages`, { body })
const messagesOf = async (id: string) => (await call('GET', `/executions/${id}/messages`)).body.messages
const typesOf = async (id: string): Promise<EventType[]> =>
  (await service.events(id)).map(({ type }) => type).filter((type) => type.startsWith('execution.'))
const marksOf = async ({ workspace }: Execution): Promise<string[]> =>
  (await readFile(join(service.directory, 'data/workspaces', workspace, 'marks'), 'utf8')).trim().split('\n')

/** Calls by JSON-RPC, one at a time. */
async function openSocket(t: Test, url: string, token: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${token}` } })
  t.teardown(() => Promise.resolve(socket.terminate()))
  await once(socket, 'open')
  return async (method: string, params: unknown): Promise<unknown> => {
    const answered = once(socket, 'message')
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
    return JSON.parse(String((await answered)[0]))
  }
}

void t.test('a run that has spent its budget is parked, and goes on where it was when that is raised', async (t) => {
  const asked = await submit({ workspace: 'kept', maxBudgetUsd: 0.1, timeoutSeconds: 300 })
  const { id } = asked
  const parked = await service.until(id, 'execution.parked')
  t.match(parked.data, { reason: 'budget', until: String, message: /budget/ })
  t.equal(Math.round((Date.parse(parked.data.until) - Date.parse(parked.at)) / 1_000), 86_400)
  const execution = await look(id)
  t.match(execution, {
    status: 'waiting_budget',
    waitingFor: 'budget',
    parkedUntil: parked.data.until,
    attempt: 1,
    budget: { usd: 0.1 },
  })
  t.equal(execution.workerId, undefined)
  t.match(
    reportExecution(execution).text,
    new RegExp(`budget is used up.*To continue it, raise its budget: cc-executor budget ${id} `, 's'),
    'an agent is told what it takes',
  )

  await t.test('it holds its session and its workspace, and nothing else', async (t) => {
    t.match((await call('GET', '/queue')).body, { running: 0, depth: 0, waitingForBudget: 1, waitingForApproval: 0 })
    t.match((await call('GET', '/executions?status=waiting_budget')).body.executions, [{ id }])
    const other = await service.submit({ prompt: 'next', workspace: 'kept' })
    t.match((await call('POST', '/execute', { body: { prompt: 'x', session: { resume: id } } })).body, {
      code: 'SESSION_BUSY',
    })
    t.match(await look(other.id), { status: 'queued' })
    t.match((await call('POST', `/executions/${id}/pause`)).body, { code: 'NOT_RUNNING', detail: /waiting_budget/ })
    t.match((await call('DELETE', `/executions/${id}`)).body, { code: 'NOT_FINISHED', detail: /waiting_budget/ })
    t.equal((await call('POST', `/executions/${other.id}/cancel`)).status, 202)
  })

  await t.test('a limit that leaves nothing, or that nobody may spend, is refused', async (t) => {
    t.match(await setBudget(id, { maxBudgetUsd: 50.5 }), { status: 403, body: { code: 'FORBIDDEN', detail: /50/ } })
    t.match(await setBudget(id, { maxBudgetUsd: 0.1 }), {
      status: 400,
      body: { code: 'INVALID_REQUEST', errors: [{ path: 'maxBudgetUsd', message: /more than it has spent/ }] },
    })
    t.match(await setBudget(id, {}), { status: 400, body: { code: 'INVALID_REQUEST' } })
    t.match(await setBudget(id, { maxBudgetTokens: 1e9 }), { status: 200, body: { status: 'waiting_budget' } })
  })

  t.match((await say(id, { text: 'said while it was parked' })).body, { status: 'accepted' })
  const { followUpId } = (await say(id, { text: scripted({ text: 'the next' }), delivery: 'follow_up' })).body
  t.match(await look(followUpId), { status: 'queued', waitingFor: 'session' }, 'a follow-up waits for its end')
  t.match((await service.events(id)).slice(-2), [{ type: 'message.accepted' }, { type: 'message.accepted' }])

  const answers = await Promise.all([setBudget(id, { maxBudgetUsd: 20 }), setBudget(id, { maxBudgetUsd: 30 })])
  t.same(
    answers.map(({ status }) => status),
    [200, 200],
  )
  const done = await service.finished(id)
  t.match(done, { status: 'succeeded', attempt: 2, outcome: { result: 'The end.' }, budget: { tokens: 1e9 } })
  // The newer CLI may end between a reply and its call: then the call was not made, and the model is told so.
  const marks = await marksOf(done)
  t.ok(['one,two', 'two'].includes(marks.join()), `nothing is done again: ${marks.join()}`)
  const said = service.simulator.requests.flatMap((request) => request.said ?? []).join()
  t.ok(marks.length === 2 || said.includes('- Bash {"command":"echo one >> marks"}'), 'done, or named as not done')
  const types = await typesOf(id)
  t.same(
    types.filter((type) => !/budget_changed/.test(type)),
    [
      'execution.queued',
      'execution.started',
      'execution.parked',
      'execution.unparked',
      'execution.started',
      'execution.finished',
    ],
    'once, whoever raises it at the same time',
  )
  t.equal(types.filter((type) => type === 'execution.budget_changed').length, 3)
  t.match((await service.until(id, 'execution.unparked')).data, { reason: 'budget', by: 'default' })
  t.match((await service.until(id, 'execution.started', 2)).data, { resumed: true, sessionId: execution.sessionId })
  t.match((await call('GET', '/queue')).body, { waitingForBudget: 0 })
  t.match(await messagesOf(id), [{ status: 'delivered' }, { followUpId }], 'a message is delivered when it goes on')
  t.match(said, 'said while it was parked')
  const followed = { status: 'succeeded', resumedFrom: id, outcome: { result: 'the next' } }
  t.match(await service.finished(followUpId), followed)

  await t.test('its receipt says who has changed the budget, and when', async (t) => {
    const receipt = (await call('GET', `/executions/${id}/receipt`)).text
    const { budgetChanges } = JSON.parse(receipt)
    t.match(budgetChanges, [{ maxBudgetTokens: 1e9, by: 'default', at: String }, { maxBudgetUsd: Number }, {}])
    t.equal(budgetChanges.length, 3)
    const verify = async (text: string) => (await call('POST', '/receipts/verify', { body: { receipt: text } })).body
    t.match(await verify(receipt), { valid: true })
    t.match(await verify(receipt.replace('"maxBudgetUsd":20', '"maxBudgetUsd":21')), {
      valid: false,
      mismatches: [{ name: 'budgetChanges' }],
    })
    const headers = { accept: 'text/markdown' }
    const markdown = (await call('GET', `/executions/${id}/receipt`, { headers })).text
    t.match(markdown, /budget changes \|.*\$20 by `default` at 20/)
  })
})

void t.test(
  'a run over its tokens is interrupted; it goes on after a restart of everything, by JSON-RPC',
  async (t) => {
    // Its tool waits, or a slow machine might see its last word before the interruption.
    const prompt = TWO_MARKS.replace('echo two', 'while [ ! -e go ]; do sleep 0.1; done; echo two')
    const { id, workspace } = await submit({ prompt, maxBudgetTokens: 25_000 })
    t.match((await service.until(id, 'execution.parked')).data, { message: /25000 tokens/ })
    await writeFile(join(service.directory, 'data/workspaces', workspace, 'go'), '')
    await Promise.all([...service.apis, ...service.workers].map((part) => part.close()))
    service.apis.length = 0
    await Promise.all([service.openApi(), service.openWorker()])
    t.match(await look(id), { status: 'waiting_budget', attempt: 1 })
    const socket = await openSocket(t, service.url(), service.token)
    t.match(await socket('execution.budget', { executionId: id, maxBudgetTokens: 42_000 }), {
      error: { data: { code: 'INVALID_REQUEST', errors: [{ path: 'maxBudgetTokens', message: /used so far/ }] } },
    })
    t.match(await socket('execution.budget', { executionId: id, maxBudgetTokens: 1e6 }), {
      result: { status: 'queued' },
    })
    const done = await service.finished(id)
    t.match(done, { status: 'succeeded', attempt: 2, outcome: { result: 'The end.' } })
    t.ok((await marksOf(done)).filter((mark) => mark === 'one').length <= 1)
    const said = service.simulator.requests.flatMap((request) => request.said ?? [])
    t.ok(said.some((text) => text.includes('its budget was used up')))
  },
)

void t.test('with a CLI that is no more than it must be', async (t) => {
  for (const worker of service.workers.splice(0)) await worker.close()
  await service.openWorker({ CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI })
  const INIT = { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } }
  const RESULT = {
    line: { type: 'result', subtype: 'success', is_error: false, result: 'done', num_turns: 1, usage: {} },
  }
  const spending = (...steps: unknown[]): string => JSON.stringify([INIT, ...steps, { spend: 0.5 }, RESULT])
  const DEAR = { prompt: spending(), maxBudgetUsd: 0.1, onBudgetExceeded: 'pause' }

  await t.test('what is parked is cancelled at once, ends by itself in time, and its timeout goes on', async (t) => {
    const [cancelled, expired, late] = await Promise.all([
      service.submit(DEAR),
      service.submit({ ...DEAR, budgetTimeoutSeconds: 0.001 }),
      service.submit({
        ...DEAR,
        prompt: JSON.stringify([INIT, { spend: 0.5 }, { hang: true }]),
        timeoutSeconds: 3_000,
      }),
    ])
    for (const { id } of [cancelled, expired, late]) await service.until(id, 'execution.parked')
    await say(cancelled.id, { text: 'nobody reads it' })
    t.match(await call('POST', `/executions/${cancelled.id}/cancel`), { body: { status: 'cancelled' } })
    t.match(await messagesOf(cancelled.id), [{ status: 'dropped', reason: 'cancelled' }])
    t.match(await service.finished(expired.id), {
      status: 'failed',
      outcome: { code: 'BUDGET_EXCEEDED', message: /not raised/ },
    })
    t.match(await setBudget(expired.id, { maxBudgetUsd: 9 }), { status: 409, body: { code: 'ALREADY_FINISHED' } })
    const keys = new Redis(socketOf(service.redis.url) ?? '')
    t.teardown(() => keys.disconnect())
    t.ok(Number(await keys.hget(`{cc}:execution:${late.id}`, 'ranMs')) > 0, 'it has counted until then')
    await keys.hset(`{cc}:execution:${late.id}`, 'ranMs', 3_000_000)
    t.equal((await setBudget(late.id, { maxBudgetUsd: 9 })).status, 200)
    t.match(await service.finished(late.id), { status: 'timed_out', attempt: 2 }, 'it had no time left')
  })

  await t.test('a task of a list is parked by itself; the list waits, and its cancel ends both', async (t) => {
    const list = await service.submit({
      tasks: [DEAR.prompt, 'and then'],
      maxBudgetUsd: 0.1,
      onBudgetExceeded: 'pause',
    })
    const { executionId: task } = (await service.until(list.id, 'task.started')).data
    await service.until(task, 'execution.parked')
    t.match(await look(list.id), { status: 'running', tasks: [{ id: task, status: 'waiting_budget' }] })
    const listed = (await call('GET', '/executions?status=waiting_budget')).body.executions
    t.match(listed, [{ id: task, kind: 'task', parentId: list.id }], 'for whoever asks what waits')
    t.notMatch((await call('GET', '/executions')).body.executions, [{ id: task }], 'and not among the others')
    t.match(await setBudget(list.id, { maxBudgetUsd: 9 }), { status: 409, body: { code: 'NOT_RUNNING', detail: task } })
    const env = { ...service.environment, CC_EXECUTOR_URL: service.url(), CC_EXECUTOR_TOKEN: service.token }
    const raised = startCli(t, ['budget', task, '--max-budget-usd', '9'], env)
    await raised.said(new RegExp(`${task} queued`))
    t.match(await service.finished(list.id), { status: 'succeeded', tasks: [{ id: task }, {}] })
    t.same((await call('GET', '/executions?status=waiting_budget')).body.executions, [])

    const other = await service.submit({ tasks: [DEAR.prompt], maxBudgetUsd: 0.1, onBudgetExceeded: 'pause' })
    const { executionId: parked } = (await service.until(other.id, 'task.started')).data
    await service.until(parked, 'execution.parked')
    await call('POST', `/executions/${other.id}/cancel`)
    t.match(await service.finished(other.id), { status: 'cancelled' })
    t.match(await look(parked), { status: 'cancelled' })
  })

  await t.test('the limit of a run that is raised in time is not its end, whatever it says of that', async (t) => {
    const go = join(service.directory, 'go')
    const { id } = await service.submit({ prompt: spending({ file: go }), maxBudgetUsd: 0.1 })
    await service.until(id, 'claude.message')
    t.match(await setBudget(id, { maxBudgetUsd: 9 }), { status: 200, body: { status: 'running', budget: { usd: 9 } } })
    await service.until(id, 'execution.budget_changed')
    await writeFile(go, '')
    t.match(await service.finished(id), { status: 'succeeded', attempt: 2 })
    t.match((await service.until(id, 'execution.retrying')).data, { reason: 'BUDGET_EXCEEDED' })
  })

  await t.test('at the daily limit of its token it says when it goes on, and starts no day twice', async (t) => {
    await withinDay()
    const made = await call('POST', '/tokens', {
      body: { name: 'poor', scopes: ['execute', 'read'], dailyBudgetUsd: 0.1 },
    })
    const headers = { authorization: `Bearer ${made.body.secret}` }
    const body = { prompt: spending(), onBudgetExceeded: 'pause' }
    const { id } = (await call('POST', '/execute', { body, headers })).body
    const nextDay = new Date((Math.floor(Date.now() / 86_400_000) + 1) * 86_400_000).toISOString()
    const parked = (await call('GET', `/executions/${id}/events?types=execution.parked&waitSeconds=50`, { headers }))
      .body
    t.match(parked.events, [{ data: { reason: 'budget', notBefore: nextDay, message: /daily budget/ } }])
    t.match((await call('GET', `/executions/${id}`, { headers })).body, {
      notBefore: nextDay,
      status: 'waiting_budget',
    })
    t.match((await call('GET', '/usage', { headers })).body.budget.usd, { limit: 0.1, spent: 0.5, reserved: 0 })
    const path = `/executions/${id}/budget`
    t.match(await call('PUT', path, { body: { maxBudgetUsd: 5 }, headers }), {
      status: 429,
      body: { code: 'BUDGET_EXCEEDED', budget: { resetsAt: nextDay } },
    })
    t.equal((await call('POST', `/executions/${id}/cancel`, { headers })).status, 202)
    t.match((await call('GET', '/usage', { headers })).body.budget.usd, { spent: 0.5, reserved: 0 })
  })
})
