// Messages in Redis, without a CLI: what an older version has left of them, and what somebody reads who is very fast.
import t from 'tap'
import { concludeExecution } from '../../src/executions/conclude/conclude-execution.js'
import { settleOwed } from '../../src/executions/conclude/follow-ups.js'
import { writeEnd } from '../../src/executions/conclude/write-end.js'
import { sendMessage } from '../../src/executions/control/send-message.js'
import { getExecution } from '../../src/executions/read/find-execution.js'
import { listMessages } from '../../src/executions/read/list-messages.js'
import { submitExecution } from '../../src/executions/submit/submit-execution.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Caller } from '../../src/protocol/caller.js'
import type { Event } from '../../src/protocol/events.js'
import { openOlderWorker } from '../support/older-scripts.js'
import { openTestRedis } from '../support/redis.js'
import { putFirst, startRecord } from '../support/start-record.js'

const redis = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
const { store, redis: keys } = domain
const older = await openOlderWorker(keys)
const caller: Caller = { id: 'owner', name: 'somebody', scopes: new Set(['execute', 'read']) }
const stranger: Caller = { ...caller, id: 'another' }

const submit = async (body: Parameters<typeof submitExecution>[1]): Promise<string> =>
  (await submitExecution(domain, body, caller)).execution.id
const say = async (id: string, text: string, more = {}) =>
  (await sendMessage(domain, id, { text, ...more }, caller)).message
const list = async (id: string) => (await listMessages(domain, id, caller)).messages
const eventsOf = async (id: string) => (await domain.log.readAfter(id, 0, 1e6)).events
async function claim(id: string): Promise<string> {
  await putFirst(keys, id)
  const claimed = await store.claim(id, 1, 'worker', 60_000, 'default')
  if (claimed.kind !== 'claimed' || claimed.executionId !== id) throw new Error(`not claimed: ${claimed.kind}`)
  const index = (await store.get(id))?.taskIndex
  const listEvent =
    index === undefined
      ? undefined
      : ({ type: 'task.started', data: { index, executionId: id, status: 'running' } } as const)
  await startRecord(store, id, claimed.fence, { simulated: false, listEvent })
  return claimed.fence
}
async function sweep(): Promise<void> {
  await keys.del('{cc}:lock:sweep')
  await sweepExecutions(domain)
}

void t.test('a worker of an older version ends a run with messages open: who reads them is told, once', async (t) => {
  const id = await submit({ prompt: 'x' })
  const [, fence = ''] = await older.claim(id, 1)
  await startRecord(store, id, fence, { simulated: false })
  const [first, second] = [await say(id, 'one'), await say(id, 'two', { onDropped: 'follow_up' })]
  t.match([first, second], [{ status: 'accepted' }, { status: 'accepted', followUpId: undefined }])
  t.match(await older.conclude(id, fence), ['concluded'])
  const log = await eventsOf(id)
  t.equal(log.at(-1)?.type, 'execution.finished')
  const [dropped, instead] = await list(id)
  t.match(dropped, { id: first.id, status: 'dropped', reason: 'ended' })
  t.match(instead, { id: second.id, status: 'dropped', reason: 'ended', followUpId: String })
  t.same(await list(id), [dropped, instead])
  t.same(await eventsOf(id), log, 'its log was closed')
  t.ok((await keys.pttl(`{cc}:messages:${id}`)) > 0, 'they are kept as long as it is')
  await sweep()
  t.match(await getExecution(domain, instead?.followUpId ?? '', caller), { status: 'queued' })
})

void t.test('a follow-up that the log has named, and that is made right then, is waited for', async (t) => {
  const id = await submit({ prompt: 'x' })
  const fence = await claim(id)
  await say(id, 'one', { onDropped: 'follow_up' })
  // The process dies between the end and what follows it.
  const end = { outcome: { status: 'succeeded', result: 'done' }, attempt: 1 } as const
  t.match(await writeEnd(domain, id, { kind: 'holder', fence }, end), { kind: 'concluded', hasDropped: true })
  const named = (await eventsOf(id)).find(({ type }) => type === 'message.dropped')?.bytes
  const { followUpId } = (JSON.parse(String(named)) as Event<'message.dropped'>).data
  if (followUpId === undefined) throw new Error('it names none')
  t.match((await list(id))[0], { status: 'dropped', followUpId })
  let isThere = false
  const reading = Promise.all([getExecution(domain, followUpId, caller), list(followUpId)]).then((found) => {
    isThere = true
    return found
  })
  await t.rejects(getExecution(domain, followUpId, stranger), { code: 'EXECUTION_NOT_FOUND' }, 'nobody else waits')
  await sleep(100)
  t.equal(isThere, false)
  await sweep()
  t.match(await reading, [{ id: followUpId, status: 'queued' }, []])
  await t.rejects(getExecution(domain, id.replace(/.{12}$/, '0'.repeat(12)), caller), { code: 'EXECUTION_NOT_FOUND' })
})

void t.test('what follows a cancelled one does not stand behind those that are cancelled with it', async (t) => {
  const id = await submit({ prompt: 'x' })
  const fence = await claim(id)
  const { followUpId: orphan = '' } = await say(id, 'never said', { delivery: 'follow_up' })
  await say(id, 'instead', { onDropped: 'follow_up' })
  t.match(await store.request(id, { kind: 'cancel' }, caller.name, undefined), { kind: 'requested' })
  const at = new Date()
  t.equal(await store.dropMessages({ id, right: 'holder', fence, at, attempt: 1, reason: 'cancelled' }), 'dropped')
  await sweep()
  const { followUpId: instead = '' } = (await list(id))[1] ?? {}
  t.equal(await store.get(instead), undefined, 'nothing is made before the end')
  const end = { outcome: { status: 'cancelled', code: 'CANCELLED', message: 'x' }, attempt: 1 } as const
  // The process dies before it ends those that follow.
  t.match(await writeEnd(domain, id, { kind: 'holder', fence }, end), { kind: 'concluded' })
  t.match(await store.get(orphan), { state: 'queued', follows: id })
  for (const owed of await store.listOwed(10)) await settleOwed(domain, owed)
  t.match(await getExecution(domain, instead, caller), { status: 'queued', resumedFrom: id, waitingFor: undefined })
  await sweep()
  t.match(await getExecution(domain, orphan, caller), { status: 'cancelled' })
  t.match(await getExecution(domain, instead, caller), { status: 'queued' })
})

void t.test('what was said to a task that has ended is kept while its list goes on', async (t) => {
  const id = await submit({ tasks: ['one', 'two'] })
  const task = (await store.listTaskIds(id))[0] ?? ''
  const fence = await claim(task)
  await say(task, 'in time')
  const end = { outcome: { status: 'succeeded', result: 'done' }, attempt: 1 } as const
  await concludeExecution(domain, task, { kind: 'holder', fence }, end)
  t.match(await say(task, 'too late'), { status: 'dropped', reason: 'ended' })
  t.equal(await keys.pttl(`{cc}:messages:${task}`), -1)
  t.match(await list(task), [
    { text: 'in time', status: 'dropped' },
    { reason: 'ended', status: 'dropped' },
  ])
})
