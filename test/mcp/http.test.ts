// MCP over HTTP, as clients of either kind of revision meet it: two APIs on one Redis, a scripted CLI.
import { request as openRequest } from 'node:http'
import t, { type Test } from 'tap'
import { PostedAnswers } from '../../src/mcp/posted-answers.js'
import type { ToolService } from '../../src/mcp/service-access.js'
import type { Approval } from '../../src/protocol/approvals.js'
import { openRest, TOKENS, UNKNOWN } from '../routes/scene.js'
import { ERAS, openHttpClient, type Era } from './http-client.js'
import { once, repeat } from '../support/deadlines.js'

const { service, call: rest, run, held, finished } = await openRest(t, { apis: 2 })

const connect = (t: Test, era: Era, as: keyof typeof TOKENS = 'alice') =>
  openHttpClient(t, { url: service.url(), token: TOKENS[as], era })

/** A request as it is. */
const post = (body: unknown, headers: Record<string, string> = {}, { api = 0, signal }: Posting = {}) =>
  fetch(`${service.url(api)}/mcp`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKENS.alice}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal && { signal }),
  })
interface Posting {
  readonly api?: number
  readonly signal?: AbortSignal
}
const request = (id: number | string, method: string, params: object = {}) => ({ jsonrpc: '2.0', id, method, params })
const waiting = (id: number, executionId: string, progressToken?: string) =>
  request(id, 'tools/call', {
    name: 'wait_for_execution',
    arguments: { executionId, waitSeconds: 45 },
    ...(progressToken !== undefined && { _meta: { progressToken } }),
  })
const hello = (protocolVersion: string, capabilities: object = {}) =>
  request(1, 'initialize', { protocolVersion, capabilities, clientInfo: { name: 'test', version: '0' } })

/** What an event stream brought, as messages. */
const messagesOf = (text: string) =>
  [...text.matchAll(/^data: (.+)$/gm)].map(([, data = '']): ReturnType<typeof JSON.parse> => JSON.parse(data))

for (const era of ERAS)
  void t.test(`${era}: tools with progress, failures with their code, executions as resources`, async (t) => {
    const { client, call } = await connect(t, era)
    t.equal(client.getNegotiatedProtocolVersion(), era)
    const { tools } = await client.listTools()
    t.same(
      tools.map(({ name }) => name).sort(),
      [
        'cancel_execution',
        'decide_approval',
        'execute',
        'get_execution',
        'get_executor_status',
        'list_approvals',
        'send_message',
        'verify_execution',
        'wait_for_execution',
      ],
      'the same as on standard input and output',
    )
    const messages: string[] = []
    const { id, ...ran } = (
      await call(
        'execute',
        { prompt: 'Say hello', waitSeconds: '45', metadata: { by: era } },
        { onprogress: ({ message }) => messages.push(message ?? '') },
      )
    ).structured
    t.match(ran, { status: 'succeeded', isFinished: true, metadata: { by: era } })
    t.ok(messages.includes('queued'), messages.join('; '))
    t.match(await call('execute', { prompt: 'x', maxTurns: 'many' }), {
      isError: true,
      structured: { code: 'INVALID_REQUEST', errors: [{ path: 'maxTurns' }] },
    })
    t.match(await call('get_execution', { executionId: UNKNOWN }), {
      isError: true,
      structured: { code: 'EXECUTION_NOT_FOUND' },
    })
    t.match((await call('get_executor_status')).structured, { url: service.url(), simulated: true })
    t.match((await call('verify_execution', { executionId: id })).structured, { log: { isWhole: true } })

    const root = `executor://executions/${id}`
    const read = async (uri: string) => {
      const [contents] = (await client.readResource({ uri })).contents
      return { ...contents, text: contents && 'text' in contents ? contents.text : '' }
    }
    t.match(JSON.parse((await read(root)).text), { id, request: { prompt: 'Say hello' }, status: 'succeeded' })
    const events = await read(`${root}/events`)
    const seqs = events.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).seq)
    t.same(
      seqs,
      Array.from(seqs, (_, index) => index + 1),
    )
    t.match(events, { mimeType: 'application/x-ndjson', _meta: { nextAfter: seqs.length, hasMore: false } })
    t.equal(
      (await read(`${root}/events?after=${seqs.length - 1}`)).text,
      events.text.trimEnd().split('\n').at(-1) + '\n',
    )
    t.equal((await read(`${root}/events?after=${seqs.length}`)).text, '')
    const receipt = await read(`${root}/receipt`)
    t.equal(receipt.text, (await rest('GET', `/executions/${id}/receipt`)).text, 'to the byte')
    const { resources, nextCursor } = await client.listResources()
    t.match(resources[0], { uri: root, name: id, title: 'succeeded: Say hello' })
    t.equal(nextCursor, undefined)
    t.equal((await client.listResourceTemplates()).resourceTemplates.length, 3)
    for (const uri of [`executor://executions/${UNKNOWN}`, `${root}/elsewhere`, 'executor://executions/%', 'file:///x'])
      await t.rejects(client.readResource({ uri }), { code: -32602 }, uri)
    const running = await held()
    await t.rejects(client.readResource({ uri: `executor://executions/${running.id}/receipt` }), {
      code: -32602,
      message: /^NOT_FINISHED: /,
    })
    t.match(JSON.parse((await read(`executor://executions/${running.id}`)).text), { status: 'running' })
    await running.release()
  })

void t.test(
  'older revisions: each gets its own, a session that any process knows, batches, an answer without both media',
  async (t) => {
    for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
      const answer = await post(hello(version, { elicitation: {} }), { accept: 'application/json, text/event-stream' })
      t.equal(answer.status, 200)
      t.match(messagesOf(await answer.text()), [
        { result: { protocolVersion: version, serverInfo: { name: 'cc-executor' } } },
      ])
      t.match(answer.headers.get('mcp-session-id'), /^forms-[0-9a-f-]{36}$/)
    }
    const session = (await post(hello('2025-06-18'))).headers.get('mcp-session-id') ?? ''
    t.match(session, /^plain-/)
    const elsewhere = await post(request('a', 'tools/list'), { 'mcp-session-id': session }, { api: 1 })
    t.match(
      messagesOf(await elsewhere.text()),
      [{ id: 'a', result: { tools: Array } }],
      'nothing of it is kept anywhere',
    )
    const initialized = await post(
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { 'mcp-session-id': session },
    )
    t.same([initialized.status, await initialized.text()], [202, ''])
    const ping = await post([request(1, 'ping'), request(2, 'ping')], { 'mcp-protocol-version': '2025-03-26' })
    t.same(
      messagesOf(await ping.text()).map(({ id, result }) => [id, result]),
      [
        [1, {}],
        [2, {}],
      ],
    )
    t.match(await (await post(request(1, 'no/such'))).text(), /-32601/)
    for (const [what, body, headers, status] of [
      ['another media type', request(1, 'ping'), { accept: 'text/html' }, 406],
      ['an unknown revision', request(1, 'ping'), { 'mcp-protocol-version': '1999-01-01' }, 400],
      ['no JSON', '{"a":', {}, 400],
      ['nothing', '', {}, 400],
      ['no message', { foo: 1 }, {}, 400],
      ['an empty batch', [], {}, 400],
      ['too many', Array.from({ length: 101 }, (_, id) => request(id, 'ping')), {}, 400],
      ['too deep', request(1, 'tools/call', JSON.parse('{"a":'.repeat(200) + '1' + '}'.repeat(200))), {}, 400],
      ['too large', `{"jsonrpc":"2.0","id":1,"method":"${'x'.repeat(8 * 1024 * 1024)}"}`, {}, 413],
      ['another type', 'x', { 'content-type': 'text/plain' }, 415],
    ] as const) {
      const answer = await post(body, headers)
      t.equal(answer.status, status, what)
      await answer.body?.cancel()
    }
    for (const method of ['GET', 'DELETE']) {
      const answer = await rest(method, '/mcp')
      t.same([answer.status, answer.headers.get('allow')], [405, 'POST'], method)
    }
  },
)

void t.test('who goes, cancels or loses the token ends the waiting and no execution', async (t) => {
  const { id } = await held()
  const session = (await post(hello('2025-11-25'))).headers.get('mcp-session-id') ?? ''
  const headers = { 'mcp-session-id': session }
  /** Its stream has begun. */
  async function wait(requestId: number, more: Record<string, string> = headers) {
    const leaving = new AbortController()
    const answer = await post(waiting(requestId, id, 'p'), more, { signal: leaving.signal })
    const reader = answer.body?.getReader()
    let first = ''
    await repeat(async () => {
      first += new TextDecoder().decode((await reader?.read())?.value)
      return messagesOf(first)[0]
    }, 'its stream begins')
    t.match(messagesOf(first), [{ method: 'notifications/progress' }])
    return {
      leave: () => leaving.abort(),
      async rest() {
        let text = ''
        return repeat(async () => {
          const chunk = await reader?.read()
          if (!chunk || chunk.done) return messagesOf(text)
          text += new TextDecoder().decode(chunk.value)
          return undefined
        }, 'its stream ends')
      },
    }
  }
  const gone = await wait(1)
  gone.leave()

  const [cancelled, other] = [await wait(2), await wait(3)]
  const cancel = (requestId: number, as = TOKENS.alice, more = headers) =>
    post(
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, reason: 'enough' } },
      { ...more, authorization: `Bearer ${as}` },
    )
  for (const answer of [
    await cancel(3, TOKENS.bob),
    await cancel(3, TOKENS.alice, { 'mcp-session-id': 'another' }),
    await cancel(9),
    await cancel(2),
  ])
    t.equal(answer.status, 202)
  t.notOk(
    (await cancelled.rest()).some(({ id: answered }) => answered === 2),
    'what was cancelled has no answer',
  )

  const token = (await rest('POST', '/tokens', { body: { name: 'short', scopes: ['read'], executionId: id } })).body
  const revoked = await wait(4, { ...headers, authorization: `Bearer ${token.secret}` })
  await rest('DELETE', `/tokens/${token.id}`)
  await revoked.rest().then(
    (messages) => t.notOk(messages.some((message) => message.id === 4)),
    () => t.pass('it was cut'),
  )
  t.match((await rest('GET', `/executions/${id}`)).body, { status: 'running' }, 'nobody asked for its end')

  const stopped = await post(
    request(5, 'tools/call', { name: 'cancel_execution', arguments: { executionId: id, waitSeconds: 45 } }),
  )
  t.match(messagesOf(await stopped.text()), [{ result: { structuredContent: { status: 'cancelled' } } }])
  const told = (await other.rest()).find((message) => message.id === 3)
  t.match(told, { result: { structuredContent: { status: 'cancelled' } } }, 'and the others were told of it')
})

void t.test('each tool asks for its scope; what is another token’s is not there', async (t) => {
  const mine = await run({ prompt: 'mine' })
  const reader = await connect(t, '2026-07-28', 'reader')
  t.match(await reader.call('execute', { prompt: 'x' }), { isError: true, structured: { code: 'FORBIDDEN' } })
  t.match(await reader.call('get_execution', { executionId: mine.id }), { structured: { code: 'EXECUTION_NOT_FOUND' } })
  t.same((await reader.client.listResources()).resources, [])
  const runner = await connect(t, '2025-11-25', 'runner')
  const accepted = await runner.call('execute', { prompt: 'x', waitSeconds: 45 })
  t.match(accepted, { isError: false, structured: { id: String, note: /needs a token with the read scope/ } })
  const bound = (await rest('POST', '/tokens', { body: { name: 'one', scopes: ['read'], executionId: mine.id } })).body
  const watcher = await openHttpClient(t, { url: service.url(), token: bound.secret, era: '2026-07-28' })
  t.match((await watcher.call('get_execution', { executionId: mine.id })).structured, { status: 'succeeded' })
  t.match(await watcher.call('get_executor_status'), { isError: true, structured: { code: 'FORBIDDEN' } })
  t.match((await watcher.client.listResources()).resources, [{ name: mine.id }])
  t.match((await watcher.call('verify_execution', { lastN: 5 })).structured.executions, [{ executionId: mine.id }])
})

void t.test(
  'as many at once as the operator allows; a close answers those that wait, and takes no longer',
  async (t) => {
    const api = await service.openApi({ CC_EXECUTOR_MAX_CONNECTIONS: '2' })
    const { id } = await held()
    const index = service.apis.indexOf(api)
    const ask = (number: number) => post(waiting(number, id), {}, { api: index })
    const open = [await ask(1), await ask(2)]
    const refused = await ask(3)
    t.match([refused.status, refused.headers.get('retry-after')], [429, '5'])
    t.match(await refused.json(), { code: 'RATE_LIMITED' })
    // One whose reader takes nothing, and one in the middle of its request.
    const slow = openRequest(`${service.url(index)}/mcp`, { method: 'POST', headers: { 'content-length': '10' } })
    slow.on('error', () => undefined).write('{')
    await once(slow, 'socket')
    const texts = Promise.all(open.map((answer) => answer.text()))
    const began = performance.now()
    await api.close()
    t.ok(performance.now() - began < 30_000, 'the 45 s of the calls are not waited for')
    for (const [number, text] of (await texts).entries())
      t.match(messagesOf(text), [{ id: number + 1, result: { structuredContent: { id, isFinished: false } } }])
    t.match((await rest('GET', `/executions/${id}`)).body, { status: 'running' })
    await rest('POST', `/executions/${id}/cancel`)
    await finished(id)
  },
)

void t.test('an answer to a form counts from its own caller; a late one is decided by what it answers', async (t) => {
  const answers = new PostedAnswers()
  const decided: unknown[] = []
  const approval = { id: UNKNOWN, kind: 'tool', input: {}, suggestions: [] } as unknown as Approval
  // Safe: nothing else is asked of it.
  const asked = {
    approval: async () => approval,
    decide: async (...call: unknown[]) => void decided.push(call),
  } as unknown as ToolService
  const access = { join: async () => asked, forget: () => undefined }
  const id = answers.mintId(UNKNOWN)
  const reply = (action: string) =>
    ({ jsonrpc: '2.0', id, result: { action, content: { decision: 'allow' } } }) as const
  const leaving = new AbortController()
  const expected = answers.expect(id, 'alice', leaving.signal)
  await answers.accept(reply('accept'), 'bob', access)
  await answers.accept(reply('decline'), 'alice', access)
  t.match(await expected, { action: 'decline' })
  t.same(decided, [], 'whoever waits for it decides')
  const left = answers.expect(id, 'alice', leaving.signal)
  leaving.abort()
  t.equal(await left, undefined)
  await answers.accept(reply('cancel'), 'alice', access)
  await answers.accept({ jsonrpc: '2.0', id, error: { code: -1, message: 'no' } }, 'alice', access)
  await answers.accept({ ...reply('accept'), id: 'another' }, 'alice', access)
  t.same(decided, [], 'what decides nothing')
  await answers.accept(reply('accept'), 'alice', access)
  t.same(decided, [[UNKNOWN, { decision: 'allow' }]])
})
