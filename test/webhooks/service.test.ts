// Webhooks as their users have them: REST, client and command line, by two API processes and a real run; and whose
// they are.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Webhook as Verifier } from 'standardwebhooks'
import t from 'tap'
import { openClient } from '../../src/client/open-client.js'
import type { Delivery, NewWebhook } from '../../src/protocol/webhooks.js'
import { openCommandLine } from '../support/command-line.js'
import { ROOT } from '../support/paths.js'
import { findLastingPort } from '../support/ports.js'
import { until } from '../support/processes.js'
import { openRest, TOKENS } from '../routes/scene.js'
import { accept, openReceiver, refuse } from './scene.js'

const receiver = await openReceiver(t)
const examplePort = await findLastingPort()
const { service, call, run, submit, finished } = await openRest(t, {
  apis: 2,
  env: { CC_EXECUTOR_WEBHOOK_HOSTS: `${receiver.host},localhost:${examplePort}`, CC_EXECUTOR_MAX_WEBHOOKS: '6' },
})
const redis = new Redis(service.redis.url)
t.teardown(async () => redis.disconnect())
const runCommand = openCommandLine(t)
const cli = (...args: string[]) =>
  runCommand(['webhook', ...args], {
    CC_EXECUTOR_URL: service.url(),
    CC_EXECUTOR_TOKEN: TOKENS.alice,
    CC_EXECUTOR_DATA_DIR: join(service.directory, 'elsewhere'),
  })
t.beforeEach(() => {
  receiver.answer = accept
  receiver.messages.length = 0
})

async function make(path: string, body: Record<string, unknown> = {}): Promise<NewWebhook> {
  const answer = await call('POST', '/webhooks', { body: { url: receiver.url + path, ...body } })
  t.equal(answer.status, 201, answer.text)
  receiver.secrets.set(path, answer.body.secret)
  return answer.body
}
const remove = ({ id }: { id: string }) => call('DELETE', `/webhooks/${id}`)
const deliveriesOf = async ({ id }: { id: string }): Promise<Delivery[]> =>
  (await call('GET', `/webhooks/${id}/deliveries`)).body.deliveries

void t.test('a webhook is made, shown without its secret, changed, rotated and deleted', async (t) => {
  const body = { url: `${receiver.url}/made`, events: ['execution.*', 'webhook.disabled'], description: 'of alice' }
  const made = await call('POST', '/webhooks', { body })
  t.match(made, { status: 201, headers: { get: Function } })
  const { secret, ...webhook } = made.body
  t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.equal(made.headers.get('location'), `/webhooks/${webhook.id}`)
  t.match(webhook, { ...body, id: /^whk_[0-9a-f]{32}$/, enabled: true, allTokens: false, createdBy: 'alice' })
  t.same((await call('GET', `/webhooks/${webhook.id}`, { api: 1 })).body, webhook)
  t.same((await call('GET', '/webhooks')).body, { webhooks: [webhook], nextCursor: null })
  const changed = await call('PATCH', `/webhooks/${webhook.id}`, {
    body: { events: null, description: null, enabled: false },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  t.match(changed.body, { events: ['*'], enabled: false, disabledReason: 'request' })
  t.notOk('description' in changed.body)
  t.equal(await redis.hlen('{cc}:webhook-hearers'), 0, 'nobody hears')
  t.match((await call('PATCH', `/webhooks/${webhook.id}`, { body: { enabled: true } })).body, { enabled: true })
  t.same(await redis.hgetall('{cc}:webhook-hearers'), { alice: '1' })
  const rotated = (await call('POST', `/webhooks/${webhook.id}/rotate`)).body
  t.match(rotated, { id: webhook.id, secret: /^whsec_/, previousSecretUntil: /^20/ })
  t.not(rotated.secret, secret)
  for (const path of ['', '/deliveries'])
    t.notMatch((await call('GET', `/webhooks/${webhook.id}${path}`)).text, /whsec_/)
  t.equal((await remove(webhook)).status, 204)
  t.match((await remove(webhook)).body, { status: 404, code: 'WEBHOOK_NOT_FOUND' })
  t.equal(await redis.hlen('{cc}:webhook-hearers'), 0)
  t.same(await redis.keys(`*${webhook.id}*`), [])
})

void t.test('what cannot be, or may not be told, is refused with its field', async (t) => {
  const wrong: ReadonlyArray<readonly [Record<string, unknown>, string]> = [
    [{ url: 'ftp://example.com/' }, 'url'],
    [{ url: 'https://user:password@example.com/' }, 'url'],
    [{ url: 'https://example.com/#x' }, 'url'],
    [{ url: '/relative' }, 'url'],
    [{ url: 'http://127.0.0.1:1/' }, 'url'],
    [{ url: 'http://[::ffff:a9fe:a9fe]/' }, 'url'],
    [{ url: 'http://localhost/' }, 'url'],
    [{ url: `https://example.com/${'x'.repeat(2048)}` }, 'url'],
    [{ url: 'https://example.com/', events: ['execution.unknown'] }, 'events[0]'],
    [{ url: 'https://example.com/', events: ['exec*'] }, 'events[0]'],
    [{ url: 'https://example.com/', events: [] }, 'events'],
    [{ url: 'https://example.com/', description: 'a\u001b[2J' }, 'description'],
    [{ url: 'https://example.com/', secret: 'mine' }, 'secret'],
  ]
  for (const [body, path] of wrong) {
    const answer = await call('POST', '/webhooks', { body })
    t.match(answer.body, { code: 'INVALID_REQUEST', errors: [{ path }] }, JSON.stringify(body).slice(0, 80))
  }
  const url = 'https://example.com/'
  t.match((await call('POST', '/webhooks', { as: 'runner', body: { url, allTokens: true } })).body, {
    code: 'FORBIDDEN',
  })
  t.match((await call('POST', '/webhooks', { as: 'reader', body: { url } })).body, { code: 'FORBIDDEN' })
  const made = await Promise.all(
    Array.from({ length: 8 }, () => call('POST', '/webhooks', { as: 'runner', body: { url } })),
  )
  t.equal(made.filter(({ status }) => status === 201).length, 6)
  t.match(made.find(({ status }) => status !== 201)?.body, { status: 429, code: 'RATE_LIMITED' })
  const own = made.flatMap(({ status, body }) => (status === 201 ? [body.id] : []))
  const change = { as: 'runner' as const, body: { allTokens: true } }
  t.match((await call('PATCH', `/webhooks/${own[0]}`, change)).body, { code: 'FORBIDDEN' })
  t.match((await call('POST', '/execute', { body: { prompt: 'x', webhooks: [own[0]] } })).body, {
    status: 404,
    code: 'WEBHOOK_NOT_FOUND',
  })
  t.match((await call('POST', '/execute', { body: { tasks: [{ prompt: 'x', webhooks: ['whk_none'] }] } })).body, {
    code: 'WEBHOOK_NOT_FOUND',
  })
  // Who administers sees, and deletes, those of all.
  t.equal((await call('GET', '/webhooks?limit=4')).body.webhooks.length, 4)
  const rest = await call('GET', `/webhooks?cursor=${(await call('GET', '/webhooks?limit=4')).body.nextCursor}`)
  t.match(rest.body, { webhooks: { length: 2 }, nextCursor: null })
  for (const id of own) t.equal((await remove({ id })).status, 204)
})

void t.test('a webhook of another token is not there, and a repeated request makes no second', async (t) => {
  const body = { url: `${receiver.url}/once` }
  const ask = (key: string, more = {}) =>
    call('POST', '/webhooks', { as: 'runner', body: { ...body, ...more }, headers: { 'idempotency-key': key } })
  const [first, again] = [await ask('k'), await ask('k')]
  t.match(again, { status: 200, body: { id: first.body.id } })
  t.equal(again.headers.get('idempotent-replayed'), 'true')
  t.notMatch(again.text, /whsec_/)
  t.match((await ask('k', { description: 'other' })).body, { status: 422, code: 'IDEMPOTENCY_CONFLICT' })
  const { id } = first.body
  const paths: ReadonlyArray<readonly [string, string]> = [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/rotate'],
    ['POST', '/test'],
    ['GET', '/deliveries'],
    ['POST', '/deliveries/msg_x/redeliver'],
  ]
  const stranger = { authorization: `Bearer ${(await call('POST', '/tokens', { body: STRANGER })).body.secret}` }
  for (const [method, tail] of paths) {
    const answer = await call(method, `/webhooks/${id}${tail}`, { as: 'nobody', headers: stranger })
    t.match(answer.body, { status: 404, code: 'WEBHOOK_NOT_FOUND' }, `${method} ${tail}`)
  }
  t.same((await call('GET', '/webhooks', { as: 'nobody', headers: stranger })).body.webhooks, [])
  await call('DELETE', `/webhooks/${id}`, { as: 'runner' })
  t.match((await ask('k')).body, { status: 404, code: 'WEBHOOK_NOT_FOUND' })
})
const STRANGER = { name: 'stranger', scopes: ['execute', 'read'] }

void t.test('a run, a list of tasks and a test are told, shown in the log, and sent again', async (t) => {
  const webhook = await make('/told')
  let isUp = false
  receiver.answer = (message, response) =>
    (isUp || message.payload.type !== 'execution.started' ? accept : refuse(500))(message, response)
  const done = await run({ prompt: 'one', metadata: { team: 'a' } })
  await until(async () => (await deliveriesOf(webhook)).length === 2, 'both are there')
  const [, started] = await deliveriesOf(webhook)
  await until(async () => Number((await deliveriesOf(webhook))[1]?.attempts.length) > 0, 'it was tried')
  isUp = true
  const again = await call('POST', `/webhooks/${webhook.id}/deliveries/${started?.id}/redeliver`)
  t.match(again, { status: 202, body: { id: started?.id, status: 'pending' } })
  await until(async () => (await deliveriesOf(webhook)).every(({ status }) => status === 'delivered'), 'delivered')
  t.match(await deliveriesOf(webhook), [
    { type: 'execution.finished', executionId: done.id, attemptCount: 1, attempts: [{ status: 204 }] },
    { type: 'execution.started' },
  ])
  // On a slow machine it was tried more than once.
  const [refused, ...retried] = (await deliveriesOf(webhook))[1]?.attempts ?? []
  t.match(refused, { status: 500, error: 'STATUS' })
  t.match(retried.at(-1), { status: 204 })
  t.same(receiver.messages.at(-1)?.payload.data, {
    executionId: done.id,
    status: 'succeeded',
    kind: 'run',
    metadata: { team: 'a' },
  })
  t.match((await call('GET', `/webhooks/${webhook.id}/deliveries?status=pending,failed`)).body, { deliveries: [] })
  const page = (await call('GET', `/webhooks/${webhook.id}/deliveries?limit=1&status=delivered`)).body
  t.match(page, { deliveries: [{ type: 'execution.finished' }], nextCursor: /^msg_/ })
  t.match((await call('GET', `/webhooks/${webhook.id}/deliveries?cursor=${page.nextCursor}`)).body, {
    deliveries: [{ id: started?.id }],
    nextCursor: null,
  })
  const before = receiver.messages.length
  const list = await submit({ tasks: ['first', { prompt: 'second', webhooks: [] }] })
  await finished(list.id)
  const kinds = () =>
    receiver.messages.slice(before).map(({ payload }) => `${payload.data.kind} ${payload.data.status}`)
  await until(() => kinds().includes('task_list succeeded'), 'the list has ended')
  t.same(kinds().toSorted(), ['task running', 'task succeeded', 'task_list running', 'task_list succeeded'])
  t.match((await call('POST', `/webhooks/${webhook.id}/deliveries/msg_none/redeliver`)).body, {
    status: 404,
    code: 'DELIVERY_NOT_FOUND',
  })
  t.same(receiver.wrong, [])
  await remove(webhook)
})

void t.test('the command line and the client make, try, show and remove one', async (t) => {
  const added = await cli('add', `${receiver.url}/cli`, '--events', 'execution.finished,approval.*', '--all-tokens')
  t.match(added, { code: 0, stdout: /^whsec_\S+\n$/, stderr: /made whk_[0-9a-f]{32}; its secret is not shown again/ })
  receiver.secrets.set('/cli', added.stdout.trim())
  const [, id = ''] = /made (whk_\w+)/.exec(added.stderr) ?? []
  const listed = await cli('list')
  t.match(listed, {
    code: 0,
    stdout: new RegExp(`^${id} +enabled +execution.finished,approval\\.\\* +all tokens +http`),
  })
  t.match(await cli('test', id), { code: 0, stdout: /^msg_\w+ +\S+ +webhook\.test +delivered +204\n$/ })
  receiver.answer = refuse(503)
  const failed = await cli('test', id)
  t.match(failed, { code: 1, stdout: /webhook\.test +failed +STATUS 503\n$/ })
  receiver.answer = accept
  const [delivery = ''] = /^msg_\w+/.exec(failed.stdout) ?? []
  t.match(await cli('deliveries', id, '--redeliver', delivery), { code: 0 })
  await until(async () => (await cli('deliveries', id, '--status', 'failed')).stdout.trim() === '', 'it was sent again')
  t.match(JSON.parse((await cli('deliveries', id, '--json', '--limit', '1')).stdout), { deliveries: { length: 1 } })
  for (const args of [
    ['add'],
    ['list', 'x'],
    ['remove', id, 'y'],
    ['test', id, '--events', 'x'],
    ['deliveries', id, '--status', 'x'],
  ])
    t.match(await cli(...args), { code: 2 }, args.join(' '))
  t.match(await cli('add', 'http://127.0.0.1:1/'), { code: 2, stderr: /CC_EXECUTOR_WEBHOOK_HOSTS/ })
  const client = openClient({ url: service.url(), token: TOKENS.alice })
  t.match(await client.changeWebhook(id, { enabled: false }), { enabled: false })
  const { secret } = await client.rotateWebhookSecret(id)
  t.match(await client.testWebhook(id), { status: 'pending', type: 'webhook.test' })
  await until(() => receiver.messages.length > 3, 'the client’s test')
  const last = receiver.messages.at(-1)
  new Verifier(secret).verify(last?.body ?? '', { ...last?.headers })
  t.match(await client.webhooks(), { webhooks: [{ id }] })
  t.match(await cli('remove', id), { code: 0, stdout: new RegExp(`^removed +${id} +http`) })
  t.same((await cli('list', '--json')).stdout, '{"webhooks":[]}\n')
})

void t.test('the receiver of the manual takes what is signed, and nothing else', async (t) => {
  const manual = await readFile(join(ROOT, 'openapi/protocol.md'), 'utf8')
  const [, code = ''] = /^### Webhooks$[\s\S]*?^```js\n([\s\S]*?)^```$/m.exec(manual) ?? []
  t.match(code, 'listen(9000)')
  const added = await cli('add', `http://localhost:${examplePort}/`)
  const [, id = ''] = /made (whk_\w+)/.exec(added.stderr) ?? []
  const ready = `listen(${examplePort}, 'localhost', () => console.log('listens'))`
  const program = spawn(process.execPath, ['--input-type=module', '--eval', code.replace('listen(9000)', ready)], {
    cwd: ROOT,
    env: { ...process.env, SECRET: added.stdout.trim() },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => void program.kill('SIGKILL'))
  let said = ''
  program.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await until(() => said.includes('listens'), 'it listens')
  t.match(await cli('test', id), { code: 0, stdout: /delivered +204/ })
  t.match(said, /type: 'webhook.test'/)
  const forged = { 'webhook-id': 'msg_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,AAAA' }
  const refused = await fetch(`http://localhost:${examplePort}/`, { method: 'POST', headers: forged, body: '{}' })
  t.equal(refused.status, 400)
  await call('POST', `/webhooks/${id}/rotate`)
  t.match(await cli('test', id), { code: 0 }, 'and after a rotation still')
  await remove({ id })
  program.kill()
  await once(program, 'exit')
})
