// Tickets: what a browser puts into an address, once, and what no log and no answer ever shows.
import { Redis } from 'ioredis'
import t from 'tap'
import { WebSocket } from 'ws'
import { createTickets } from '../../src/tokens/tickets.js'
import { startCli } from '../support/processes.js'
import { openRest, rawRequest, type TOKENS, UNKNOWN, upgrade } from './scene.js'
import { once } from '../support/deadlines.js'

const { service, call, submit, finished, run } = await openRest(t)
const base = service.url()

async function issue(body: Record<string, unknown> = {}, as: keyof typeof TOKENS = 'alice'): Promise<string> {
  const answer = await call('POST', '/tickets', { as, body })
  t.equal(answer.status, 201)
  t.ok(Date.parse(answer.body.expiresAt) > Date.now())
  return answer.body.ticket
}
const ask = (path: string, headers: Record<string, string> = {}) => rawRequest(base, path, headers)
const stream = { accept: 'text/event-stream' }

void t.test('a ticket opens one event stream, or one socket, once', async (t) => {
  const { id } = await run({ prompt: 'x' })
  const ticket = await issue()
  const path = `/executions/${id}/events?after=0&ticket=${ticket}`
  const first = await ask(path, stream)
  t.match([first.status, first.body], [200, /execution\.finished/])
  t.match(JSON.parse((await ask(path, stream)).body), { status: 401, code: 'UNAUTHENTICATED' })
  for (const url of ['/ws', '/ws/mcp']) {
    const another = await issue()
    const statuses = await Promise.all(Array.from({ length: 8 }, () => upgrade(base, `${url}?ticket=${another}`, {})))
    t.same(statuses.filter((status) => status === 101).length, 1, `of eight at once one has it: ${url}`)
    t.same(new Set(statuses), new Set([101, 401]))
  }
})

void t.test('it is of no use elsewhere, wrong, twice, or against a header', async (t) => {
  const { id } = await submit({ prompt: 'x' })
  const ticket = await issue()
  for (const path of [`/executions/${id}?ticket=${ticket}`, `/executions?ticket=${ticket}`, `/queue?ticket=${ticket}`])
    t.equal((await ask(path)).status, 401, path)
  const authorization = 'Bearer wrong-0123456789abcdef'
  t.equal((await ask(`/executions/${id}/events?ticket=${ticket}`, { authorization })).status, 401)
  t.equal(await upgrade(base, `/ws?ticket=${ticket}&ticket=${ticket}`, {}), 401)
  for (const wrong of ['', 'x', `${ticket}x`, '%zz', 'a'.repeat(43)])
    t.equal(await upgrade(base, `/ws?ticket=${wrong}`, {}), 401, wrong)
  t.equal(await upgrade(base, `/ws?ticket=${ticket}`, { origin: 'https://evil.example' }), 403)
  t.equal(await upgrade(base, `/ws?ticket=${ticket}`, {}), 101, 'and none of these has used it')
  await finished(id)
})

void t.test('it may be for one execution, and then does no more than watch that', async (t) => {
  const [shown, other] = [await submit({ prompt: 'x' }), await submit({ prompt: 'y' })]
  const ticket = await issue({ executionId: shown.id })
  const socket = new WebSocket(`${base.replace('http', 'ws')}/ws?ticket=${ticket}`)
  await once(socket, 'open')
  const answers: Array<{ id: number; result?: unknown; error?: { data: { code: string } } }> = []
  const answered = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      // Safe: a socket's text comes as a Buffer, and the answer to the batch is all that is sent.
      answers.push(...(JSON.parse((data as Buffer).toString()) as typeof answers))
      resolve()
    })
  })
  const calls = [
    ['execution.get', { executionId: shown.id }],
    ['execution.get', { executionId: other.id }],
    ['execution.cancel', { executionId: shown.id }],
    ['execute', { prompt: 'z' }],
    ['execution.list', {}],
  ].map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }))
  socket.send(JSON.stringify(calls))
  await answered
  const byId = Object.fromEntries(answers.map(({ id, error }) => [id, error?.data.code]))
  t.same(byId, { 0: undefined, 1: 'EXECUTION_NOT_FOUND', 2: 'FORBIDDEN', 3: 'FORBIDDEN', 4: undefined })
  t.match(answers.find(({ id }) => id === 4)?.result, { executions: { length: 1 } })
  socket.terminate()
  const refused = await call('POST', '/tickets', { as: 'bob', body: { executionId: shown.id } })
  t.match(refused.body, { status: 404, code: 'EXECUTION_NOT_FOUND' })
  t.equal((await call('POST', '/tickets', { body: { executionId: UNKNOWN } })).status, 404)
})

void t.test('a token of one execution gets tickets for that one only', async (t) => {
  const [shown, other] = [await submit({ prompt: 'x' }), await submit({ prompt: 'y' })]
  const { secret } = (
    await call('POST', '/tokens', { body: { name: 'watches', scopes: ['read'], executionId: shown.id } })
  ).body
  const options = { as: 'nobody', headers: { authorization: `Bearer ${secret}` } } as const
  t.equal((await call('POST', '/tickets', { ...options, body: { executionId: other.id } })).status, 404)
  const { ticket } = (await call('POST', '/tickets', options)).body
  t.equal((await ask(`/executions/${other.id}/events?ticket=${ticket}`, stream)).status, 404)
})

void t.test('it does not outlive its token, and has the scopes that the token then has', async (t) => {
  const { id, secret } = (await call('POST', '/tokens', { body: { name: 'made', scopes: ['read'] } })).body
  const options = { as: 'nobody', headers: { authorization: `Bearer ${secret}` } } as const
  const { ticket } = (await call('POST', '/tickets', options)).body
  await call('DELETE', `/tokens/${id}`)
  t.equal(await upgrade(base, `/ws?ticket=${ticket}`, {}), 401)
  const reader = await issue({}, 'reader')
  const socket = new WebSocket(`${base.replace('http', 'ws')}/ws?ticket=${reader}`)
  await once(socket, 'open')
  socket.send('{"jsonrpc":"2.0","id":1,"method":"execute","params":{"prompt":"x"}}')
  const [answer] = await once(socket, 'message')
  t.match(JSON.parse(String(answer)), { error: { data: { code: 'FORBIDDEN' } } })
  socket.terminate()
})

void t.test('a token has a thousand unused tickets; one more takes the place of the oldest', async (t) => {
  const { id, secret } = (await call('POST', '/tokens', { body: { name: 'many', scopes: ['read'] } })).body
  const headers = { authorization: `Bearer ${secret}` }
  const redis = new Redis(service.redis.url)
  t.teardown(() => redis.disconnect())
  const tickets = createTickets(redis, service.config.prefix)
  const meaning = { tokenId: id, scopes: ['read'] } as const
  const first = (await tickets.issue(meaning)).ticket
  for (let count = 0; count < 999; count += 1) await tickets.issue(meaning)
  const last = (await call('POST', '/tickets', { as: 'nobody', headers })).body.ticket
  t.equal(await upgrade(base, `/ws?ticket=${first}`, {}), 401)
  t.equal(await upgrade(base, `/ws?ticket=${last}`, {}), 101)
})

void t.test('with --open a ticket is not needed, and limits where it is used', async (t) => {
  await service.openApi({ CC_EXECUTOR_AUTH: 'open' })
  const open = service.url(service.apis.length - 1)
  const post = (path: string, body: unknown) =>
    fetch(open + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).then((answer) => answer.json() as Promise<Record<string, string>>)
  const [shown, other] = [await post('/execute', { prompt: 'x' }), await post('/execute', { prompt: 'y' })]
  const events = async (id: string | undefined): Promise<number> => {
    const { ticket } = await post('/tickets', { executionId: shown['id'] })
    return (await rawRequest(open, `/executions/${id}/events?ticket=${ticket}`, {})).status
  }
  t.same([await events(shown['id']), await events(other['id'])], [200, 404])
})

void t.test('no log and no answer shows one', async (t) => {
  // A process of its own, whose log can be read.
  const environment = { ...service.environment, REDIS_URL: service.redis.url, LOG_LEVEL: 'trace' }
  const api = startCli(t, ['api'], environment)
  const [, loud = ''] = await api.said(/API on (http\S+),/)
  const { id } = await submit({ prompt: 'x' })
  await finished(id)
  const shown: string[] = []
  const tickets: string[] = []
  for (const path of [
    `/executions/${id}/events?ticket=`,
    `/executions/${id}/events?after=-1&ticket=`,
    `/executions/${UNKNOWN}/events?ticket=`,
    `/executions/${id}?ticket=`,
    '/nothing?ticket=',
    '/docs?ticket=',
    '/?ticket=',
    '/tickets?ticket=',
    '/executions/%zz?ticket=',
    '/ws?ticket=',
    '/executions?%74icket=',
  ]) {
    const ticket = await issue()
    tickets.push(ticket)
    for (const headers of [{}, stream]) {
      const answer = await rawRequest(loud, path + ticket, headers)
      shown.push(JSON.stringify(answer.headers), answer.body)
      t.equal(answer.headers['referrer-policy'] ?? 'no-referrer', 'no-referrer', path)
    }
    await upgrade(loud, path + ticket, {})
  }
  const logged = api.stdout() + api.stderr()
  for (const ticket of tickets) {
    t.notOk(logged.includes(ticket), 'in a log')
    t.notOk(shown.join('').includes(ticket), 'in an answer')
  }
  t.match(logged, /"level":/, 'it does log')
})
