// How many commands one call sends to Redis: a bound by count, which no slow machine moves.
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { cancelExecution } from '../../src/executions/control/cancel-execution.js'
import { sendMessage } from '../../src/executions/control/send-message.js'
import { getExecution } from '../../src/executions/read/find-execution.js'
import type { Retry } from '../../src/executions/store/transitions.js'
import { submitExecution } from '../../src/executions/submit/submit-execution.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Scope } from '../../src/protocol/caller.js'
import type { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { getQueueState } from '../../src/executions/read/queue-state.js'
import { NO_USAGE, type Execution } from '../../src/protocol/execution.js'
import { openTestRedis, type TestRedis } from '../support/redis.js'
import { startRecord } from '../support/start-record.js'
import { once } from '../support/deadlines.js'

const caller = { id: 'tester', name: 'tester', scopes: new Set<Scope>(['read', 'execute']) }

/** A record is read by three commands in one round trip. */
const LOOK = 3
/** A list by two more: its tasks, and the state of the last one. */
const LOOK_AT_LIST = 4
/** The words of a line of MONITOR that a client has sent; what scripts do in Redis is not sent. */
const SENT = /^\+[\d.]+ \[\d+ (?!lua\])[^\]]*\] "(\w+)"(?: "([^"]*)")?/

/** What is sent while something runs, by the name of the command. */
async function openCounter(t: Test, { directory, url }: TestRedis) {
  const marker = new Redis(url)
  const socket = connect(join(directory, 'redis.sock'))
  t.teardown(async () => {
    marker.disconnect()
    socket.destroy()
  })
  const lines = createInterface(socket)
  socket.write('MONITOR\r\n')
  await once(lines, 'line')
  /** Until Redis shows a command that was sent now. */
  async function pass(): Promise<void> {
    const mark = randomUUID()
    const shown = new Promise<void>((resolve) => {
      const look = (line: string): void => {
        if (!line.includes(mark)) return
        lines.off('line', look)
        resolve()
      }
      lines.on('line', look)
    })
    await marker.echo(mark)
    await shown
  }
  return async function count<Answer>(act: () => Promise<Answer>): Promise<{ answer: Answer; sent: string[] }> {
    const sent: string[] = []
    const note = (line: string): void => {
      const command = SENT.exec(line)?.[1]?.toLowerCase()
      if (command !== undefined && command !== 'echo') sent.push(command)
    }
    await pass()
    lines.on('line', note)
    try {
      const answer = await act()
      await pass()
      return { answer, sent }
    } finally {
      lines.off('line', note)
    }
  }
}

async function openScene(t: Test) {
  const redis = await openTestRedis(t)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
  const services = openDomain(
    { config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime },
    'keeper',
  )
  const count = await openCounter(t, redis)
  const submit = async () => submitExecution(services, { prompt: 'x' }, caller)
  // Connections are opened, scripts are loaded, and what a process looks up once is known.
  const { execution } = await submit()
  await cancelExecution(services, execution.id, caller)
  await services.outlook()
  return { services, count, submit }
}

void t.test('the answer to a cancel is what the record then is, without another look at it', async (t) => {
  const { services } = await openScene(t)
  const { store } = services
  const submit = async (request: ExecuteRequest) => (await submitExecution(services, request, caller)).execution.id
  const sameAsRead = async (id: string, message: string): Promise<void> => {
    const { execution } = await cancelExecution(services, id, caller, message)
    t.equal(execution.status, 'cancelled')
    t.equal(execution.waitingFor, undefined, 'what has ended waits for nothing')
    t.equal(execution.notBefore, undefined)
    const read = await getExecution(services, id, caller)
    t.same(JSON.parse(JSON.stringify(execution)), JSON.parse(JSON.stringify(read)), message)
  }
  await sameAsRead(await submit({ prompt: 'x', metadata: { a: 'b' }, maxBudgetUsd: 1 }), 'queued')
  const run = async (request: ExecuteRequest) => {
    const id = await submit(request)
    const claim = await store.claim(id, 1, 'worker', 60_000, 'default')
    if (claim.kind !== 'claimed') throw new Error(claim.kind)
    await startRecord(store, id, claim.fence)
    return { id, fence: claim.fence }
  }
  const later = new Date(Date.now() + 3_600_000)
  const retry: Retry = {
    reason: 'CLAUDE_RATE_LIMITED',
    message: '',
    usage: NO_USAGE,
    attempt: 1,
    spared: 0,
    at: new Date(),
  }
  const holder = await run({ prompt: 'x', workspace: 'shared' })
  const second = await submit({ prompt: 'x', workspace: 'shared' })
  t.equal((await store.claim(second, 1, 'worker', 60_000, 'default')).kind, 'parked')
  await sameAsRead(second, 'waits for a workspace')
  const third = await submit({ prompt: 'x', workspace: 'shared' })
  await sendMessage(services, third, { text: 'and this' }, caller)
  await sameAsRead(third, 'a message was pending, so the end is written at the second try')
  await store.retry(holder.id, holder.fence, { ...retry, notBefore: later })
  t.match(await getExecution(services, holder.id, caller), { status: 'queued', waitingFor: 'retry' })
  await sameAsRead(holder.id, 'waits for its next attempt')
  const parked = await run({ prompt: 'x', maxBudgetUsd: 1 })
  await store.retry(parked.id, parked.fence, { ...retry, parked: { reason: 'budget', until: later, notBefore: later } })
  t.match(await getExecution(services, parked.id, caller), { status: 'waiting_budget', waitingFor: 'budget' })
  await sameAsRead(parked.id, 'parked')
})

void t.test('so is the answer to a cancel of a list: its last event is that of the cancel', async (t) => {
  const { services, count } = await openScene(t)
  const { store } = services
  const read = async (id: string) => JSON.parse(JSON.stringify(await getExecution(services, id, caller))) as Execution
  const cancel = async (id: string): Promise<{ execution: Execution; sent: readonly string[] }> => {
    const { answer, sent } = await count(() => cancelExecution(services, id, caller))
    return { execution: JSON.parse(JSON.stringify(answer.execution)) as Execution, sent }
  }
  const { id } = (await submitExecution(services, { tasks: ['one', 'two'] }, caller)).execution
  const [task] = (await store.getTaskList(id))?.tasks ?? []
  const claim = await store.claim(task?.id ?? '', 1, 'worker', 60_000, 'default')
  if (claim.kind !== 'claimed') throw new Error(claim.kind)
  const started = {
    type: 'task.started',
    data: { index: 0, executionId: claim.executionId, status: 'running' },
  } as const
  await startRecord(store, claim.executionId, claim.fence, { listEvent: started })
  const { lastSeq } = await read(id)
  for (const attempt of ['first', 'again']) {
    const { execution, sent } = await cancel(id)
    t.match(execution, { status: 'running', lastSeq: lastSeq + 1, tasks: [{ status: 'running' }] }, attempt)
    t.same(execution, await read(id), attempt)
    // A look, the time of the event, the request, and the word to the worker of the task.
    t.ok(sent.length <= LOOK_AT_LIST + 3, `${attempt}: ${sent.join(' ')}`)
  }
  const waiting = (await submitExecution(services, { tasks: ['one', 'two'] }, caller)).execution.id
  const { execution } = await cancel(waiting)
  t.match(execution, { status: 'cancelled', tasks: [{ status: 'cancelled' }], outcome: { code: 'CANCELLED' } })
  t.same(execution, await read(waiting), 'it ends with its task, and is read')
})

void t.test('one submission, one cancel and one list send few commands', async (t) => {
  const { services, count, submit } = await openScene(t)
  const { store } = services
  const atMost = (most: number, sent: readonly string[]): void => {
    t.ok(sent.length > 0 && sent.length <= most, `${most} at most: ${sent.join(' ')}`)
  }
  const submitted = await count(submit)
  const { id } = submitted.answer.execution
  // The record, the job, and once in a second the time: the answer is what was written, which nobody reads again.
  atMost(3, submitted.sent)
  const queued = await count(() => cancelExecution(services, id, caller))
  // A look, the end (its time, its messages, and two pages of the log for the receipt), the job.
  atMost(6 + LOOK, queued.sent)
  const running = (await submit()).execution.id
  const claim = await store.claim(running, 1, 'worker', 60_000, 'default')
  if (claim.kind !== 'claimed') throw new Error(claim.kind)
  await startRecord(store, running, claim.fence)
  const first = await count(() => cancelExecution(services, running, caller))
  // A look, the request, and the word to its worker.
  atMost(2 + LOOK, first.sent)
  const again = await count(() => cancelExecution(services, running, caller))
  atMost(2 + LOOK, again.sent)
  const ended = await count(() => cancelExecution(services, id, caller))
  atMost(LOOK, ended.sent)
  const listed = await count(() => store.list(caller.id, { count: 51 }))
  atMost(1, listed.sent)
})

void t.test('who looks at the queue reads no record of those that run', async (t) => {
  const { services, count, submit } = await openScene(t)
  const look = async (running: number): Promise<string[]> => {
    const { answer, sent } = await count(() => getQueueState(services))
    t.match(answer, { running, paused: 0, workers: [] })
    return sent.toSorted()
  }
  await look(0)
  const first = await look(0)
  for (let number = 0; number < 3; number += 1) {
    const { execution } = await submit()
    const claim = await services.store.claim(execution.id, 1, 'worker', 60_000, 'default')
    if (claim.kind !== 'claimed') throw new Error(claim.kind)
    await startRecord(services.store, execution.id, claim.fence)
  }
  // The outlook of a moment ago may serve once more.
  const sent = await look(3)
  t.same(
    sent.filter((command) => !first.includes(command)),
    [],
    sent.join(' '),
  )
  t.ok(sent.length <= first.length, sent.join(' '))
})
