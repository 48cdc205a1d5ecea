// Deliveries under faults: at least once, those of an execution in order, never twice at one time, nothing lost, and an
// end to it where nobody is there. Redis' clock is set; nothing waits for hours.
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { Webhook as Verifier } from 'standardwebhooks'
import t from 'tap'
import { changeWebhook, redeliver, rotateSecret, testWebhook } from '../../src/webhooks/manage-webhooks.js'
import { lineOf, toPayload } from '../../src/webhooks/outbox-entry.js'
import { gapAfter } from '../../src/webhooks/send-delivery.js'
import { toNewDelivery } from '../../src/webhooks/webhook-sender.js'
import { accept, ADMIN, ALICE, openSending, refuse, toToken, type Message } from './scene.js'
import { until } from '../support/deadlines.js'

const HOUR_S = 3_600
const DAY_S = 24 * HOUR_S
const scene = await openSending(t)
const { skip, receiver, webhooks, redis, connection, advance, make, start, happen, deliveries, get, untilStates } =
  scene
const typesAt = (path: string): string[] =>
  receiver.messages.filter((message) => message.path === path).map(({ payload }) => payload.type)
const came = (path: string, count: number) =>
  until(() => receiver.messages.filter((message) => message.path === path).length >= count, `${count} at ${path}`)

const untilTold = () => until(async () => (await connection.xlen('{cc}:outbox')) === 0, 'the outbox is empty')

t.beforeEach(() => {
  receiver.answer = accept
  receiver.messages.length = 0
})
void t.test('what happened is told to whom it concerns, once each, in order for each execution', async (t) => {
  const [all, ends, other, everybody, off] = await Promise.all([
    make('/all'),
    make('/ends', { events: ['execution.finished'], description: 'ends' }),
    make('/other', {}, ADMIN),
    make('/everybody', { allTokens: true, events: ['execution.*'] }, ADMIN),
    make('/off', { enabled: false }),
  ])
  const senders = [scene.openProcess(), scene.openProcess()]
  const open = new Map<string, number>()
  const crowded: string[] = []
  receiver.answer = async (message, response) => {
    const line = `${message.path} ${String(message.payload.data.executionId)}`
    open.set(line, (open.get(line) ?? 0) + 1)
    if (open.get(line) !== 1) crowded.push(line)
    await delay(Math.random() * 10)
    open.set(line, (open.get(line) ?? 0) - 1)
    response.writeHead(200).end('{}')
  }
  const ids: string[] = []
  for (let count = 0; count < 12; count += 1) ids.push(await happen())
  const named = await happen('alice', { request: { prompt: 'x', webhooks: [ends.id] } })
  const unheard = await happen('alice', { request: { prompt: 'x', webhooks: [] } })
  await Promise.all([came('/all', 24), came('/ends', 13), came('/everybody', 28)])
  for (const id of ids) {
    const of = receiver.messages.filter(({ payload }) => payload.data.executionId === id)
    t.same(
      of.filter(({ path }) => path === '/all').map(({ payload }) => payload.type),
      ['execution.started', 'execution.finished'],
    )
    t.same(of.filter(({ path }) => path === '/ends').length, 1)
  }
  t.same(crowded, [], 'no line had two requests at once')
  t.equal(new Set(receiver.messages.map(({ id, path }) => `${id} ${path}`)).size, receiver.messages.length)
  t.same([typesAt('/other'), typesAt('/off')], [[], []], 'not of another token, and not where it is disabled')
  const has = (path: string, id: string) =>
    receiver.messages.some((message) => message.path === path && message.payload.data.executionId === id)
  t.same([has('/all', named), has('/ends', named), has('/everybody', named)], [false, true, true])
  t.same([has('/all', unheard), has('/ends', unheard), has('/everybody', unheard)], [false, false, true])
  const [first] = receiver.messages.filter(({ path }) => path === '/ends')
  t.match(first?.payload, {
    type: 'execution.finished',
    data: { status: 'failed', code: 'CLAUDE_EXITED', kind: 'run', metadata: { team: 'a' } },
  })
  t.equal((await connection.xlen('{cc}:outbox')) + (await connection.zcard('{cc}:webhooks-due')), 0)
  for (const webhook of [all, ends, other, everybody, off]) await webhooks.store.remove(webhook.id)
  await Promise.all(senders.map((sender) => sender.close()))
})

void t.test('an endpoint that is down for an hour gets everything, in order, when it is back', { skip }, async (t) => {
  const webhook = await make('/down')
  const sender = scene.openProcess()
  receiver.answer = refuse(503)
  const { id, end } = await start()
  await untilStates(webhook, ['pending 1'])
  await end()
  await happen()
  await happen()
  await untilStates(webhook, ['pending 1', 'pending 0', 'pending 1', 'pending 0', 'pending 1', 'pending 0'])
  t.match((await get(webhook)).failingSince, /^20/)
  advance(HOUR_S)
  await untilStates(webhook, ['pending 2', 'pending 0', 'pending 2', 'pending 0', 'pending 2', 'pending 0'])
  t.same(new Set(typesAt('/down')), new Set(['execution.started']), 'what comes later has waited')
  receiver.answer = accept
  receiver.messages.length = 0
  // The next attempt of each is half a minute away, and that of one is asked for: the others follow at once.
  const [first] = await deliveries(webhook)
  await redeliver(webhooks, webhook.id, first?.id ?? '', ALICE)
  await untilStates(webhook, ['delivered 3', 'delivered 1', 'delivered 3', 'delivered 1', 'delivered 3', 'delivered 1'])
  t.same(
    receiver.messages.filter(({ payload }) => payload.data.executionId === id).map(({ payload }) => payload.type),
    ['execution.started', 'execution.finished'],
  )
  t.match(await get(webhook), { failingSince: undefined, pendingDeliveries: 0, enabled: true })
  await webhooks.store.remove(webhook.id)
  await sender.close()
})

void t.test(
  '500, the end in mid-body, a redirect inside, silence: tried again, each told apart',
  { skip },
  async (t) => {
    const sender = scene.openProcess()
    const webhook = await make('/trouble')
    const silent: ServerResponse[] = []
    const answers: Array<(message: Message, response: ServerResponse) => void> = [
      refuse(500),
      (_message, response) => {
        response.writeHead(200, { 'content-length': '100' })
        response.write('half', () => response.destroy())
      },
      (_message, response) => void response.writeHead(302, { location: `${receiver.url}/inside` }).end(),
      (_message, response) => void silent.push(response),
      (_message, response) => void response.writeHead(429, { 'retry-after': '100000' }).end(),
    ]
    receiver.answer = (message, response) => (answers.shift() ?? accept)(message, response)
    await happen()
    for (const count of [1, 2, 3]) {
      await untilStates(webhook, [`pending ${count}`, 'pending 0'])
      advance(DAY_S / 8)
    }
    await until(() => silent.length === 1, 'it is silent')
    // As its deadline would.
    silent[0]?.destroy()
    await untilStates(webhook, ['pending 4', 'pending 0'])
    advance(DAY_S / 4)
    await untilStates(webhook, ['pending 5', 'pending 0'])
    const [before] = await deliveries(webhook)
    const wait = (Date.parse(before?.nextAttemptAt ?? '') - (await webhooks.store.time())) / 1_000
    t.ok(wait > DAY_S - HOUR_S && wait <= DAY_S, 'as long as it asks for, but a day at most')
    advance(DAY_S)
    await untilStates(webhook, ['delivered 6', 'delivered 1'])
    const [delivery] = await deliveries(webhook)
    t.match(
      delivery?.attempts.map(({ error, status }) => [error, status]),
      [
        ['STATUS', 500],
        ['CONNECTION', undefined],
        ['REDIRECT', 302],
        ['CONNECTION', undefined],
        ['STATUS', 429],
        [undefined, 204],
      ],
    )
    t.same(typesAt('/inside'), [])
    t.equal(new Set(receiver.messages.slice(0, 6).map(({ id }) => id)).size, 1, 'with one id')
    await webhooks.store.remove(webhook.id)
    await sender.close()
  },
)

void t.test(
  'after three days in which nothing was accepted a webhook is disabled, and the others are told',
  { skip },
  async (t) => {
    const sender = scene.openProcess()
    const [dead, gone, teller] = await Promise.all([
      make('/dead', { events: ['execution.started'] }),
      make('/gone', { events: ['execution.finished'] }),
      make('/teller', { events: ['webhook.disabled'] }),
    ])
    receiver.answer = (message, response) =>
      (message.path === '/teller' ? accept : refuse(message.path === '/gone' ? 410 : 500))(message, response)
    await happen()
    await came('/teller', 1)
    t.match(await get(gone), { enabled: false, disabledReason: 'gone', pendingDeliveries: 0 })
    await untilStates(dead, ['pending 1'])
    advance(3 * DAY_S - HOUR_S)
    await untilStates(dead, ['pending 2'])
    advance(HOUR_S)
    await came('/teller', 2)
    t.match(await get(dead), { enabled: false, disabledReason: 'failing', pendingDeliveries: 0 })
    t.match(
      receiver.messages.filter(({ path }) => path === '/teller').map(({ payload }) => payload.data),
      [
        { webhookId: gone.id, code: 'GONE' },
        { webhookId: dead.id, code: 'FAILING' },
      ],
    )
    await happen()
    await untilTold()
    receiver.answer = accept
    await changeWebhook(webhooks, dead.id, { enabled: true }, ALICE)
    const again = await happen()
    await untilStates(dead, ['failed 3', 'delivered 1'])
    t.equal((await deliveries(dead)).at(-1)?.executionId, again, 'and what was in between is not made up for')
    for (const webhook of [dead, gone, teller]) await webhooks.store.remove(webhook.id)
    await sender.close()
  },
)

void t.test('one delivery that is never accepted ends alone, and what waits behind it follows', { skip }, async (t) => {
  const sender = scene.openProcess()
  const webhook = await make('/poison')
  const poison = await start()
  receiver.answer = (message, response) =>
    (message.payload.data.executionId === poison.id && message.payload.type === 'execution.started'
      ? refuse(400)
      : accept)(message, response)
  await untilStates(webhook, ['pending 1'])
  await poison.end()
  await happen()
  await untilStates(webhook, ['pending 1', 'pending 0', 'delivered 1', 'delivered 1'])
  advance(3 * DAY_S + 1)
  await until(async () => (await deliveries(webhook))[1]?.status === 'delivered', 'the next one follows')
  t.match(await deliveries(webhook), [{ status: 'failed' }, { status: 'delivered' }])
  t.match(await get(webhook), { enabled: true, pendingDeliveries: 0 })
  await webhooks.store.remove(webhook.id)
  await sender.close()
})

void t.test(
  'whoever dies between the end and the delivery, and Redis with it: nothing is lost',
  { skip },
  async (t) => {
    const webhook = await make('/killed')
    // Nobody is there who sends, and then somebody who is killed as soon as he has begun.
    const first = await happen()
    const entries = await webhooks.store.entries()
    t.same(
      entries.map(({ type }) => type),
      ['execution.started', 'execution.finished'],
    )
    for (const entry of entries) {
      const delivery = toNewDelivery(webhook.id, lineOf(entry), toPayload(entry), entry.timestamp)
      for (let times = 0; times < 2; times += 1) await webhooks.store.take(entry.id, [delivery], 100)
    }
    const turns = await webhooks.store.grant(50, 25_000)
    t.equal(turns.length, 1, 'one turn for the line')
    for (const turn of turns) t.ok(await webhooks.store.begin(turn, 25_000))
    const second = await happen()
    await redis.end('SIGKILL')
    await redis.start()
    receiver.answer = accept
    receiver.messages.length = 0
    const heir = scene.openProcess()
    await came('/killed', 2)
    t.same(
      receiver.messages.map(({ payload }) => payload.data.executionId),
      [second, second],
      'the turn of the dead one is not over, and others do not wait for it',
    )
    advance(60)
    await came('/killed', 4)
    t.same(
      receiver.messages.slice(2).map(({ payload }) => [payload.type, payload.data.executionId]),
      [
        ['execution.started', first],
        ['execution.finished', first],
      ],
    )
    await webhooks.store.remove(webhook.id)
    await heir.close()
  },
)

void t.test('a process that stops gives its turns back: they are taken at once, and count for nothing', async () => {
  const webhook = await make('/stops', { events: ['execution.finished'] })
  const stopping = scene.openProcess()
  receiver.answer = () => undefined
  await happen()
  await came('/stops', 1)
  await stopping.close()
  receiver.answer = accept
  const heir = scene.openProcess()
  await untilStates(webhook, ['delivered 1'])
  await webhooks.store.remove(webhook.id)
  await heir.close()
})

void t.test('both secrets sign for a day after a rotation', { skip }, async (t) => {
  const sender = scene.openProcess()
  const webhook = await make('/rotated', { events: ['execution.finished'] })
  const { secret } = await rotateSecret(webhooks, webhook.id, ALICE)
  await happen()
  await came('/rotated', 1)
  const [both] = receiver.messages
  t.equal(both?.headers['webhook-signature']?.split(' ').length, 2)
  for (const each of [webhook.secret, secret]) new Verifier(each).verify(both?.body ?? '', { ...both?.headers })
  t.match((await get(webhook)).previousSecretUntil, /^20/)
  advance(DAY_S + 1)
  receiver.secrets.set('/rotated', secret)
  await happen()
  await came('/rotated', 2)
  const one = receiver.messages[1]
  new Verifier(secret).verify(one?.body ?? '', { ...one?.headers })
  t.throws(() => new Verifier(webhook.secret).verify(one?.body ?? '', { ...one?.headers }))
  t.equal((await get(webhook)).previousSecretUntil, undefined)
  await webhooks.store.remove(webhook.id)
  await sender.close()
})

void t.test('a test is tried once, also where the webhook is disabled, and disables none', async (t) => {
  const sender = scene.openProcess()
  const webhook = await make('/tested', { enabled: false })
  receiver.answer = refuse(410)
  await testWebhook(webhooks, webhook.id, ALICE)
  await untilStates(webhook, ['failed 1'])
  receiver.answer = accept
  await testWebhook(webhooks, webhook.id, ALICE)
  await untilStates(webhook, ['failed 1', 'delivered 1'])
  t.same(typesAt('/tested'), ['webhook.test', 'webhook.test'])
  t.match(await get(webhook), { enabled: false, failingSince: undefined, disabledReason: undefined })
  await webhooks.store.remove(webhook.id)
  await sender.close()
})

void t.test('whose token is gone, or no longer administers, hears nothing more', async (t) => {
  const [own, forAll] = await Promise.all([
    make('/own', { events: ['execution.finished'] }),
    make('/for-all', { allTokens: true, events: ['execution.finished'] }, ADMIN),
  ])
  const gone = await make('/revoked', {}, { ...ALICE, id: `tok_${'0'.repeat(32)}` })
  // What it had submitted runs to its end.
  const told = { type: 'execution.finished', timestamp: String(await webhooks.store.time()), owner: gone.createdBy }
  await connection.xadd('{cc}:outbox', '*', ...Object.entries(told).flat())
  const demoted = toToken('admin', ['read'])
  const sender = scene.openProcess([demoted])
  await untilTold()
  await happen()
  await untilTold()
  t.same(receiver.messages, [])
  t.equal(await webhooks.store.get(gone.id), undefined, 'and one of a token that was revoked is removed')
  for (const webhook of [own, forAll]) await webhooks.store.remove(webhook.id)
  await sender.close()
})

void t.test('what a webhook has waiting is bounded, and what was beyond is counted', async (t) => {
  const webhook = await make('/bounded', { events: ['execution.started'] })
  const deliveriesOf = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      id: `msg_${String(index).padStart(32, '0')}`,
      webhookId: webhook.id,
      line: `line ${index}`,
      fields: { type: 'execution.started', body: '{}' },
    }))
  const entry = (await connection.xadd('{cc}:outbox', '*', 'type', 'x')) ?? ''
  await webhooks.store.take(entry, deliveriesOf(5), 3)
  await webhooks.store.take(entry, deliveriesOf(5), 3)
  t.match(await get(webhook), { pendingDeliveries: 3, droppedDeliveries: 2 })
  const granted = await webhooks.store.grant(50, 60_000)
  t.equal(granted.length, 3)
  t.same(await webhooks.store.grant(50, 60_000), [], 'what somebody has is given to nobody else')
  await changeWebhook(webhooks, webhook.id, { enabled: false }, ALICE)
  await webhooks.store.remove(webhook.id)
  t.same(await connection.keys(`*${webhook.id}*`), [], 'and nothing of it is left')
})

void t.test('the gaps grow over three days', async (t) => {
  const gaps = Array.from({ length: 12 }, (_, tries) => gapAfter(tries, undefined, 0))
  t.same(
    gaps,
    gaps.toSorted((one, other) => one - other),
  )
  const hours = gaps.reduce((sum, gap) => sum + gap, 0) / HOUR_S / 1_000
  t.ok(hours > 70 && hours < 73, `${hours} h`)
})

void t.test('each message was signed with the secret of its webhook, and no log names a secret or a URL', async (t) => {
  t.same(receiver.wrong, [])
  t.ok(scene.logged.length > 50)
  t.same(
    scene.logged.filter((line) => line.includes('whsec_') || line.includes(receiver.host)),
    [],
  )
})
