// Tokens that the API makes: what they may do, for how long, and that their end is the end of all that they have open.
import { Redis } from 'ioredis'
import t from 'tap'
import { WebSocket } from 'ws'
import type { Token } from '../../src/protocol/tokens.js'
import { submitHeld } from '../support/held-run.js'
import { openWaiters } from '../support/waiters.js'
import { openRest, readFrames, TOKENS, UNKNOWN, upgrade } from './scene.js'
import { eventually, once, repeat, until } from '../support/deadlines.js'

const { service, call, submit, finished } = await openRest(t, { apis: 2 })
const redis = new Redis(service.redis.url)
t.teardown(async () => redis.disconnect())

const FAR = '2999-01-01T00:00:00.000Z'

type Made = Token & { readonly secret: string }

async function make(body: Record<string, unknown> = {}): Promise<Made> {
  const { status, body: made } = await call('POST', '/tokens', {
    body: { name: 'made', scopes: ['read', 'execute'], ...body },
  })
  t.equal(status, 201)
  return made
}

type Options = Parameters<typeof call>[2]
const by = ({ secret }: { secret: string }, options: Options = {}): Options => ({
  ...options,
  as: 'nobody',
  headers: { authorization: `Bearer ${secret}`, ...options.headers },
})

/** A socket, opened; its end as a code. */
async function connect({ secret }: { secret: string }, api = 0) {
  const socket = new WebSocket(`${service.url(api).replace('http', 'ws')}/ws`, ['cc-executor', `bearer.${secret}`])
  const closed = eventually(socket, 'close').then(([code, reason]) => ({ code: Number(code), reason: String(reason) }))
  await once(socket, 'open')
  let id = 0
  const ask = async (method: string, params: Record<string, unknown> = {}) => {
    id += 1
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    return repeat(async () => {
      const [data] = await once(socket, 'message')
      const answer = JSON.parse(String(data))
      return answer.id === id ? answer : undefined
    }, `${method} is answered`)
  }
  return { socket, closed, ask }
}

const openEvents = (id: string, { secret }: { secret: string }, api = 0): Promise<Response> =>
  fetch(`${service.url(api)}/executions/${id}/events`, {
    headers: { authorization: `Bearer ${secret}`, accept: 'text/event-stream' },
  })

const idOf = ({ id }: { id: string }): string => id

/** As many API processes wait for what becomes of it. */
async function untilFollowed(id: string, count: number): Promise<void> {
  await until(async () => {
    const [, subscribers] = await redis.pubsub('NUMSUB', `{cc}:channel:${id}`)
    return Number(subscribers) >= count
  }, 'all follow it')
}

void t.test('a token is made, shown without its secret, used in every process, changed and revoked', async (t) => {
  const made = await make({ expiresAt: FAR, dailyBudgetUsd: 2.5, dailyBudgetTokens: 1_000, maxConcurrent: 2 })
  const { secret, ...token } = made
  t.match(token, {
    id: /^tok_[0-9a-f]{32}$/,
    name: 'made',
    scopes: ['read', 'execute'],
    origin: 'api',
    status: 'active',
    createdBy: 'alice',
    expiresAt: FAR,
    dailyBudgetUsd: 2.5,
    dailyBudgetTokens: 1_000,
    maxConcurrent: 2,
  })
  t.same((await call('GET', `/tokens/${token.id}`)).body, token)
  const list = (await call('GET', '/tokens')).body.tokens as Token[]
  t.same(
    list.map(({ id, origin }) => [id, origin]),
    [...Object.keys(TOKENS).map((name) => [name, 'environment']), [token.id, 'api']],
  )
  t.notMatch((await call('GET', '/tokens')).text, secret)
  for (const api of [0, 1]) {
    t.match((await call('GET', '/usage', by(made, { api }))).body, { token: token.id, budget: { usd: { limit: 2.5 } } })
    t.match((await call('GET', '/tokens', by(made, { api }))).body, { status: 403, code: 'FORBIDDEN' })
  }
  const changed = await call('PATCH', `/tokens/${token.id}`, {
    body: { name: 'renamed', dailyBudgetUsd: 3, expiresAt: null, dailyBudgetTokens: null, maxConcurrent: null },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  t.match(changed.body, { id: token.id, name: 'renamed', dailyBudgetUsd: 3 })
  for (const removed of ['expiresAt', 'dailyBudgetTokens', 'maxConcurrent']) t.notOk(removed in changed.body, removed)
  t.match((await call('GET', '/usage', by(made))).body, { budget: { usd: { limit: 3 }, tokens: { limit: null } } })
  t.equal((await call('DELETE', `/tokens/${token.id}`)).status, 204)
  t.match((await call('GET', '/usage', by(made))).body, { status: 401, code: 'UNAUTHENTICATED' })
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    const answer = await call(method, `/tokens/${token.id}`, method === 'PATCH' ? { body: {} } : {})
    t.match(answer.body, { status: 404, code: 'TOKEN_NOT_FOUND' }, method)
  }
  t.notOk((await call('GET', '/tokens')).body.tokens.some(({ id }: Token) => id === token.id))
})

void t.test('a repeated request makes no second token, and does not show the secret again', async (t) => {
  const body = { name: 'once', scopes: ['read'] }
  const ask = (key: string, more: Options = {}) =>
    call('POST', '/tokens', { body, ...more, headers: { 'idempotency-key': key, ...more.headers } })
  const both = await Promise.all(
    [0, 1].map((api) => ask('first', { api, body: { scopes: body.scopes, name: 'once' } })),
  )
  const [made, again] = both.toSorted((one, other) => other.status - one.status)
  const { secret, ...token } = made?.body ?? {}
  t.match([made?.status, secret], [201, /^cce_/])
  t.same(again?.body, token)
  t.match([again?.status, again?.headers.get('idempotent-replayed')], [200, 'true'])
  for (const answer of both) t.equal(answer.headers.get('location'), `/tokens/${token.id}`)
  t.match((await ask('first', { body: { ...body, name: 'another' } })).body, { code: 'IDEMPOTENCY_CONFLICT' })
  t.match((await ask('')).body, { status: 400, errors: [{ path: 'Idempotency-Key' }] })
  const admin = await make({ scopes: ['admin'] })
  t.equal((await ask('first', by(admin))).status, 201, 'a key is its token’s own')
  t.equal((await call('DELETE', `/tokens/${token.id}`)).status, 204)
  t.match((await ask('first')).body, { status: 404, code: 'TOKEN_NOT_FOUND', detail: /has been revoked/ })
  t.match(await redis.pttl('{cc}:token-key:alice:first').then((left) => left > 0 && left <= 86_400_000), true)
})

void t.test(
  'of a token’s runs there are never more at work than it may have, and a raise is felt at once',
  async (t) => {
    const token = await make({ maxConcurrent: 1 })
    const own = openWaiters((method, path, options) => call(method, path, by(token, options)))
    const start = () =>
      submitHeld(
        service.directory,
        async (prompt) => (await call('POST', '/execute', by(token, { body: { prompt } }))).body,
      )
    const first = await start()
    await own.until(first.id, 'claude.message')
    const [second, third] = [await start(), await start()]
    t.match(second, { position: 1, waitingFor: 'token' })
    const shown = async (id: string) => (await call('GET', `/executions/${id}`, by(token))).body
    t.equal(first.waitingFor, undefined)
    t.match(await shown(third.id), { status: 'queued', position: 2, waitingFor: 'token' })
    await call('PATCH', `/tokens/${token.id}`, { api: 1, body: { maxConcurrent: 2 } })
    t.equal(await redis.hget(`{cc}:execution:${second.id}`, 'claim'), '2', 'it has been called when that is answered')
    await own.until(second.id, 'claude.message')
    t.match(await shown(third.id), { status: 'queued', position: 1, waitingFor: 'token' })
    t.equal(await redis.scard(`{cc}:active:${token.id}`), 2)
    for (const { id, release } of [first, second, third]) {
      await release()
      await own.finished(id)
    }
    t.equal(await redis.exists(`{cc}:active:${token.id}`), 0)
  },
)

void t.test('what it cannot be is refused by name, and tokens of the configuration are left alone', async (t) => {
  for (const [body, path] of [
    [{ scopes: [] }, 'scopes'],
    [{ scopes: ['everything'] }, 'scopes[0]'],
    [{ name: '' }, 'name'],
    [{ name: 'two\nlines' }, 'name'],
    [{ expiresAt: '2001-01-01T00:00:00Z' }, 'expiresAt'],
    [{ expiresAt: 'tomorrow' }, 'expiresAt'],
    [{ dailyBudgetUsd: 0 }, 'dailyBudgetUsd'],
    [{ dailyBudgetTokens: 1.5 }, 'dailyBudgetTokens'],
    [{ maxConcurrent: 0 }, 'maxConcurrent'],
    [{ secret: 'mine' }, 'secret'],
  ] as const) {
    const answer = await call('POST', '/tokens', { body: { name: 'made', scopes: ['read'], ...body } })
    t.match(answer.body, { status: 400, code: 'INVALID_REQUEST', errors: [{ path }] }, path)
  }
  for (const method of ['PATCH', 'DELETE'])
    t.match((await call(method, '/tokens/bob', method === 'PATCH' ? { body: {} } : {})).body, {
      status: 403,
      detail: /CC_EXECUTOR_TOKENS/,
    })
  t.match((await call('GET', '/tokens/bob')).body, { id: 'bob', origin: 'environment' })
})

void t.test('a name that is used again inherits nothing', async (t) => {
  const before = await make({ name: 'bob' })
  const { body } = await call('POST', '/execute', by(before, { body: { prompt: 'mine', workspace: 'of-before' } }))
  await call('DELETE', `/tokens/${before.id}`)
  const after = await make({ name: 'bob' })
  t.equal((await call('GET', `/executions/${body.id}`, by(after))).status, 404)
  t.equal((await call('GET', `/executions/${body.id}`, { as: 'bob' })).status, 404, 'nor does the configured one')
  t.same((await call('GET', '/executions', by(after))).body.executions, [])
  const taken = await call('POST', '/execute', by(after, { body: { prompt: 'x', workspace: 'of-before' } }))
  t.match(taken.body, { status: 404, code: 'WORKSPACE_NOT_FOUND' })
})

void t.test('a revocation ends sockets, streams and waits in every process at once', async (t) => {
  // One runs, and the others wait for its workspace: what nobody can cancel any more must not take every slot.
  const HELD = { prompt: '[{"hang":true}]', workspace: 'of-revoked' }
  const token = await make()
  const { body: execution } = await call('POST', '/execute', by(token, { body: HELD }))
  const sockets = await Promise.all([connect(token, 0), connect(token, 1)])
  for (const { ask } of sockets) t.ok((await ask('execution.subscribe', { executionId: execution.id })).result)
  const streams = await Promise.all([0, 1].map((api) => openEvents(execution.id, token, api)))
  const ends = streams.map(async (stream) => {
    for await (const _frame of readFrames(stream)) continue
  })
  // Each waits for an execution that nothing else follows, so that Redis shows when it waits.
  const waiting = await Promise.all(
    ['result?waitSeconds=50', 'events?after=1000&waitSeconds=50'].map(async (path) => {
      const { id } = (await call('POST', '/execute', by(token, { body: HELD }))).body
      const polls = [0, 1].map((api) => call('GET', `/executions/${id}/${path}`, by(token, { api })))
      await untilFollowed(id, 2)
      return polls
    }),
  )
  const known = new Set<string>((await call('GET', '/executions', by(token))).body.executions.map(idOf))
  const headers = { prefer: 'wait=50' }
  const submitted = call('POST', '/execute', by(token, { api: 1, body: HELD, headers }))
  let late = ''
  await until(async () => {
    late = (await redis.zrange(`{cc}:index:${token.id}`, '0', '-1')).find((id) => !known.has(id)) ?? ''
    return late !== ''
  }, 'it is accepted')
  await untilFollowed(late, 1)
  const begun = performance.now()
  t.equal((await call('DELETE', `/tokens/${token.id}`)).status, 204)
  for (const { closed } of sockets) t.match(await closed, { code: 1008, reason: /revoked/ })
  await Promise.all(ends)
  for (const answer of await Promise.all(waiting.flat())) t.match(answer.body, { status: 401, code: 'UNAUTHENTICATED' })
  t.match(
    await submitted,
    { status: 202, body: { id: late, status: 'queued' } },
    'accepted, and nothing of what came then',
  )
  t.ok(performance.now() - begun < 40_000, 'nobody waited for a deadline')
  for (const api of [0, 1]) t.equal((await call('GET', '/executions', by(token, { api }))).status, 401)
  t.equal(await upgrade(service.url(), '/ws', { authorization: `Bearer ${token.secret}` }), 401)
})

void t.test('a token that expires keeps nothing open, and can be given more time', async (t) => {
  const { body: execution } = await call('POST', '/execute', { body: { prompt: '[{"hang":true}]' } })
  const token = await make({ executionId: execution.id, scopes: ['read'], expiresAt: FAR })
  const [{ closed }, stream] = await Promise.all([connect(token, 1), openEvents(execution.id, token)])
  const ended = (async () => {
    for await (const _frame of readFrames(stream)) continue
  })()
  // On a slow machine the first moments are over before the request arrives.
  for (let milliseconds = 500, status = 400; status !== 200; milliseconds *= 2) {
    const expiresAt = new Date(Date.now() + milliseconds).toISOString()
    status = (await call('PATCH', `/tokens/${token.id}`, { body: { expiresAt } })).status
  }
  t.match(await closed, { code: 1008, reason: /expired/ })
  await ended
  t.equal((await call('GET', '/executions', by(token))).status, 401)
  t.equal(await upgrade(service.url(1), '/ws', { authorization: `Bearer ${token.secret}` }), 401)
  t.match((await call('GET', `/tokens/${token.id}`)).body, { status: 'expired' })
  await call('PATCH', `/tokens/${token.id}`, { body: { expiresAt: FAR } })
  for (const api of [0, 1]) t.equal((await call('GET', '/executions', by(token, { api }))).status, 200)
  await call('POST', `/executions/${execution.id}/cancel`)
})

void t.test('a scope that is taken away ends what is open; one that is added counts at once', async (t) => {
  const token = await make({ scopes: ['read'] })
  const { ask, closed } = await connect(token, 1)
  t.match((await ask('execute', { prompt: 'x' })).error, { data: { code: 'FORBIDDEN' } })
  await call('PATCH', `/tokens/${token.id}`, { api: 1, body: { scopes: ['read', 'execute'] } })
  t.ok((await ask('execute', { prompt: 'x', subscribe: false })).result, 'on the same socket')
  await call('PATCH', `/tokens/${token.id}`, { body: { scopes: ['execute'] } })
  t.match(await closed, { code: 1008, reason: /fewer scopes/ })
  const again = await connect(token, 1)
  t.match((await again.ask('execution.list')).error, { data: { code: 'FORBIDDEN' } })
  again.socket.terminate()
})

void t.test('a token of one execution sees that one and nothing else, and goes with it', async (t) => {
  const [shown, other] = [await submit({ prompt: 'shown' }), await submit({ prompt: 'other' })]
  await Promise.all([finished(shown.id), finished(other.id)])
  for (const scopes of [['execute'], ['read', 'admin']])
    t.match((await call('POST', '/tokens', { body: { name: 'x', scopes, executionId: shown.id } })).body, {
      status: 400,
      errors: [{ path: 'scopes' }],
    })
  for (const id of [UNKNOWN, (await call('POST', '/execute', { as: 'bob', body: { prompt: 'x' } })).body.id])
    t.match((await call('POST', '/tokens', { body: { name: 'x', scopes: ['read'], executionId: id } })).body, {
      status: 404,
      code: 'EXECUTION_NOT_FOUND',
    })
  const token = await make({ scopes: ['read', 'approve'], executionId: shown.id })
  t.equal((await call('GET', `/executions/${shown.id}`, by(token))).body.id, shown.id)
  t.equal((await call('GET', `/executions/${other.id}`, by(token))).status, 404)
  for (const [query, ids] of [
    ['', [shown.id]],
    ['?status=succeeded', [shown.id]],
    ['?status=running', []],
    [`?parentId=${other.id}`, []],
    [`?cursor=${shown.id}`, []],
    ['?createdAfter=2999-01-01T00:00:00Z', []],
  ] as const)
    t.same(
      (await call('GET', `/executions${query}`, by(token))).body.executions.map(({ id }: { id: string }) => id),
      ids,
      query,
    )
  t.match(
    (await call('PATCH', `/tokens/${token.id}`, { body: { scopes: ['execute'] } })).body,
    { status: 400 },
    'it cannot become more',
  )
  const { ask, closed } = await connect(token, 1)
  t.match((await ask('queue.get')).error, { data: { code: 'FORBIDDEN' } })
  t.match((await ask('execution.get', { executionId: other.id })).error, { data: { code: 'EXECUTION_NOT_FOUND' } })
  t.ok((await ask('execution.get', { executionId: shown.id })).result)
  t.equal((await call('DELETE', `/executions/${shown.id}`)).status, 204)
  t.match(await closed, { code: 1008 })
  t.equal((await call('GET', `/tokens/${token.id}`)).body.code, 'TOKEN_NOT_FOUND')
})

void t.test('of two revocations at once one has done it, and a change cannot undo either', async (t) => {
  for (let round = 0; round < 5; round += 1) {
    const { id } = await make()
    const answers = await Promise.all([
      call('DELETE', `/tokens/${id}`, { api: 0 }),
      call('PATCH', `/tokens/${id}`, { api: 1, body: { name: 'kept' } }),
      call('DELETE', `/tokens/${id}`, { api: 1 }),
    ])
    t.same(new Set([answers[0].status, answers[2].status]), new Set([204, 404]))
    t.equal((await call('GET', `/tokens/${id}`)).status, 404)
  }
})

void t.test('a token revoked in mid-submission: each is refused with nothing stored, or stored and run', async (t) => {
  const token = await make()
  const sent = Array.from({ length: 40 }, (_, index) =>
    call('POST', '/execute', by(token, { api: index % 2, body: { prompt: `race ${index}` } })),
  )
  await Promise.race(sent)
  t.equal((await call('DELETE', `/tokens/${token.id}`)).status, 204)
  const late = await Promise.all(
    [0, 1].map((api) => call('POST', '/execute', by(token, { api, body: { prompt: 'x' } }))),
  )
  t.same(
    late.map(({ status }) => status),
    [401, 401],
  )
  const statuses = (await Promise.all(sent)).map(({ status }) => status)
  t.same(
    statuses.filter((status) => status !== 202 && status !== 401),
    [],
  )
  const accepted = statuses.filter((status) => status === 202).length
  t.equal(await redis.zcard(`{cc}:index:${token.id}`), accepted, 'as many are stored as were accepted')
})

void t.test('an own token can be revoked, the last with admin too', async (t) => {
  const admin = await make({ scopes: ['admin'] })
  t.equal((await call('DELETE', `/tokens/${admin.id}`, by(admin))).status, 204)
  t.equal((await call('GET', '/tokens', by(admin))).status, 401)
})

void t.test('pages of tokens lead on, newest first', async (t) => {
  const ids = []
  for (let count = 0; count < 3; count += 1) ids.unshift((await make({ name: `page ${count}` })).id)
  const first = (await call('GET', '/tokens?limit=2')).body
  t.same(
    first.tokens.filter(({ origin }: Token) => origin === 'api').map(({ id }: Token) => id),
    ids.slice(0, 2),
  )
  const second = (await call('GET', `/tokens?limit=2&cursor=${first.nextCursor}`)).body
  t.equal(second.tokens[0].id, ids[2])
  t.ok(
    second.tokens.every(({ origin }: Token) => origin === 'api'),
    'the configured ones are on the first page',
  )
})

void t.test('with --open there is no token to make', async (t) => {
  await service.openApi({ CC_EXECUTOR_AUTH: 'open' })
  const api = service.apis.length - 1
  const answer = await service.call('POST', '/tokens', { api, body: { name: 'x', scopes: ['read'] } })
  t.match(answer.body, { status: 403, detail: /open/ })
})
