// A run that meets its budget is parked and goes on when that is raised: with the real CLI, over every way in.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'

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
const typesOf = async (id: string): Promise<EventType[]> =>
  (await service.events(id)).map(({ type }) => type).filter((type) => type.startsWith('execution.'))
const marksOf = async ({ workspace }: Execution): Promise<string[]> =>
  (await readFile(join(service.directory, 'data/workspaces', workspace, 'marks'), 'utf8')).trim().split('\n')

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

  const answers = await Promise.all([setBudget(id, { maxBudgetUsd: 20 }), setBudget(id, { maxBudgetUsd: 30 })])
  t.same(
    answers.map(({ status }) => status),
    [200, 200],
  )
  const done = await service.finished(id)
  t.match(done, { status: 'succeeded', attempt: 2, outcome: { result: 'The end.' }, budget: { tokens: 1e9 } })
  t.same(await marksOf(done), ['one', 'two'], 'what was done is not done again')
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
